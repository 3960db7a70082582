//! The metrics and their page.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::*;

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operator.md"));

fn table() -> String {
    let mut table =
        String::from("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n");
    for Row { name, kind, labels, help } in &TABLE {
        let kind = format!("{kind:?}").to_lowercase();
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(table, "| `{name}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
    table
}

#[test]
fn the_page_has_the_table_as_it_is() {
    let table = table();
    assert!(PAGE.contains(&table), "docs/operator.md must contain this table:\n{table}");
    for desc in ProcessCollector::for_self().desc() {
        assert!(PAGE.contains(&format!("`{}`", desc.fq_name)), "{} is not there", desc.fq_name);
    }
}

#[test]
fn the_registry_has_the_table_and_nothing_else() {
    let metrics = Metrics::new();
    let counters = [
        (&metrics.reconciles, 2),
        (&metrics.requests, 3),
        (&metrics.errors, 1),
        (&metrics.operations, 1),
        (&metrics.steps, 2),
        (&metrics.repairs, 1),
        (&metrics.status_writes, 1),
        (&metrics.events, 2),
        (&metrics.watch_errors, 1),
    ];
    for (counter, labels) in counters {
        counter.with_label_values(&vec!["a"; labels]).inc();
    }
    let gauges = [
        &metrics.active_workers,
        &metrics.max_workers,
        &metrics.leader,
        &metrics.clusters,
        &metrics.watches_refused,
    ];
    for gauge in gauges {
        gauge.with_label_values(&["a"]).set(1);
    }
    metrics.reconcile_seconds.with_label_values(&["a"]).observe(1.0);
    metrics.watch_age.with_label_values(&["a"]).set(1.0);
    let families = metrics.families();
    let names = families.iter().map(prometheus::proto::MetricFamily::name);
    let ours: BTreeSet<&str> = names.filter(|name| !name.starts_with("process_")).collect();
    assert_eq!(ours, TABLE.iter().map(|row| row.name).collect());
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    let names: BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), TABLE.len(), "a name is there twice");
    for row in &TABLE {
        assert_eq!(row.name.ends_with("_total"), row.kind == Kind::Counter, "{}", row.name);
        assert!(row.help.ends_with('.'), "{}", row.name);
    }
}

#[tokio::test(start_paused = true)]
async fn the_age_of_a_watch_is_counted_when_somebody_looks() {
    let metrics = Metrics::new();
    metrics.progress.expect("/pods", "Pod", true);
    tokio::time::advance(std::time::Duration::from_secs(7)).await;
    let text = metrics.render();
    assert!(text.contains("ringcache_operator_watch_age_seconds{kind=\"Pod\"} 7\n"), "{text}");
}
