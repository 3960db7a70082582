//! The number of nodes follows the working set: out to the size that the curve predicts, and in again one at a time.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_tests::clock::wait_for;
use ringcache_tests::process::Running;
use ringcache_tests::{Cluster, http, tool};
use rustix::process::Signal;
use serde_json::Value;

/// Longest wait for the next change, or for its comparison.
const LIMIT: Duration = Duration::from_mins(2);
/// Nodes of 64Mi hold about 2,100 entries of 16 KB each: this many fill three of them, and this many fit into one.
const MANY: u32 = 6200;
const FEW: u32 = 1500;
/// What prediction and measurement may differ by, in points, if a read counts half after so many seconds at most. Where the machine is too
/// slow for the load, the curve still remembers how the cache was filled.
const AGREEMENT: f64 = 2.0;
const HALF_LIFE_SECONDS: f64 = 6.0;

/// A load of cache-aside reads that takes so long in all.
fn load(cluster: &Cluster, name: &str, more: &[&str]) -> Result<Running> {
    let mut command = tool::ringcache()?;
    command.args(["load", "--json", "--ttl", "1h", "--origin-ms", "1"]);
    command.arg("--state-dir").arg(cluster.state_dir()).args(more);
    Running::spawn(command, cluster.dir(), name)
}

/// The number of nodes in force, and the last step of it: from, to, percent of hits predicted and measured.
fn scaling(cluster: &Cluster) -> Result<Value> {
    let text = fs::read_to_string(cluster.state_dir().join("status.json"))?;
    let resource: Value = serde_json::from_str(&text)?;
    Ok(resource["status"].clone())
}

/// What `ringcache curve` says.
fn curve(cluster: &Cluster, more: &[&str]) -> Result<String> {
    shown(cluster, "curve", more)
}

fn shown(cluster: &Cluster, verb: &str, more: &[&str]) -> Result<String> {
    let mut command = tool::ringcache()?;
    tool::output(command.arg(verb).arg("--state-dir").arg(cluster.state_dir()).args(more))
}

/// What is shown of a cluster of three nodes that are read.
fn three_are_shown(cluster: &Cluster) -> Result<()> {
    let ring: Value = serde_json::from_str(&shown(cluster, "ring", &["--json"])?)?;
    let members = ring["members"].as_array().map(Vec::len);
    ensure!(ring["slotsToGo"] == 0 && members == Some(3), "{ring:#}");
    let keys: Value = serde_json::from_str(&shown(cluster, "hotkeys", &["--json"])?)?;
    ensure!(keys["hotKeys"].is_array(), "{keys:#}");
    let plan: Value = serde_json::from_str(&shown(cluster, "plan", &["--nodes=2", "--json"])?)?;
    let cost = &plan["cost"];
    let both = cost["hitRatioNow"].as_f64().zip(cost["hitRatioPredicted"].as_f64());
    let (now, then) = both.with_context(|| plan.to_string())?;
    ensure!(then < now && plan["members"].as_array().map(Vec::len) == Some(2), "{plan:#}");
    let text = shown(cluster, "plan", &["--nodes", "2"])?;
    ensure!(text.starts_with("ScaleIn: from 3 to 2 nodes\n- write document"), "{text}");
    let picture = curve(cluster, &["--svg"])?;
    ensure!(picture.starts_with("<svg "), "{picture}");
    print!("{}{text}", shown(cluster, "ring", &[])?);
    Ok(())
}

fn half_life(cluster: &Cluster) -> Result<f64> {
    let node = cluster.nodes()?.first().context("no node")?.ports.admin;
    let told = http::request(node, "GET", "/admin/v1/curve", "")?.body;
    serde_json::from_str::<Value>(&told)?["halfLifeSeconds"].as_f64().context(told)
}

/// Waits for the change and for what is measured after it, and compares that with what was predicted.
fn step(cluster: &Cluster, from: u64, to: u64) -> Result<()> {
    let what = format!("from {from} to {to} nodes, and the hit ratio is compared");
    let found = wait_for(&what, LIMIT, || {
        let status = scaling(cluster)?;
        let step = &status["autoscaling"]["lastStep"];
        let is_it = step["fromNodes"] == from && step["toNodes"] == to;
        let is_over = is_it && step["measuredHitPercent"].is_string();
        Ok(if is_over { Ok(step.clone()) } else { Err(format!("{:#}", status["autoscaling"])) })
    });
    let found = found.with_context(|| cluster.events())?;
    let percent = |field: &str| found[field].as_str().and_then(|text| text.parse::<f64>().ok());
    let both = percent("predictedHitPercent").zip(percent("measuredHitPercent"));
    let (predicted, measured) = both.with_context(|| found.to_string())?;
    let half_life = half_life(cluster)?;
    println!(
        "from {from} to {to} nodes: {predicted} % predicted, {measured} % measured, half-life {half_life:.1} s"
    );
    let agree = (predicted - measured).abs() <= AGREEMENT;
    ensure!(agree || half_life > HALF_LIFE_SECONDS, "{found}\n{}", cluster.events());
    Ok(())
}

#[test]
fn a_working_set_that_grows_and_shrinks_is_followed_both_ways_and_a_scan_is_not() -> Result<()> {
    let autoscaling = "  autoscaling:\n    maxNodes: 5\n    hitRatioPercent: 90\n    \
                       scaleOutDelaySeconds: 25\n    scaleInDelaySeconds: 25\n";
    let mut cluster = Cluster::start(&(Cluster::spec(1, "64Mi") + autoscaling), 1)?;
    let phases = format!("100s:{MANY},300s:{FEW}");
    let flags = ["--rate", "4200", "--zipf", "0.1", "--value-bytes", "15000..17000"];
    let mut reads = load(&cluster, "load", &[&flags[..], &["--phases", &phases]].concat())?;
    step(&cluster, 1, 3)?;

    let shown: Value = serde_json::from_str(&curve(&cluster, &["--json"])?)?;
    let hits = |n: usize| shown["sizes"][n]["hitRatio"].as_f64();
    let both = hits(2).zip(shown["hitRatio"].as_f64());
    let (predicted, served) = both.with_context(|| shown.to_string())?;
    ensure!((predicted - served).abs() * 100.0 <= AGREEMENT && hits(1) < hits(2), "{shown:#}");
    let text = curve(&cluster, &[])?;
    ensure!(text.contains("now") && text.contains("Working set:"), "{text}");
    three_are_shown(&cluster)?;

    let once = ["--rate", "1500", "--scan", "100", "--keys", "1", "--value-bytes", "10"];
    let mut scan = load(&cluster, "scan", &[&once[..], &["--duration", "8s"]].concat())?;
    wait_for("the curve knows of reads that no number of nodes would serve", LIMIT, || {
        let shown: Value = serde_json::from_str(&curve(&cluster, &["--json"])?)?;
        let is_known = shown["absent"].as_f64().is_some_and(|part| part > 0.15);
        Ok(if is_known { Ok(()) } else { Err(shown.to_string()) })
    })?;
    ensure!(scan.wait(LIMIT)?.success(), "{}", scan.stderr());

    step(&cluster, 3, 2)?;
    step(&cluster, 2, 1)?;
    cluster.wait_converged(1, LIMIT)?;
    reads.signal(Signal::INT)?;
    ensure!(reads.wait(LIMIT)?.success(), "{}", reads.stderr());
    let report: Value = serde_json::from_str(&reads.stdout())?;
    ensure!(report["errors"] == 0, "{report:#}");
    let scalings = cluster.events().matches("autoscaling: from").count();
    ensure!(scalings == 3, "{scalings} changes:\n{}", cluster.events());
    Ok(())
}
