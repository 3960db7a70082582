//! Nodes that others than the operator tell to go: an autoscaler that removes their host, a person, an eviction.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use ringcache_e2e::cluster::LIMIT;
use ringcache_e2e::load::CHECKER_HOST;
use ringcache_e2e::taint::Taint;
use ringcache_e2e::view::{address, has_ended, host};
use ringcache_e2e::{Cluster, Loads, Namespace, Steps, Turn, View, container};
use ringcache_ring::key_slot;
use ringcache_tests::clock::{now, wait_for};
use ringcache_tests::resp::{Connection, command};
use rustix::process::Signal;
use serde_json::json;

const KEYS: u32 = 20_000;
/// How soon a host must be empty that an autoscaler is about to remove.
const REMOVAL: Duration = Duration::from_mins(1);
/// Values of a node that holds much.
const VALUES: usize = 10_000;
/// Bytes of each of them: 2.5 GiB in all.
const VALUE_BYTES: usize = 256 << 10;
/// Values that are sent before their replies are read.
const BATCH: usize = 16;
/// What the API server answers to an eviction that the disruption budget does not allow.
const REFUSED: &str = "would violate the pod's disruption budget";

#[test]
fn a_host_that_an_autoscaler_removes_is_emptied_and_clients_notice_nothing() -> Result<()> {
    let namespace = Namespace::create("taint", Turn::Alone)?;
    let cluster = namespace.serving("web", 3, "{nodes: 3, memory: 64Mi}")?;
    let mut steps = Steps::default();
    let loads = steps.take("write all keys", || Loads::start(cluster, KEYS))?;
    for taint in
        ["karpenter.sh/disrupted:NoSchedule", "ToBeDeletedByClusterAutoscaler=1:NoSchedule"]
    {
        steps.take(taint, || empty(cluster, taint))?;
    }
    finish(&steps, loads, cluster)?;
    namespace.finish()
}

/// Taints a host with nodes of the cluster, and waits until none is there any more.
fn empty(cluster: Cluster<'_>, taint: &'static str) -> Result<()> {
    let before = cluster.view()?;
    let pod = away_from_the_checker(&before)?;
    println!("{} has {}", host(pod), pod.name_any());
    let _tainted = Taint::of(cluster.namespace().world(), host(pod), taint)?;
    let start = now();
    cluster.wait("the host is empty", REMOVAL, |view| {
        let left = view.pods.iter().find(|other| host(other) == host(pod));
        left.map_or(Ok(()), |left| Err(format!("{} is there", left.name_any())))
    })?;
    println!("empty after {:.1?}", start.elapsed());
    cluster.wait_settled(3).map(drop)
}

#[test]
fn a_deleted_pod_with_much_data_hands_over_all_of_it() -> Result<()> {
    let namespace = Namespace::create("delete", Turn::Alone)?;
    let cluster = namespace.serving("web", 3, "{nodes: 3, memory: 4Gi}")?;
    let before = cluster.view()?;
    let pod = away_from_the_checker(&before)?;
    fill(cluster, pod)?;
    let entries = entries(cluster)?;
    ensure!(entries == VALUES as u64, "{entries} entries are there");
    let start = now();
    namespace.kubectl(&["delete", "pod", &pod.name_any()])?;
    println!("{} ended after {:.1?}", pod.name_any(), start.elapsed());
    cluster.wait_settled(3)?;
    let left = self::entries(cluster)?;
    ensure!(left == entries, "{} of {entries} entries were lost", entries - left);
    let warnings = cluster.warnings()?;
    ensure!(warnings.is_empty(), "{warnings:#?}");
    namespace.finish()
}

/// Writes [`VALUES`] to the node in the pod.
fn fill(cluster: Cluster<'_>, pod: &Pod) -> Result<()> {
    let owned = cluster.owned()?.remove(&pod.name_any()).context("the node owns nothing")?;
    let keys = (0..).map(|n| format!("key{n}"));
    let keys: Vec<String> =
        keys.filter(|key| owned.contains(key_slot(key.as_bytes()))).take(VALUES).collect();
    let address: IpAddr = address(pod).parse()?;
    let mut node = Connection::to(SocketAddr::new(address, 6379))?;
    let value = vec![b'v'; VALUE_BYTES];
    for batch in keys.chunks(BATCH) {
        for key in batch {
            node.send(&command(&[b"SET", key.as_bytes(), &value]))?;
        }
        for key in batch {
            let reply = node.reply()?;
            ensure!(reply == "+OK", "{key}: {reply}");
        }
    }
    Ok(())
}

/// Entries of all nodes.
fn entries(cluster: Cluster<'_>) -> Result<u64> {
    Ok(cluster.states()?.values().map(|state| state.stats.entries).sum())
}

#[test]
fn one_node_is_evicted_at_a_time_and_clients_notice_nothing() -> Result<()> {
    let namespace = Namespace::create("evict", Turn::Alone)?;
    let cluster = namespace.serving("web", 3, "{nodes: 3, memory: 64Mi}")?;
    let mut steps = Steps::default();
    let loads = steps.take("write all keys", || Loads::start(cluster, KEYS))?;
    steps.take("evict one, and try another meanwhile", || {
        wait_for("another is refused meanwhile", LIMIT, || {
            let refused = evict_one_and_try_another(cluster)?;
            cluster.wait_settled(3)?;
            println!("{refused} evictions were refused meanwhile");
            Ok(if refused > 0 { Ok(()) } else { Err("the first went too soon".to_owned()) })
        })
    })?;
    steps.take("evictions blocked", || {
        cluster.patch(&json!({"disruption": {"evictions": "Blocked"}}))?;
        let after = cluster.wait_settled(3)?;
        for pod in &after.pods {
            let answer = evict(cluster, pod);
            let refused = answer.as_ref().err().is_some_and(is_refusal);
            ensure!(refused, "{}: {answer:?}", pod.name_any());
        }
        Ok(())
    })?;
    finish(&steps, loads, cluster)?;
    namespace.finish()
}

#[test]
fn a_node_whose_process_alone_is_told_to_end_hands_over_and_clients_notice_nothing() -> Result<()> {
    let namespace = Namespace::create("sigterm", Turn::Alone)?;
    let cluster = namespace.serving("web", 3, "{nodes: 3, memory: 64Mi}")?;
    let mut steps = Steps::default();
    let loads = steps.take("write all keys", || Loads::start(cluster, KEYS))?;
    steps.take("SIGTERM to a process", || {
        let before = cluster.view()?;
        let pod = away_from_the_checker(&before)?;
        container::signal(pod, Signal::TERM)?;
        cluster.wait("its pod is gone", LIMIT, |view| {
            let is_there = view.uids().contains(&pod.uid().unwrap_or_default());
            if is_there { Err("it is there".into()) } else { Ok(()) }
        })?;
        cluster.wait_settled(3)
    })?;
    finish(&steps, loads, cluster)?;
    namespace.finish()
}

/// How often another eviction is refused until the node that is evicted first has ended.
fn evict_one_and_try_another(cluster: Cluster<'_>) -> Result<u32> {
    let before = cluster.view()?;
    let first = away_from_the_checker(&before)?;
    let second = before.pods.iter().find(|pod| pod.uid() != first.uid());
    let second = second.context("there is no other pod")?;
    wait_for("a node may be evicted", LIMIT, || {
        Ok(evict(cluster, first).map_err(|error| format!("{error:#}")))
    })?;
    let mut refused = 0;
    while runs(cluster, first)? {
        match evict(cluster, second) {
            Err(error) if is_refusal(&error) => refused += 1,
            // The first may have ended between the look and the try.
            Ok(()) if !runs(cluster, first)? => break,
            other => bail!("a second eviction: {other:?}"),
        }
    }
    Ok(refused)
}

/// Asks the API server to evict the pod, as `kubectl drain` does.
fn evict(cluster: Cluster<'_>, pod: &Pod) -> Result<()> {
    let (namespace, name) = (cluster.namespace(), pod.name_any());
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace.name()},
    });
    let file = namespace.dir().join("eviction.json");
    std::fs::write(&file, eviction.to_string())?;
    let path = format!("/api/v1/namespaces/{}/pods/{name}/eviction", namespace.name());
    let create = ["create", "--raw", &path, "--filename", &file.display().to_string()];
    namespace.kubectl(&create).map(drop)
}

fn is_refusal(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains(REFUSED)
}

fn runs(cluster: Cluster<'_>, pod: &Pod) -> Result<bool> {
    let view = cluster.view()?;
    let pod = view.pods.iter().find(|other| other.uid() == pod.uid());
    Ok(pod.is_some_and(|pod| !has_ended(pod)))
}

fn away_from_the_checker(view: &View) -> Result<&Pod> {
    let pod = view.pods.iter().find(|pod| host(pod) != CHECKER_HOST);
    pod.with_context(|| format!("all pods are on {CHECKER_HOST}"))
}

/// No client noticed anything, and the operator had nothing to warn of.
fn finish(steps: &Steps, loads: Loads<'_>, cluster: Cluster<'_>) -> Result<()> {
    loads.stop_clean(steps)?;
    let warnings = cluster.warnings()?;
    ensure!(warnings.is_empty(), "{warnings:#?}");
    Ok(())
}
