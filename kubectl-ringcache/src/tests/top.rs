//! One look of `top`.

use std::time::Duration;

use ringcache_operator::Clock;
use serde_json::Value;
use tokio::time::advance;

use super::parsed;
use super::server::{NAMESPACE, Server, proxy};
use crate::args::Verb;
use crate::look::eyes;
use crate::proxy::Proxy;
use crate::top::{Before, frame};

async fn seen(server: &Server, command: &[&str]) -> Result<String, String> {
    seen_after(server, command, &mut Before::new()).await
}

async fn seen_after(
    server: &Server,
    command: &[&str],
    before: &mut Before,
) -> Result<String, String> {
    let args = parsed(command)?;
    let Verb::Top(asked) = &args.verb else { return Err("another verb".to_owned()) };
    let mut eyes = eyes(&Proxy::new(server.client(), NAMESPACE), false).await;
    eyes.clock = Clock::virtual_from("2026-01-01T12:00:05Z".parse().expect("a time"));
    Box::pin(frame(asked, &eyes, "web", before)).await.map_err(|error| format!("{error:#}"))
}

#[tokio::test(start_paused = true)]
async fn a_look_has_the_totals_and_what_each_node_tells() {
    let server = Server::new();
    server.cluster(NAMESPACE, "web", 2);
    for pod in ["web-0", "web-1"] {
        server.pod("web", pod);
    }
    server.node("web", "web-0", "a key");
    let text = seen(&server, &["top", "web"]).await.expect("shown");
    let lines: Vec<&str> = text.lines().collect();
    let first = "web at 2026-01-01T12:00:05Z: 1 of 2 nodes answer, entries take 1.0Mi of ";
    assert!(lines[0].starts_with(first), "{text}");
    assert!(
        lines[1].starts_with("100 operations/s; 75.0 % hits; slowest p99: reads 120us"),
        "{text}"
    );
    let cells: Vec<&str> = lines[4].split_whitespace().collect();
    assert_eq!(cells[..6], ["web-0", "Spare", "100", "75.0", "50.0", "1.0Mi"], "{text}");
    assert!(lines[5].starts_with("web-1  Starting      -"), "{text}");
    server.was_only_read();
}

#[tokio::test(start_paused = true)]
async fn looks_in_yaml_are_documents_of_one_stream() {
    let server = Server::new();
    server.cluster(NAMESPACE, "web", 1);
    let yaml = seen(&server, &["top", "web", "-o", "yaml"]).await.expect("shown");
    assert!(yaml.starts_with("---\n"), "{yaml}");
    let once = seen(&server, &["top", "web", "--once", "-o", "yaml"]).await.expect("shown");
    let once: Value = serde_saphyr::from_str(&once).expect("YAML");
    assert_eq!(once["totals"]["nodes"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_has_gone_is_an_error_of_that_look() {
    let error = seen(&Server::new(), &["top", "web"]).await.expect_err("it is not there");
    assert_eq!(error, "there is no CacheCluster `web` in the namespace `shop`");
}

#[tokio::test(start_paused = true)]
async fn operations_follow_from_look_to_look_and_begin_anew_with_another_process() {
    let server = Server::new();
    server.cluster(NAMESPACE, "web", 1);
    server.pod("web", "web-0");
    server.node("web", "web-0", "a key");
    let counts = |requests: u64| {
        let metrics = format!(
            "ringcache_uptime_in_seconds 13\nringcache_request_duration_seconds_count{{op=\"read\"}} {requests}\n"
        );
        server.answers(&format!("{}/metrics", proxy("web-0")), 200, &metrics);
    };
    let mut before = Before::new();
    let mut operations = async |requests| {
        counts(requests);
        let seen = seen_after(&server, &["top", "web", "--once", "-o", "json"], &mut before).await;
        advance(Duration::from_secs(2)).await;
        let seen: Value = serde_json::from_str(&seen.expect("shown")).expect("JSON");
        seen["nodes"][0]["operationsPerSecond"].as_f64().map(f64::round)
    };
    assert_eq!(operations(6500).await, Some(500.0), "in the 13 seconds of its life");
    assert_eq!(operations(6600).await, Some(50.0), "in two seconds");
    assert_eq!(operations(6600).await, Some(0.0));
    assert_eq!(operations(10).await, Some(500.0), "the counter went back");
}
