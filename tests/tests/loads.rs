//! The loads themselves: a checker that cannot find anything proves nothing.

use anyhow::{Result, ensure};
use ringcache_tests::clock::run_for;
use ringcache_tests::resp::Connection;
use ringcache_tests::{Cluster, Load};

const KEYS: u32 = 2_000;
const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

#[test]
fn redis_py_load_counts_lost_old_and_foreign_values() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(1, "128Mi"), 1)?;
    let load = Load::redis_py(cluster.dir(), &cluster.seeds()?, KEYS, &[])?;
    let mut node = Connection::open(cluster.nodes()?[0].ports.resp)?;
    // Several keys each: the load may overwrite one of them before it reads it.
    let keys: Vec<String> = (0..60).map(|n| format!("py:{n}")).collect();
    let mut first = Vec::new();
    for key in &keys[..20] {
        first.push(node.ask(&[b"GET", key.as_bytes()])?);
    }
    run_for(3 * SECOND);
    for (key, value) in keys.iter().zip(&first) {
        node.ask(&[b"SET", key.as_bytes(), value.trim_start_matches('$').as_bytes()])?;
    }
    for key in &keys[20..40] {
        node.ask(&[b"DEL", key.as_bytes()])?;
    }
    for key in &keys[40..] {
        node.ask(&[b"SET", key.as_bytes(), b"foreign"])?;
    }
    run_for(SECOND);
    let report = load.stop()?;
    ensure!(report.old_values > 0, "no old value noticed");
    ensure!(report.unexpected_misses > 0, "no miss noticed");
    ensure!(report.wrong_values > 0, "no foreign value noticed");
    ensure!(report.errors == 0 && report.clean().is_err());
    Ok(())
}

#[test]
fn verify_counts_lost_values_and_says_so_by_its_exit_code() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(1, "128Mi"), 1)?;
    let load = Load::verify(cluster.dir(), &cluster.seeds()?, KEYS, &[])?;
    run_for(SECOND);
    let reply = Connection::open(cluster.nodes()?[0].ports.resp)?.ask(&[b"FLUSHALL"])?;
    ensure!(reply == "+OK", "{reply}");
    run_for(SECOND);
    // `stop` compares the exit code with the counts.
    let report = load.stop()?;
    ensure!(report.unexpected_misses > 0, "no miss noticed after FLUSHALL");
    Ok(())
}

#[test]
fn raw_clients_count_lost_values_and_connections_that_stock_clients_open_again() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(1, "128Mi"), 1)?;
    let load = Load::raw(cluster.dir(), &cluster.seeds()?, KEYS, &[])?;
    run_for(SECOND);
    let mut node = Connection::open(cluster.nodes()?[0].ports.resp)?;
    let killed = node.ask(&[b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes"])?;
    ensure!(killed != ":0", "{killed}");
    let reply = node.ask(&[b"FLUSHALL"])?;
    ensure!(reply == "+OK", "{reply}");
    run_for(SECOND);
    let report = load.stop()?;
    ensure!(report.unexpected_misses > 0, "no miss noticed after FLUSHALL");
    ensure!(report.faults.contains_key("closed"), "no closed connection noticed");
    Ok(())
}
