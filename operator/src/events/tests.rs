//! Events and their page.

use std::fmt::Write;

use k8s_openapi::jiff::Timestamp;

use super::*;
use crate::testing::{FakeApi, Verdict};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operator.md"));
const PATH: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

#[test]
fn the_page_has_every_reason() {
    let mut table =
        String::from("| reason | type | action | meaning |\n| --- | --- | --- | --- |\n");
    for reason in EventReason::ALL {
        let Facts { name, type_, action, meaning } = reason.facts();
        assert_eq!(name, format!("{reason:?}"));
        writeln!(table, "| `{name}` | {type_} | {action} | {meaning} |").unwrap();
    }
    assert!(PAGE.contains(&table), "docs/operator.md must contain this table:\n{table}");
}

#[test]
fn the_page_has_every_reason_of_a_condition() {
    for reason in ringcache_api::status::reason::ALL {
        assert!(PAGE.contains(&format!("`{reason}`")), "docs/operator.md must explain `{reason}`");
    }
}

fn web() -> ObjectReference {
    ObjectReference {
        name: Some("web".into()),
        namespace: Some("shop".into()),
        uid: Some("u1".into()),
        ..ObjectReference::default()
    }
}

fn events(stub: &FakeApi) -> (Events, EventSender, Metrics) {
    let metrics = Metrics::new();
    let clock = Clock::virtual_from(Timestamp::UNIX_EPOCH);
    let (events, sender) = Events::new(stub.client(), "operator-1", clock, &metrics);
    (events, sender, metrics)
}

#[tokio::test(start_paused = true)]
async fn an_event_says_who_what_and_about_which_pod() {
    let stub = FakeApi::default();
    let (events, mut sender, metrics) = events(&stub);
    let pod = ObjectReference { name: Some("web-1".into()), ..ObjectReference::default() };
    events.tell(&web(), Notice::new(EventReason::PodCreated, "web-1: 256Mi").about(pod));
    drop(events);
    sender.run().await;
    let event = stub.get(&format!("{PATH}/web.00001")).unwrap();
    for (field, expected) in [
        ("/reason", "PodCreated"),
        ("/type", "Normal"),
        ("/action", "CreatePod"),
        ("/note", "web-1: 256Mi"),
        ("/regarding/name", "web"),
        ("/regarding/uid", "u1"),
        ("/related/name", "web-1"),
        ("/reportingController", "ringcache-operator"),
        ("/reportingInstance", "operator-1"),
        ("/eventTime", "1970-01-01T00:00:00.000000Z"),
    ] {
        assert_eq!(event.pointer(field).and_then(|v| v.as_str()), Some(expected), "{field}");
    }
    assert_eq!(metrics.events.with_label_values(&["PodCreated", "success"]).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_events_of_one_reason_are_two_events() {
    let stub = FakeApi::default();
    let (events, mut sender, _) = events(&stub);
    for epoch in 1..=2 {
        events.tell(&web(), Notice::new(EventReason::RingPublished, format!("epoch {epoch}")));
    }
    drop(events);
    sender.run().await;
    let note = |n: u8| stub.get(&format!("{PATH}/web.0000{n}")).unwrap()["note"].clone();
    assert_eq!((note(1), note(2)), ("epoch 1".into(), "epoch 2".into()));
}

#[tokio::test(start_paused = true)]
async fn a_note_too_long_is_cut_where_a_character_ends() {
    let stub = FakeApi::default();
    let (events, mut sender, _) = events(&stub);
    events.tell(&web(), Notice::new(EventReason::StepFailed, "ä".repeat(600) + "a"));
    events.tell(&web(), Notice::new(EventReason::StepFailed, format!("a{}", "ä".repeat(600))));
    drop(events);
    sender.run().await;
    for (name, length) in [("web.00001", 1024), ("web.00002", 1023)] {
        let event = stub.get(&format!("{PATH}/{name}")).unwrap();
        assert_eq!(event["note"].as_str().unwrap().len(), length, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_that_takes_no_events_keeps_nobody_waiting() {
    let stub = FakeApi::default();
    stub.rule(|_| Verdict::Hang);
    let (events, mut sender, metrics) = events(&stub);
    for n in 0..300 {
        events.tell(&web(), Notice::new(EventReason::Repaired, n.to_string()));
    }
    let dropped = metrics.events.with_label_values(&["Repaired", "dropped"]);
    assert_eq!(dropped.get(), 300 - MAX_WAITING as u64);
    let _ = tokio::time::timeout(Duration::from_secs(12), sender.run()).await;
    let failed = metrics.events.with_label_values(&["Repaired", "error"]);
    assert_eq!(failed.get(), 2, "five seconds each");
}

/// The reasons in the first cells of the rows under a heading of the page about troubles.
fn reasons_under(heading: &str) -> Vec<&'static str> {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/troubleshooting.md"));
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut reasons: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
    reasons.sort_unstable();
    reasons
}

#[test]
fn the_page_about_troubles_has_one_row_for_each_reason_and_none_besides() {
    let mut of_conditions = ringcache_api::status::reason::ALL.to_vec();
    of_conditions.sort_unstable();
    assert_eq!(reasons_under("By reason of a condition"), of_conditions);
    let mut of_events = EventReason::ALL.map(EventReason::name).to_vec();
    of_events.sort_unstable();
    assert_eq!(reasons_under("By reason of an event"), of_events);
}
