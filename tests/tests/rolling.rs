//! Replacing every node, and losing the command line half way, under load.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_tests::clock::{now, wait_for};
use ringcache_tests::{Cluster, Load};

const KEYS: u32 = 100_000;
/// The raw clients take their time: what they show does not depend on their speed.
const RAW_KEYS: u32 = 5_000;
const RAW_LOAD: &[&str] = &["--rate", "4000", "--clients", "8"];
const LIMIT: Duration = Duration::from_mins(2);

#[test]
fn a_change_of_memory_replaces_every_node_unnoticed() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(3, "512Mi"), 3)?;
    let redis_py = Load::redis_py(cluster.dir(), &cluster.seeds()?, KEYS, &[])?;
    let verify = Load::verify(cluster.dir(), &cluster.seeds()?, KEYS, &[])?;
    let raw = Load::raw(cluster.dir(), &cluster.seeds()?, RAW_KEYS, RAW_LOAD)?;

    let (start, before) = (now(), incarnations(&cluster)?);
    cluster.edit(&Cluster::spec(3, "640Mi"))?;
    wait_for("every node is another incarnation", LIMIT, || {
        let now = incarnations(&cluster)?;
        let left = now.intersection(&before).count();
        Ok(if left == 0 { Ok(()) } else { Err(format!("{left} old nodes are members")) })
    })
    .with_context(|| cluster.diagnosis())?;
    cluster.wait_converged(3, LIMIT)?;
    println!("all 3 nodes replaced in {:.1?}", start.elapsed());

    for node in cluster.nodes()? {
        let limit = ringcache_tests::cluster::state(&node)?.stats.limit_bytes;
        ensure!(limit == 640 << 20, "{}: limit {limit}", node.name);
    }
    raw.stop()?.clean_and_judged()?;
    verify.stop()?.clean()?;
    redis_py.stop()?.clean()
}

#[test]
fn a_killed_command_line_adopts_the_running_nodes_and_finishes_the_scaling() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(3, "512Mi"), 3)?;
    let redis_py = Load::redis_py(cluster.dir(), &cluster.seeds()?, KEYS, &[])?;
    let verify = Load::verify(cluster.dir(), &cluster.seeds()?, KEYS, &[])?;
    let raw = Load::raw(cluster.dir(), &cluster.seeds()?, RAW_KEYS, RAW_LOAD)?;

    cluster.edit(&Cluster::spec(5, "512Mi"))?;
    wait_for("slots are moving", LIMIT, || {
        // A node that has just been started does not answer yet.
        let moved: u64 = cluster.handed_in().map_or(0, |slots| slots.values().sum());
        Ok(if moved > 0 { Ok(()) } else { Err("none has moved".into()) })
    })
    .with_context(|| cluster.diagnosis())?;
    cluster.kill_up()?;
    let running: BTreeSet<u32> = cluster.nodes()?.iter().map(|node| node.pid).collect();
    let moved: u64 = cluster.handed_in()?.values().sum();
    println!("`ringcache up` killed after {moved} slots had moved; {} nodes go on", running.len());

    cluster.start_up()?;
    cluster.wait_converged(5, LIMIT)?;
    let after: BTreeSet<u32> = cluster.nodes()?.iter().map(|node| node.pid).collect();
    ensure!(after.is_superset(&running), "nodes {running:?} were running, {after:?} are now");
    raw.stop()?.clean()?;
    verify.stop()?.clean()?;
    redis_py.stop()?.clean()
}

fn incarnations(cluster: &Cluster) -> Result<BTreeSet<String>> {
    Ok(cluster.document()?.members.iter().map(|m| m.uid.to_string()).collect())
}
