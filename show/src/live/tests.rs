//! The document of a look, as a page gets it.

use std::time::Duration;

use ringcache_api::CacheClusterSpec;
use ringcache_api::Incarnation;
use ringcache_api::admin::{HotKeyShare, Quantiles, ThreadShare};
use ringcache_operator_core::ObservedNode;

use super::*;
use crate::curve::tests::two_nodes;
use crate::fixture::{document, node, observed};

const SECOND: Duration = Duration::from_secs(1);

fn cluster() -> CacheCluster {
    CacheCluster::new("shop", CacheClusterSpec { nodes: 2, ..Default::default() })
}

fn heat(keys: &[&str]) -> NodeHeat {
    let key = |key: &&str| HotKeyShare {
        key: (*key).to_owned(),
        key_encoding: None,
        key_bytes: key.len() as u64,
        share: 0.25,
    };
    NodeHeat {
        version: 1,
        incarnation: Incarnation::new("shop-0", "1"),
        hot_keys: keys.iter().map(key).collect(),
        busiest_slots: Vec::new(),
        threads: [0.25, 0.5].map(|busy| ThreadShare { name: String::new(), busy }).into(),
        read_microseconds: Some(Quantiles { count: 9, p50: 80, p95: 90, p99: 120, p999: 300 }),
        write_microseconds: None,
        evicted_unused_milliseconds: None,
        expired_unused_milliseconds: None,
        stampedes: 0,
    }
}

/// Two nodes, the second one with so many of the slots that it should have.
fn half_way(arrived: u16) -> Observed {
    let ring = document(&[(0, 8191, "shop-0"), (8192, 16383, "shop-1")]);
    let second: &[(u16, u16)] = if arrived == 0 { &[] } else { &[(16384 - arrived, 16383)] };
    let nodes = vec![node("shop-0", &[(0, 16383 - arrived)], 0), node("shop-1", second, 0)];
    observed(Some(ring), nodes)
}

fn look(
    live: &mut Live,
    observed: &Observed,
    heats: &[(String, NodeHeat)],
    now: Duration,
) -> Value {
    let operation = json!({"type": "ScaleOut", "message": "from 1 to 2 nodes"});
    look_at(live, observed, heats, now, &operation)
}

fn look_at(
    live: &mut Live,
    observed: &Observed,
    heats: &[(String, NodeHeat)],
    now: Duration,
    operation: &Value,
) -> Value {
    let (cluster, measured) = (cluster(), two_nodes());
    let status = serde_json::from_value(json!({ "operation": operation })).expect("a status");
    let seen = Seen {
        cluster: &cluster,
        status: &status,
        observed,
        measured: Some(&measured),
        heats,
        place: Place::Ports,
    };
    live.document(&seen, now)
}

fn count(node: &mut ObservedNode, hits: u64, misses: u64) {
    if let Some(state) = &mut node.state {
        (state.stats.hits, state.stats.misses, state.stats.used_bytes) = (hits, misses, 1 << 20);
    }
}

#[test]
fn a_look_has_ring_nodes_rates_percentiles_curve_and_what_is_under_way() {
    let mut live = Live::default();
    let mut seen = half_way(0);
    let heats = [("shop-0".to_owned(), heat(&["home"]))];
    look(&mut live, &seen, &heats, SECOND);
    count(&mut seen.nodes[0], 30, 10);
    let shown = look(&mut live, &seen, &heats, 2 * SECOND);

    assert_eq!((&shown["name"], &shown["nodesWanted"]), (&json!("shop"), &json!(2)));
    assert_eq!(shown["ring"]["owned"], json!([[0, 16383, 0]]));
    let first = &shown["nodes"][0];
    assert_eq!((&first["slots"], &first["slotsWanted"]), (&json!(16384), &json!(8192)));
    assert_eq!(
        (&first["rates"]["reads"], &first["rates"]["hitRatio"]),
        (&json!(40.0), &json!(0.75))
    );
    assert_eq!((&first["busy"], &first["readMicroseconds"]["p99"]), (&json!(0.5), &json!(120)));
    assert_eq!(first["place"], json!([["Redis", "7000"], ["HTTP", "7200"]]));
    assert_eq!(shown["nodes"][1]["readMicroseconds"], Value::Null, "it did not tell");
    assert_eq!(
        (&shown["totals"]["rates"]["misses"], &shown["totals"]["usedBytes"]),
        (&json!(10.0), &json!(1 << 20))
    );
    assert_eq!(shown["curve"]["sizes"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        (&shown["hotKeys"][0]["key"], &shown["hotKeys"][0]["node"]),
        (&json!("home"), &json!("shop-0"))
    );
    assert_eq!(shown["autoscaling"], Value::Null, "nothing scales it");
}

#[test]
fn progress_goes_by_the_most_slots_that_were_on_their_way() {
    let mut live = Live::default();
    let mut at = |arrived| look(&mut live, &half_way(arrived), &[], SECOND)["operation"].clone();
    let begun = at(0);
    assert_eq!((&begun["slotsToGo"], &begun["slotsAtMost"]), (&json!(8192), &json!(8192)));
    let later = at(8000);
    assert_eq!((&later["slotsToGo"], &later["slotsAtMost"]), (&json!(192), &json!(8192)));
    assert_eq!(
        (&later["reported"]["type"], &later["stalled"]),
        (&json!("ScaleOut"), &json!(false))
    );
}

#[test]
fn progress_begins_anew_with_each_operation_and_waits_for_a_silent_member() {
    let mut live = Live::default();
    let mut at = |seen: &Observed, kind: &str, began: &str| {
        let operation = json!({"type": kind, "message": "", "startedAt": began});
        let shown = look_at(&mut live, seen, &[], SECOND, &operation)["operation"].clone();
        [shown["slotsToGo"].clone(), shown["slotsAtMost"].clone()]
    };
    let (noon, later) = ("2026-01-01T12:00:00Z", "2026-01-01T12:00:09Z");
    let mut silent = half_way(4096);
    silent.nodes[0].state = None;
    assert_eq!(at(&silent, "ScaleOut", noon), [Value::Null, Value::Null]);
    assert_eq!(at(&half_way(4096), "ScaleOut", noon), [json!(4096), json!(4096)]);
    assert_eq!(at(&silent, "ScaleOut", noon), [json!(4096), json!(4096)], "as last known");
    assert_eq!(at(&half_way(8000), "ScaleOut", noon), [json!(192), json!(4096)]);
    assert_eq!(at(&half_way(8000), "ScaleOut", later), [json!(192), json!(192)]);
    assert_eq!(at(&half_way(8100), "Roll", later), [json!(92), json!(92)]);
}

#[test]
fn what_nobody_knows_is_null_and_not_zero() {
    let mut seen = half_way(0);
    seen.nodes[1].state = None;
    let cluster = cluster();
    let shown = Live::default().document(
        &Seen {
            cluster: &cluster,
            status: &CacheClusterStatus::default(),
            observed: &seen,
            measured: None,
            heats: &[],
            place: Place::Host,
        },
        SECOND,
    );
    let silent = &shown["nodes"][1];
    let known = ["state", "answers", "slots", "entries"].map(|field| &silent[field]);
    assert_eq!(known, [&json!("Silent"), &json!(false), &Value::Null, &Value::Null]);
    for field in ["curve", "operation", "summary"] {
        assert_eq!(shown[field], Value::Null, "{field}");
    }
}

#[test]
fn of_keys_that_clients_choose_nothing_is_obeyed_and_a_long_one_is_cut() {
    let evil = format!("<img src=x onerror=alert(1)>\n\u{1b}[2J{}", "ü".repeat(KEY_CHARACTERS));
    let heats = [("shop-0".to_owned(), heat(&[&evil, "b", "c"]))];
    let shown = look(&mut Live::default(), &half_way(0), &heats, SECOND);
    let key = &shown["hotKeys"][0];
    let text = key["key"].as_str().expect("a text");
    assert!(text.starts_with("<img src=x onerror=alert(1)>\u{fffd}\u{fffd}[2J"), "{text}");
    assert_eq!((text.chars().count(), &key["isCut"]), (KEY_CHARACTERS, &json!(true)));
    let many: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(hot_keys(&[("shop-0".to_owned(), heat(&many))]).len(), HOT_KEYS);
}

#[test]
fn a_look_that_failed_says_why() {
    assert_eq!(trouble("no node runs"), json!({"version": VERSION, "trouble": "no node runs"}));
}
