//! The metrics and their page.

use std::collections::BTreeSet;
use std::fmt::Write;

use tokio::sync::mpsc;

use super::*;
use crate::http::tests::node;
use crate::served::{Batch, ERRORS};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md"));

fn sample_node() -> std::sync::Arc<Node> {
    let (control, _) = mpsc::channel(1);
    node("oak-0", &[], control)
}

fn value(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned)
}

#[test]
fn the_page_has_the_table_as_it_is() {
    let mut table = String::from("| metric | type | meaning |\n| --- | --- | --- |\n");
    for row in TABLE {
        let kind = if row.kind == MetricType::COUNTER { "counter" } else { "gauge" };
        writeln!(table, "| `{}` | {kind} | {} |", row.name, row.help).unwrap();
    }
    for Labelled { name, kind, help, .. } in LABELLED {
        let kind = match kind {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            _ => "histogram",
        };
        writeln!(table, "| `{name}` | {kind} | {help} |").unwrap();
    }
    assert!(PAGE.contains(&table), "docs/metrics.md must contain this table:\n{table}");
    for desc in ProcessCollector::for_self().desc() {
        assert!(
            PAGE.contains(&format!("`{}`", desc.fq_name)),
            "{} is not on the page",
            desc.fq_name
        );
    }
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    let names: BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), TABLE.len(), "a name is there twice");
    for row in TABLE {
        assert!(row.name.starts_with("ringcache_"), "{}", row.name);
        assert_eq!(row.name.ends_with("_total"), row.kind == MetricType::COUNTER, "{}", row.name);
        assert!(row.help.ends_with('.'), "{}", row.name);
    }
}

#[test]
fn each_metric_has_help_type_and_value() {
    let text = render(&sample_node(), Some(&Ownership::default()));
    for row in TABLE {
        assert!(text.contains(&format!("# HELP {} ", row.name)), "{}", row.name);
        assert!(text.contains(&format!("# TYPE {} ", row.name)), "{}", row.name);
        assert!(value(&text, row.name).is_some(), "{}", row.name);
    }
    assert!(value(&text, "process_resident_memory_bytes").is_some());
}

#[test]
fn values_are_those_of_the_node() {
    let node = sample_node();
    let now = node.clock.unix_ms();
    node.store.lock(1).set(b"a", b"1", None, now);
    node.store.lock(1).set(b"b", b"1", None, now);
    node.store.lock(1).remove(b"b", now);
    for key in [b"a", b"a", b"c"] {
        node.store.lock(1).get(key, now);
    }
    node.counters.commands.store(9_007_199_254_740_991, Ordering::Relaxed);
    let owned = Ownership { owned: vec![(0, 9), (20, 20)], handed_in: 3, ..Ownership::default() };
    let text = render(&node, Some(&owned));
    for (name, expected) in [
        ("ringcache_up", "1"),
        ("ringcache_db_keys", "1"),
        ("ringcache_keys_written_total", "2"),
        ("ringcache_deleted_keys_total", "1"),
        ("ringcache_keyspace_hits_total", "2"),
        ("ringcache_keyspace_misses_total", "1"),
        ("ringcache_memory_max_bytes", "268435456"),
        ("ringcache_slots_owned", "11"),
        ("ringcache_slots_handed_in_total", "3"),
        ("ringcache_commands_processed_total", "9007199254740991"),
    ] {
        assert_eq!(value(&text, name).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn errors_and_times_have_a_series_for_each_kind_from_the_beginning() {
    let node = sample_node();
    let text = render(&node, None);
    for error in ERRORS {
        let series = format!("ringcache_errors_total{{err=\"{error}\"}}");
        assert_eq!(value(&text, &series).as_deref(), Some("0"));
    }
    let mut batch = Batch::default();
    batch.reads = 3;
    batch.error(b"OOM no memory");
    node.served.of_thread().lock().add(&batch, Some(100));
    let now = node.clock.unix_ms();
    for _ in 0..1_000 {
        node.store.lock(1).set(b"hot", b"1", None, now);
    }
    node.store.set_budget(0);
    // In the middle of a bucket: the store keeps the time of a use in steps.
    node.store.reclaim(now + 3_000, 1);
    let text = render(&node, None);
    for (series, expected) in [
        ("ringcache_errors_total{err=\"OOM\"}", "1"),
        ("ringcache_request_duration_seconds_bucket{op=\"read\",le=\"0.000064\"}", "0"),
        ("ringcache_request_duration_seconds_bucket{op=\"read\",le=\"0.000128\"}", "3"),
        ("ringcache_request_duration_seconds_bucket{op=\"read\",le=\"16.777216\"}", "3"),
        ("ringcache_request_duration_seconds_bucket{op=\"read\",le=\"+Inf\"}", "3"),
        ("ringcache_request_duration_seconds_sum{op=\"read\"}", "0.0003"),
        ("ringcache_request_duration_seconds_count{op=\"write\"}", "0"),
        ("ringcache_unused_when_ended_seconds_bucket{end=\"evicted\",le=\"2.048\"}", "0"),
        ("ringcache_unused_when_ended_seconds_bucket{end=\"evicted\",le=\"4.096\"}", "1"),
        ("ringcache_hot_key_share_ratio{rank=\"1\"}", "1"),
        ("ringcache_hot_key_share_ratio{rank=\"10\"}", "0"),
    ] {
        assert_eq!(value(&text, series).as_deref(), Some(expected), "{series}");
    }
}

#[test]
fn what_is_not_known_is_left_out_instead_of_shown_as_0() {
    let text = render(&sample_node(), None);
    assert_eq!(value(&text, "ringcache_slots_owned"), None);
    assert!(value(&text, "ringcache_up").is_some());
}
