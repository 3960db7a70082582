//! Operators that come and go in an orderly way: rolled, uninstalled, installed under another name.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt as _;
use ringcache_e2e::cluster::LIMIT;
use ringcache_e2e::world::{RELEASE, SYSTEM};
use ringcache_e2e::{Namespace, Turn, World, operator};
use ringcache_tests::clock::wait_for;
use serde_json::json;

const ROLLOUTS: usize = 5;
/// How long nobody may lead when the leader ends in an orderly way.
const LONGEST: Duration = Duration::from_secs(2);
/// Flag of Helm for whoever finds objects of another release.
const TAKE: &str = "--take-ownership";

#[test]
fn a_standby_leads_at_once_when_the_leader_is_rolled_out() -> Result<()> {
    let turn = Turn::Alone.take();
    let world = World::get()?;
    let mut leader = operator::leader(world)?;
    let lease = operator::follow_lease(world)?;
    for _ in 0..ROLLOUTS {
        operator::restart(world)?;
        // Else the next rollout could replace pods that never led.
        leader = operator::leader(world)?;
    }
    let mut history = Vec::new();
    wait_for("the watch has told of the last leader", LIMIT, || {
        history.extend(lease.take()?);
        let holder = history.last().map(|(_, lease)| operator::holder(lease)).unwrap_or_default();
        Ok(if holder == leader.name_any() { Ok(()) } else { Err(holder) })
    })?;
    let gaps = operator::without_holder(&history)?;
    let longest = gaps.iter().max().context("the lease never changed hands")?;
    println!("{} handovers of the lease, the longest {longest:.1?}: {gaps:.1?}", gaps.len());
    ensure!(gaps.len() >= ROLLOUTS, "{} handovers in {ROLLOUTS} rollouts", gaps.len());
    ensure!(*longest < LONGEST, "nobody led for {longest:?}");
    drop(turn);
    Ok(())
}

#[test]
fn a_release_of_another_name_takes_over_what_was_uninstalled_and_restarts_no_cache() -> Result<()> {
    const OTHER: (&str, &str) = ("caches", "caches-system");
    let namespace = Namespace::create("reinstall", Turn::Alone)?;
    let world = namespace.world();
    let cluster = namespace.serving("web", 2, "{nodes: 2, memory: 64Mi}")?;
    let before = cluster.view()?;
    world.uninstall(RELEASE, SYSTEM)?;
    let taken_over = world.install_as(OTHER.0, OTHER.1, &[TAKE]).and_then(|()| {
        // It has seen the cluster once it has done something to it.
        cluster.scale(3)?;
        let after = cluster.wait_settled(3)?;
        ensure!(before.uids().is_subset(&after.uids()), "pods were replaced");
        Ok(())
    });
    // Whatever became of it: other tests need the operator where it was.
    let gone = world.uninstall(OTHER.0, OTHER.1);
    world.install_as(RELEASE, SYSTEM, &[TAKE])?;
    taken_over.and(gone)?;
    world.lab.kubectl(&["delete", "namespace", OTHER.1, "--wait=false"])?;
    cluster.patch(&json!({"nodes": 2}))?;
    cluster.wait_settled(2)?;
    namespace.finish()
}
