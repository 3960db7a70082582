//! Nodes that are lost in all the ways there are: only what they held is lost, and only for a while.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use ringcache_e2e::load::CHECKER_HOST;
use ringcache_e2e::view::{host, host_number};
use ringcache_e2e::{Cluster, Namespace, Turn, View, container};
use ringcache_ring::SlotSet;
use ringcache_tests::clock::{now, wait_for};
use ringcache_tests::{Load, Report};
use rustix::process::Signal;

const KEYS: u32 = 20_000;
const LIMIT: Duration = Duration::from_mins(2);

#[test]
fn a_pod_deleted_by_force_is_replaced_and_only_its_slots_suffer() -> Result<()> {
    let namespace = Namespace::create("force", Turn::Alone)?;
    lose_a_node(&namespace, |victim| {
        let delete = ["delete", "pod", &victim.name_any(), "--force", "--grace-period=0"];
        namespace.kubectl(&delete).map(drop)
    })?;
    namespace.finish()
}

#[test]
fn a_killed_container_is_replaced_and_only_its_slots_suffer() -> Result<()> {
    let namespace = Namespace::create("kill", Turn::Alone)?;
    lose_a_node(&namespace, |victim| container::signal(victim, Signal::KILL))?;
    namespace.finish()
}

#[test]
fn the_nodes_of_a_host_without_power_are_replaced_and_only_their_slots_suffer() -> Result<()> {
    let namespace = Namespace::create("power", Turn::Alone)?;
    let lab = &namespace.world().lab;
    let mut lost = None;
    let result = lose_a_node(&namespace, |victim| {
        let number = host_number(victim)?;
        lost = Some(number);
        lab.kill_node(number)
    });
    if let Some(number) = lost {
        lab.start_node(number)?;
    }
    result?;
    // The host finds out what it has missed: the pods of the lost nodes go, and nobody comes back from the dead.
    Cluster::new(&namespace, "web").wait_settled(3)?;
    namespace.finish()
}

/// Damages one of three nodes under load with `damage`; checks what clients see of it.
fn lose_a_node(namespace: &Namespace, damage: impl FnOnce(&Pod) -> Result<()>) -> Result<()> {
    let cluster = namespace.serving("web", 3, "{nodes: 3, memory: 64Mi}")?;
    // Pipelines span nodes: an error would be counted for keys of nodes that had none.
    let more = ["--no-pipelines", "--workers", "1"];
    let load = Load::redis_py(namespace.dir(), &cluster.seed()?, KEYS, &more)?;
    let before = cluster.view()?;
    let owned = cluster.owned()?;
    let victim = before.pods.iter().find(|pod| host(pod) != CHECKER_HOST);
    let victim = victim.context("all pods are on one host")?;
    let name = victim.name_any();
    let lost = owned.get(&name).cloned().context("the victim owns nothing")?;
    println!("{name} on {} has {} slots", host(victim), lost.len());

    let start = now();
    damage(victim)?;
    wait_for("all slots are served by others", LIMIT, || cluster.served_without(victim))?;
    println!("all slots are served again {:.1?} after the fault", start.elapsed());
    let after = cluster.wait("the lost node is replaced", LIMIT, |view| {
        // Its pod may stay as long as its host is away.
        let others = View { pods: others(view, victim), ..view.clone() };
        others.settled(3)
    })?;
    println!("replaced and converged {:.1?} after the fault", start.elapsed());

    let survivors: Vec<_> = before.pods.iter().filter(|pod| pod.uid() != victim.uid()).collect();
    let kept = survivors.iter().filter(|pod| after.uids().contains(&pod.uid().unwrap_or_default()));
    ensure!(kept.count() == 2, "a node that was not lost was replaced");
    judge(&load.stop()?, &lost)
}

fn others(view: &View, victim: &Pod) -> Vec<Pod> {
    view.pods.iter().filter(|pod| pod.uid() != victim.uid()).cloned().collect()
}

fn judge(report: &Report, lost: &SlotSet) -> Result<()> {
    let problems = report.problems.join("\n");
    ensure!(report.old_values + report.wrong_values == 0, "old or wrong values:\n{problems}");
    for (what, slots) in [("error", &report.error_slots), ("miss", &report.miss_slots)] {
        let others: Vec<_> = slots.iter().filter(|slot| !lost.contains(**slot)).collect();
        ensure!(others.is_empty(), "{what} in slots of other nodes: {others:?}\n{problems}");
    }
    // How many of the lost keys were asked for in between depends on how fast the load is: none is possible.
    println!("of its {} slots {} were missed meanwhile", lost.len(), report.miss_slots.len());
    Ok(())
}
