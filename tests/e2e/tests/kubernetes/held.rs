//! A cluster whose spec is not carried out goes on being repaired.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt as _;
use ringcache_api::status::{condition, reason};
use ringcache_e2e::{Cluster, Namespace, Turn, View, container};
use ringcache_tests::clock::now;
use rustix::process::Signal;
use serde_json::json;

/// How soon a node must be replaced whose process has died.
const REPLACED: Duration = Duration::from_mins(1);

#[test]
fn a_paused_or_invalid_cluster_has_its_dead_nodes_replaced() -> Result<()> {
    let namespace = Namespace::create("held", Turn::Shared)?;
    let cluster = namespace.serving("web", 2, "{nodes: 2, memory: 64Mi}")?;

    cluster.patch(&json!({"paused": true, "nodes": 3}))?;
    cluster.shows(&[reason::PAUSED])?;
    replaced(cluster, |view| view.has(condition::RECONCILING, "False", reason::PAUSED))?;
    cluster.patch(&json!({"paused": false, "nodes": 2}))?;
    cluster.wait_settled(2)?;

    // The schema takes it: what a key of a label is, only the operator knows.
    let selector = json!({"a/b/c": "ssd"});
    cluster.patch(&json!({"nodes": 3, "scheduling": {"nodeSelector": selector}}))?;
    cluster.shows(&[reason::INVALID_SPEC, "scheduling.nodeSelector"])?;
    replaced(cluster, |view| view.has(condition::STALLED, "True", reason::INVALID_SPEC))?;
    cluster.patch(&json!({"scheduling": null}))?;
    cluster.settled_within(REPLACED, 3)?;
    namespace.finish()
}

/// Kills a node of two; waits until there are two again, neither of them that one, and `holds` is still so.
fn replaced(cluster: Cluster<'_>, holds: impl Fn(&View) -> Result<(), String>) -> Result<()> {
    let before = cluster.view()?;
    let victim = before.pods.first().context("there is no pod")?;
    let uid = victim.uid().unwrap_or_default();
    let start = now();
    container::signal(victim, Signal::KILL)?;
    let after = cluster.wait("the dead node is replaced", REPLACED, |view| {
        holds(view)?;
        view.has(condition::READY, "True", reason::SERVING)?;
        view.has(condition::RING_CONVERGED, "True", reason::CONVERGED)?;
        let nodes = view.cluster.status.as_ref().map_or(0, |status| status.ready_nodes);
        let is_replaced = nodes == 2 && view.pods.len() == 2 && !view.uids().contains(&uid);
        if is_replaced { Ok(()) } else { Err(format!("{nodes} nodes are ready")) }
    })?;
    println!("{} was replaced after {:.1?}", victim.name_any(), start.elapsed());
    let kept = before.uids().intersection(&after.uids()).count();
    ensure!(kept == 1, "{kept} nodes were kept");
    Ok(())
}
