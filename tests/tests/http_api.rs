//! HTTP/JSON through a real cluster: any node answers for any key, and both protocols see the same data.

use anyhow::{Result, ensure};
use ringcache_tests::resp::Connection;
use ringcache_tests::{Cluster, NodeRecord, http};

#[test]
fn any_node_answers_for_any_key_in_the_same_words() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(3, "128Mi"), 3)?;
    let nodes = cluster.nodes()?;
    let keys: Vec<String> = (0..20).map(|n| format!("any%20key:{n}")).collect();
    for (n, key) in keys.iter().enumerate() {
        let body = format!("{{\"value\":{{\"n\":{n}}},\"ttlSeconds\":1000}}");
        let put = http::request(nodes[n % 3].ports.http, "PUT", &format!("/cache/{key}"), &body)?;
        ensure!(put.status == 200, "{put:?}");
        let wanted = format!("{{\"key\":\"any key:{n}\",\"value\":{{\"n\":{n}}},\"ttlSeconds\":");
        for node in &nodes {
            let got = http::request(node.ports.http, "GET", &format!("/cache/{key}"), "")?;
            ensure!(got.status == 200 && got.body.starts_with(&wanted), "{}: {got:?}", node.name);
        }
    }
    batch_get(&nodes)?;
    for (n, key) in keys.iter().enumerate() {
        let path = format!("/cache/{key}");
        let deleted = http::request(nodes[(n + 1) % 3].ports.http, "DELETE", &path, "")?;
        ensure!(
            deleted.body == format!("{{\"key\":\"any key:{n}\",\"deleted\":true}}"),
            "{deleted:?}"
        );
        for node in &nodes {
            let got = http::request(node.ports.http, "GET", &path, "")?;
            ensure!(got.status == 404 && got.body.contains("NotFound"), "{}: {got:?}", node.name);
        }
    }
    Ok(())
}

/// A batch over keys of all nodes is answered in the order asked, from every node alike.
fn batch_get(nodes: &[NodeRecord]) -> Result<()> {
    let keys: Vec<String> = (0..25).rev().map(|n| format!("any key:{n}")).collect();
    let body = serde_json::json!({ "keys": keys }).to_string();
    for node in nodes {
        let got = http::request(node.ports.http, "POST", "/cache/batch-get", &body)?;
        let json: serde_json::Value = serde_json::from_str(&got.body)?;
        let list = |name: &str| json[name].as_array().cloned().unwrap_or_default();
        let found: Vec<_> = list("entries").iter().map(|e| e["key"].clone()).collect();
        ensure!(got.status == 200 && found == keys[5..], "{}: {got:?}", node.name);
        ensure!(list("missing") == keys[..5], "{}: {got:?}", node.name);
    }
    Ok(())
}

#[test]
fn both_protocols_see_the_same_entries() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(1, "128Mi"), 1)?;
    let ports = cluster.nodes()?[0].ports;
    let mut redis = Connection::open(ports.resp)?;

    let put = http::request(ports.http, "PUT", "/cache/both", "{\"value\":[1,2.50,\"x\"]}")?;
    ensure!(put.body == "{\"key\":\"both\",\"ttlSeconds\":null}", "{put:?}");
    ensure!(redis.ask(&[b"GET", b"both"])? == "$[1,2.50,\"x\"]");
    ensure!(redis.ask(&[b"SET", b"both", b"no json"])? == "+OK");
    let got = http::request(ports.http, "GET", "/cache/both", "")?;
    ensure!(got.body == "{\"key\":\"both\",\"value\":\"no json\",\"ttlSeconds\":null}", "{got:?}");
    ensure!(redis.ask(&[b"DEL", b"both"])? == ":1");
    ensure!(http::request(ports.http, "GET", "/cache/both", "")?.status == 404);
    Ok(())
}

#[test]
fn metrics_of_every_node_are_readable_by_prometheus() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(2, "128Mi"), 2)?;
    let mut slots = 0;
    for node in cluster.nodes()? {
        let answer = http::request(node.ports.admin, "GET", "/metrics", "")?;
        ensure!(answer.status == 200 && answer.head.contains("text/plain"), "{}", answer.head);
        let samples = answer.body.lines().filter(|line| !line.starts_with('#'));
        for line in samples {
            let value = line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
            ensure!(value.is_some(), "not a sample: {line}");
            if line.starts_with("ringcache_slots_owned ") {
                slots += value.unwrap_or(0.0) as u32;
            }
        }
        for path in ["/healthz", "/readyz"] {
            ensure!(http::request(node.ports.admin, "GET", path, "")?.status == 200, "{path}");
        }
    }
    ensure!(slots == 16_384, "ringcache_slots_owned adds up to {slots}");
    Ok(())
}
