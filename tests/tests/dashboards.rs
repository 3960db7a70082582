//! Every line of the dashboards of nodes and their clients has data in a real Prometheus that scrapes a real cluster under load.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_tests::clock::wait_for;
use ringcache_tests::process::Running;
use ringcache_tests::resp::Connection;
use ringcache_tests::{Cluster, tool};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Longest time until everything has happened that a line shows, and was scraped.
const LIMIT: Duration = Duration::from_mins(2);
/// What dashboards choose from at their top, and over which time they take rates.
const CHOSEN: [(&str, &str); 5] = [
    ("$job", ".+"),
    ("$instance", ".+"),
    ("$namespace", ".+"),
    ("$cluster", ".+"),
    ("$__rate_interval", "10s"),
];
/// The dashboard of the operator, which does not run here.
const OF_THE_OPERATOR: &str = "ringcache-operator.json";

/// The expressions of all dashboards, as a person sees them who has chosen everything.
fn expressions() -> Result<BTreeSet<String>> {
    let folder = tool::workspace().join("charts/ringcache/dashboards");
    let mut found = BTreeSet::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        if file.file_name() == OF_THE_OPERATOR {
            continue;
        }
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(file.path())?)?;
        let panels = dashboard["panels"].as_array().context("no panels")?;
        let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
        for expression in targets.filter_map(|target| target["expr"].as_str()) {
            let chosen = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
            found.insert(CHOSEN.iter().fold(expression.to_owned(), chosen));
        }
    }
    ensure!(found.len() > 50, "{found:#?}");
    Ok(found)
}

fn load(cluster: &Cluster) -> Result<(Running, u16)> {
    let mut command = tool::ringcache()?;
    // More than fits, and what is read often lives until it expires.
    command.args(["load", "--rate", "1500", "--keys", "4000", "--value-bytes", "50000..70000"]);
    command.args(["--ttl", "20s", "--origin-ms", "1", "--metrics-port", "0", "--duration", "5m"]);
    command.arg("--state-dir").arg(cluster.state_dir());
    let load = Running::spawn(command, cluster.dir(), "load")?;
    let port = wait_for("the port of the metrics is printed", LIMIT, || {
        let said = load.stderr() + &load.stdout();
        let after = said.split_once("metrics: http://127.0.0.1:").map(|(_, rest)| rest.to_owned());
        let port = after.and_then(|rest| rest.split_once('/')?.0.parse().ok());
        Ok(port.ok_or(said))
    })?;
    Ok((load, port))
}

/// A Prometheus that scrapes the nodes and the load once a second, and its port.
fn prometheus(cluster: &Cluster, load: u16) -> Result<(Running, u16)> {
    let targets = cluster.nodes()?.iter().map(|node| local(node.ports.admin)).collect::<Vec<_>>();
    let labels = json!({"namespace": "default", "ringcache_dev_cluster": "web"});
    let config = json!({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {"job_name": "nodes", "static_configs": [{"targets": targets, "labels": labels}]},
            {"job_name": "clients", "static_configs": [{"targets": [local(load)]}]},
        ],
    });
    let file = cluster.dir().join("prometheus.yaml");
    fs::write(&file, config.to_string())?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut command = Command::new(tool::prometheus()?);
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", cluster.dir().join("prometheus").display()));
    command.arg(format!("--web.listen-address={}", local(port)));
    Ok((Running::spawn(command, cluster.dir(), "prometheus")?, port))
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// The numbers that an expression has now.
fn numbers(port: u16, expression: &str) -> Result<Vec<f64>> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--get", "--data-urlencode"]);
    curl.arg(format!("query={expression}")).arg(format!("http://{}/api/v1/query", local(port)));
    let answer: Value = serde_json::from_str(&tool::output(&mut curl)?)?;
    ensure!(answer["status"] == "success", "{expression}: {answer}");
    let series = answer["data"]["result"].as_array().context("no result")?;
    let number = |series: &Value| series["value"][1].as_str().and_then(|text| text.parse().ok());
    Ok(series.iter().filter_map(number).collect())
}

#[test]
fn every_line_of_the_dashboards_has_data_of_a_cluster_under_load() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(2, "64Mi"), 2)?;
    let (mut load, metrics) = load(&cluster)?;
    let (mut prometheus, port) = prometheus(&cluster, metrics)?;
    wait_for("Prometheus answers", LIMIT, || {
        ensure!(prometheus.ended()?.is_none(), "it has ended: {}", prometheus.stderr());
        Ok(numbers(port, "vector(1)").map(drop).map_err(|error| format!("{error:#}")))
    })?;
    let mut wrong = Connection::open(cluster.nodes()?.first().context("no node")?.ports.resp)?;
    let mut missing = expressions()?;
    wait_for("every line has data", LIMIT, || {
        // An error, again and again: a rate needs two values that differ in time.
        wrong.ask(&[b"GET"])?;
        missing.retain(|expression| {
            let found = numbers(port, expression).unwrap_or_default();
            !found.iter().any(|number| number.is_finite())
        });
        Ok(if missing.is_empty() { Ok(()) } else { Err(format!("{missing:#?}")) })
    })?;
    load.signal(Signal::INT)?;
    prometheus.signal(Signal::TERM)?;
    load.wait(LIMIT)?;
    prometheus.wait(LIMIT)?;
    Ok(())
}
