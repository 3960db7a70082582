//! `ringcache load`: what it shows of a cache is what is there, scaling causes it no error, and without a cache it asks the origin.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_tests::clock::{run_for, wait_for};
use ringcache_tests::process::Running;
use ringcache_tests::{Cluster, http, tool};
use rustix::process::Signal;
use serde::Deserialize;

const SECOND: Duration = Duration::from_secs(1);
/// Longest start, scaling, or end of a load whose time is over.
const LIMIT: Duration = Duration::from_mins(1);
const CONNECTIONS: u64 = 16;

/// What `ringcache load --json` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    requests: u64,
    hits: u64,
    misses: u64,
    errors: u64,
    origin_reads: u64,
    first_error: Option<String>,
    seconds: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    keys: u64,
    hit_ratio: Option<f64>,
}

fn start(cluster: &Cluster, more: &[&str]) -> Result<Running> {
    let mut command = tool::ringcache()?;
    command.args(["load", "--json", "--rate", "400", "--origin-ms", "5"]);
    command.args(["--connections", &CONNECTIONS.to_string()]);
    command.arg("--state-dir").arg(cluster.state_dir()).args(more);
    Running::spawn(command, cluster.dir(), "load")
}

/// Its report, once it has ended well.
fn report(load: &mut Running) -> Result<Report> {
    let status = load.wait(LIMIT)?;
    ensure!(status.success(), "the load ended with {status}: {}", load.stderr());
    serde_json::from_str(&load.stdout()).with_context(|| load.stdout())
}

/// The same of a load that saw no error, and whose numbers agree with each other.
fn clean_report(load: &mut Running) -> Result<Report> {
    let report = report(load)?;
    ensure!(report.errors == 0, "{} errors, first {:?}", report.errors, report.first_error);
    // Each connection may have been between two steps of a request when the load ended.
    ensure!(report.origin_reads.abs_diff(report.misses) <= CONNECTIONS, "{report:?}");
    ensure!(report.requests.abs_diff(report.hits + report.misses) <= CONNECTIONS, "{report:?}");
    Ok(report)
}

fn port(load: &Running) -> Result<u16> {
    wait_for("the port of the metrics is printed", LIMIT, || {
        let said = load.stderr();
        let after = said.split_once("metrics: http://127.0.0.1:").and_then(|(_, rest)| {
            rest.split_once("/metrics\n").and_then(|(port, _)| port.parse().ok())
        });
        Ok(after.ok_or(said))
    })
}

fn value(text: &str, series: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("no {series} in {text}"))?.parse()?)
}

#[test]
fn a_load_fills_a_cache_shows_it_and_ends_by_itself() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(2, "128Mi"), 2)?;
    let more = ["--phases", "6s:50,2s:1000", "--metrics-port", "0", "--seed", "1"];
    let mut load = start(&cluster, &more)?;
    let port = port(&load)?;
    run_for(3 * SECOND);
    let scraped = http::request(port, "GET", "/metrics", "")?;
    ensure!(scraped.status == 200 && scraped.head.contains("text/plain"), "{}", scraped.head);
    ensure!(http::request(port, "GET", "/", "")?.status == 404);

    let report = clean_report(&mut load)?;
    let [hits, misses] = ["hit", "miss"]
        .map(|result| format!(r#"cache_requests_total{{layer="L2",ns="load",result="{result}"}}"#))
        .map(|series| value(&scraped.body, &series));
    let (hits, misses) = (hits?, misses?);
    ensure!(0 < hits && hits <= report.hits, "{hits} hits of {}", report.hits);
    ensure!(0 < misses && misses <= report.misses, "{misses} misses of {}", report.misses);
    let reads = value(&scraped.body, r#"cache_op_seconds_count{layer="L2",op="get"}"#)?;
    ensure!(reads == hits + misses, "{reads} reads, {hits} hits, {misses} misses");
    let loads = value(&scraped.body, "cache_load_seconds_count")?;
    ensure!(loads.abs_diff(misses) <= CONNECTIONS, "{loads} loads of {misses} misses");
    ensure!(value(&scraped.body, "cache_fallback_total")? == 0);

    let keys: Vec<u64> = report.seconds.iter().map(|row| row.keys).collect();
    ensure!(keys == [50, 50, 50, 50, 50, 50, 1000, 1000], "{keys:?}");
    let ratio = |second: usize| report.seconds[second].hit_ratio.context("nothing was read");
    ensure!(ratio(0)? < ratio(5)?, "{:?}", report.seconds);
    ensure!(ratio(5)? > 0.8, "nearly all of the 50 keys are there: {:?}", report.seconds);
    ensure!(ratio(6)? < ratio(5)?, "new keys are missed: {:?}", report.seconds);
    Ok(())
}

#[test]
fn clients_of_a_load_follow_a_scaling_without_an_error() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(2, "128Mi"), 2)?;
    let mut load = start(&cluster, &["--shift", "1s:10", "--scan", "10"])?;
    run_for(SECOND);
    for nodes in [3, 2] {
        cluster.edit(&Cluster::spec(nodes, "128Mi"))?;
        cluster.wait_converged(nodes, LIMIT)?;
        run_for(SECOND);
    }
    ensure!(load.ended()?.is_none(), "it ended without being told to: {}", load.stderr());
    load.signal(Signal::INT)?;
    let report = clean_report(&mut load)?;
    ensure!(report.hits > 0 && report.misses > 0, "{report:?}");
    Ok(())
}

#[test]
fn a_load_whose_cache_is_gone_reads_the_origin_instead() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(2, "128Mi"), 2)?;
    let mut load = start(&cluster, &["--metrics-port", "0"])?;
    let port = port(&load)?;
    run_for(SECOND);
    cluster.kill_up()?;
    for node in cluster.nodes()? {
        cluster.kill_node(&node)?;
    }
    wait_for("the origin is asked without a cache", LIMIT, || {
        let scraped = http::request(port, "GET", "/metrics", "")?.body;
        let fallbacks = value(&scraped, "cache_fallback_total")?;
        Ok(if fallbacks > 100 { Ok(()) } else { Err(format!("{fallbacks} times")) })
    })?;
    load.signal(Signal::INT)?;
    let report = report(&mut load)?;
    ensure!(report.errors > 100 && report.first_error.is_some(), "{report:?}");
    ensure!(report.origin_reads > report.misses, "{report:?}");
    Ok(())
}
