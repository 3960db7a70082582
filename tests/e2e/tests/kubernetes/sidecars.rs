//! Cache nodes with a container beside them that somebody else put there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt as _;
use ringcache_e2e::sidecars::Sidecars;
use ringcache_e2e::{Namespace, Turn, container};
use ringcache_tests::clock::{now, wait_for};
use rustix::process::Signal;

/// How soon a node must be replaced whose process has died.
const REPLACED: Duration = Duration::from_mins(1);

#[test]
fn a_node_that_dies_beside_a_container_that_runs_on_is_replaced() -> Result<()> {
    let namespace = Namespace::create("sidecars", Turn::Shared)?;
    let sidecars = Sidecars::inject(&namespace)?;
    let cluster = namespace.serving("web", 3, "{nodes: 3, memory: 64Mi}")?;
    let before = cluster.view()?;
    for pod in &before.pods {
        let names: Vec<_> = pod.spec.iter().flat_map(|spec| &spec.containers).collect();
        let names: Vec<_> = names.into_iter().map(|container| &*container.name).collect();
        ensure!(names == ["sidecar", "cache-node"], "{names:?}");
    }
    let victim = before.pods.first().context("there is no pod")?;
    let start = now();
    container::signal(victim, Signal::KILL)?;
    wait_for("all slots are served by others", REPLACED, || cluster.served_without(victim))?;
    println!("{} died; all is served after {:.1?}", victim.name_any(), start.elapsed());
    let after = cluster.settled_within(REPLACED.saturating_sub(start.elapsed()), 3)?;
    let kept = before.uids().intersection(&after.uids()).count();
    ensure!(kept == 2, "{kept} of the other nodes were kept");
    drop(sidecars);
    namespace.finish()
}
