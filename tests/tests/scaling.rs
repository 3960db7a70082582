//! Live scaling under two checking loads at full speed, and a third one whose clients try nothing twice.

use std::time::Duration;

use anyhow::{Result, ensure};
use ringcache_tests::clock::{now, run_for, unix};
use ringcache_tests::cluster::fewest_moves;
use ringcache_tests::{Cluster, Load};

/// Two nodes hold the keys of both loads.
const MEMORY: &str = "512Mi";
const KEYS: u32 = 200_000;
/// The raw clients take their time: what they show does not depend on their speed.
const RAW_KEYS: u32 = 5_000;
const RAW_LOAD: &[&str] = &["--rate", "4000", "--clients", "8"];
/// All three steps together.
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn scaling_3_5_2_3_under_full_load_shows_no_error_no_miss_and_no_old_value() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(3, MEMORY), 3)?;
    let redis_py = Load::redis_py(cluster.dir(), &cluster.seeds()?, KEYS, &[])?;
    let verify = Load::verify(cluster.dir(), &cluster.seeds()?, KEYS, &[])?;
    let raw = Load::raw(cluster.dir(), &cluster.seeds()?, RAW_KEYS, RAW_LOAD)?;

    let (start, from) = (now(), unix());
    for nodes in [5, 2, 3] {
        scale(&mut cluster, nodes)?;
    }
    let took = start.elapsed();
    let to = unix();
    run_for(took + Duration::from_secs(1));
    // A second that began while the cluster scaled is not quiet.
    let quiet = to + 1.0..unix();
    let reports = [verify.stop()?, redis_py.stop()?, raw.stop()?];
    for (name, report) in ["ringcache verify", "redis-py", "raw clients"].iter().zip(&reports) {
        println!(
            "{name}: longest wait {:.1} ms at {:.0} op/s while scaling, {:.1} ms at {:.0} op/s in the quiet {took:.1?} after it",
            report.longest_wait(from..to),
            report.rate(from..to),
            report.longest_wait(quiet.clone()),
            report.rate(quiet.clone()),
        );
    }
    for report in &reports {
        report.clean()?;
    }
    reports[2].clean_and_judged()?;
    let moved = reports[2].judged.as_ref().map_or(0, |judged| judged.moved);
    ensure!(moved > 0, "slots moved, and the raw clients were never told");
    ensure!(took <= LIMIT, "scaling took {took:?}, more than {LIMIT:?}");
    Ok(())
}

/// One edit of `nodes`: converges, and no slot moved that did not have to.
fn scale(cluster: &mut Cluster, nodes: usize) -> Result<()> {
    let start = now();
    let (records, owned, received) = (cluster.nodes()?, cluster.owned()?, cluster.handed_in()?);
    cluster.edit(&Cluster::spec(nodes, MEMORY))?;
    cluster.wait_converged(nodes, LIMIT)?;

    let after = cluster.handed_in()?;
    let moved: u64 = after.iter().map(|(pid, slots)| slots - received.get(pid).unwrap_or(&0)).sum();
    let stayed = records.iter().filter(|node| after.contains_key(&node.pid));
    let held: Vec<usize> = stayed.map(|node| owned.get(&node.name).copied().unwrap_or(0)).collect();
    let fewest = fewest_moves(&held, nodes) as u64;
    let (from, took) = (records.len(), start.elapsed());
    println!(
        "{from} -> {nodes} nodes in {took:.1?}: {moved} slots moved, the fewest possible is {fewest}"
    );
    ensure!(moved == fewest, "{moved} slots moved; {fewest} had to");
    Ok(())
}
