//! A cluster that is scaled by what its clients read.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_api::status::{AutoscalingStatus, condition, reason};
use ringcache_e2e::load::CHECKER_HOST;
use ringcache_e2e::world::VERSION;
use ringcache_e2e::{Cluster, Namespace, Turn, View};
use ringcache_lab::output;
use ringcache_tests::clock::{run_for, wait_for};
use serde_json::{Value, json};

/// Longest wait for a change of the number of nodes, and until the hit ratio after it is known.
const LIMIT: Duration = Duration::from_mins(6);
/// What prediction and measurement may differ by, in points.
const AGREEMENT: f64 = 2.0;
/// After so long nothing of the reads before counts: several half-lives of the curve.
const FORGOTTEN: Duration = Duration::from_secs(45);

#[test]
fn a_cluster_grows_to_what_its_clients_read_and_kubectl_scale_is_refused() -> Result<()> {
    let namespace = Namespace::create("autoscaling", Turn::Shared)?;
    let spec = "{nodes: 1, memory: 64Mi, autoscaling: {maxNodes: 4, hitRatioPercent: 90, scaleOutDelaySeconds: 90}}";
    let cluster = namespace.serving("web", 1, spec)?;
    read(&cluster)?;
    let view = cluster.wait("it grows, and the hit ratio is known", LIMIT, |view| {
        let scaling = scaling(view).ok_or("no status of autoscaling")?;
        let step = scaling.last_step.as_ref();
        let is_known = step.is_some_and(|step| step.measured_hit_percent.is_some());
        if is_known { Ok(()) } else { Err(format!("{scaling:?}")) }
    })?;
    let step = scaling(&view).and_then(|scaling| scaling.last_step.clone());
    let step = step.context("there is none")?;
    println!("{step:?}");
    ensure!((step.from_nodes, step.to_nodes) == (1, 3), "{step:?}");
    let predicted: f64 = step.predicted_hit_percent.parse()?;
    let measured: f64 = step.measured_hit_percent.as_deref().unwrap_or_default().parse()?;
    ensure!((predicted - measured).abs() <= AGREEMENT, "{step:?}");
    let settled = cluster.wait_settled(3)?;
    let held = settled.has(condition::AUTOSCALING_ACTIVE, "True", reason::AS_WANTED);
    held.map_err(anyhow::Error::msg)?;
    let events = namespace.kubectl(&["events", "--for=cachecluster/web"])?;
    ensure!(events.contains("From 1 to 3 nodes"), "{events}");

    is_explained(&namespace)?;

    let scaled = namespace.kubectl(&["scale", "cachecluster/web", "--replicas=2"]);
    let Err(refused) = scaled else { anyhow::bail!("kubectl scale was not refused") };
    ensure!(format!("{refused:#}").contains("remove `autoscaling`"), "{refused:#}");
    cluster.patch(&json!({"nodes": 3, "autoscaling": null}))?;
    cluster.wait("it is scaled no more", LIMIT, |view| match scaling(view) {
        None => Ok(()),
        Some(scaling) => Err(format!("{scaling:?}")),
    })?;
    cluster.wait_settled(3)?;
    two_nodes_serve_as_planned(&namespace, &cluster)?;
    namespace.finish()
}

/// What the plugin shows of three nodes that autoscaling has made of one.
fn is_explained(namespace: &Namespace) -> Result<()> {
    let shows = |arguments: &[&str], parts: &[&str]| {
        let text = namespace.plugin(arguments)?;
        println!("kubectl ringcache {}\n{text}", arguments.join(" "));
        let lacking = parts.iter().find(|part| !text.contains(**part));
        ensure!(lacking.is_none(), "`{}` lacks {lacking:?}:\n{text}", arguments.join(" "));
        Ok(())
    };
    shows(&["status", "web"], &["web: Serving, 3 of 3 nodes ready", "AutoscalingActive"])?;
    shows(&["nodes", "-o", "wide"], &["web-0", "node-", "cache-node:", VERSION])?;
    shows(&["ring", "web"], &["every slot is with the node that should own it", "A  web-0"])?;
    shows(&["plan", "web"], &["Nothing to do."])?;
    let numbers = [
        "3 nodes are in force where `spec.nodes` is 1",
        "Last step: from 1 to 3 nodes",
        "From 1 to 3 nodes",
    ];
    shows(&["why", "web"], &numbers)?;
    shows(&["curve"], &["now", "Working set:"])?;
    shows(&["mrc", "-o", "svg"], &["<svg "])?;
    shows(&["hotkeys", "-o", "json"], &["hotKeys"])?;
    shows(&["top", "web", "--once"], &["OPS/S", "web-0", "web-2"])?;
    shows(&["nodes", "web", "-o", "yaml"], &["name: web-0"])?;
    shows(&["completion", "bash"], &["complete"])?;
    is_reported(namespace)
}

/// A support archive has what every node says, and no key that clients read.
fn is_reported(namespace: &Namespace) -> Result<()> {
    let keys: Value = serde_json::from_str(&namespace.plugin(&["hotkeys", "-o", "json"])?)?;
    let keys = keys["hotKeys"].as_array().cloned().unwrap_or_default();
    let keys = keys.iter().filter_map(|hot| hot["key"].as_str());
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("report.tar.gz");
    let to = archive.to_str().context("the path is no text")?;
    println!("{}", namespace.plugin(&["report", "web", "--output-file", to])?);
    let mut unpack = Command::new("tar");
    let unpacked = output(unpack.args(["--extract", "--to-stdout", "--file", to]))?;
    for part in ["CacheCluster", "web-0", "halfLifeSeconds"] {
        ensure!(unpacked.contains(part), "the archive lacks `{part}`");
    }
    for key in keys {
        ensure!(!unpacked.contains(key), "the archive has the key `{key}`");
    }
    Ok(())
}

/// What `plan` predicts of two nodes is what two nodes then serve.
fn two_nodes_serve_as_planned(namespace: &Namespace, cluster: &Cluster<'_>) -> Result<()> {
    let shown = |arguments: &[&str]| -> Result<Value> {
        Ok(serde_json::from_str(&namespace.plugin(arguments)?)?)
    };
    let plan = shown(&["plan", "web", "--nodes=2", "-o", "json"])?;
    let ratio = |field: &str| plan["cost"][field].as_f64().with_context(|| plan.to_string());
    let (now, predicted) = (ratio("hitRatioNow")?, ratio("hitRatioPredicted")?);
    ensure!(now - predicted > 0.05, "two nodes would serve as much: {plan:#}");
    println!("{}", namespace.plugin(&["plan", "web", "--nodes", "2"])?);
    cluster.patch(&json!({"nodes": 2}))?;
    cluster.wait_settled(2)?;
    // The ratio falls to what two nodes serve, past whatever else was predicted.
    run_for(FORGOTTEN);
    wait_for("two nodes serve as planned", LIMIT, || {
        let curve = match shown(&["curve", "web", "-o", "json"]) {
            Ok(curve) => curve,
            Err(error) => return Ok(Err(format!("{error:#}"))),
        };
        let served = curve["hitRatio"].as_f64().with_context(|| curve.to_string())?;
        let differ = (served - predicted).abs() * 100.0;
        Ok(if differ <= AGREEMENT { Ok(()) } else { Err(format!("{predicted} {served}")) })
    })
}

fn scaling(view: &View) -> Option<&AutoscalingStatus> {
    view.cluster.status.as_ref()?.autoscaling.as_ref()
}

/// Reads a working set of some hundred megabytes, which three nodes hold.
fn read(cluster: &Cluster<'_>) -> Result<()> {
    let seeds = format!("--seeds={}:6379", cluster.name());
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "load"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": CHECKER_HOST},
            // Its host may hear of the Service's endpoints later than others.
            "restartPolicy": "Always",
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "load",
                "image": format!("localhost/ringcache:{VERSION}"),
                "args": [
                    "load", seeds, "--rate=2500", "--keys=6200", "--zipf=0.1", "--value-bytes=15000..17000",
                    "--ttl=1h", "--origin-ms=1", "--duration=1h",
                ],
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    });
    cluster.namespace().apply(&manifest.to_string())
}
