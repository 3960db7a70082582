//! Messages as earlier versions wrote them: operators and nodes of different versions read each other. A recorded file is never
//! changed; a version that writes something else adds a folder.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]

use ringcache_api::admin::{KnownSettings, NodeState, Settings, SettingsFor};
use ringcache_api::{Document, Incarnation};
use serde_json::{Value, json};

const STATE: &str = include_str!("recorded/0.1/state.json");
const SETTINGS: &str = include_str!("recorded/0.1/settings.json");
const RING: &str = include_str!("recorded/0.1/ring.json");

const WANTED: Settings = Settings { ttl_default_seconds: 300, ttl_jitter_percent: 20 };

/// The object without these of its fields.
fn without(text: &str, fields: &[&str]) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap();
    for field in fields {
        value.as_object_mut().unwrap().remove(*field).unwrap();
    }
    value
}

#[test]
fn the_state_of_a_node_of_version_0_1_is_read_to_the_last_field() {
    let state: NodeState = serde_json::from_str(STATE).unwrap();
    assert_eq!(json!(state), serde_json::from_str::<Value>(STATE).unwrap());
    assert_eq!((state.program.as_str(), state.settings), ("0.1.0", WANTED.into()));
}

#[test]
fn the_state_of_a_node_is_read_without_what_came_later_and_with_what_is_yet_to_come() {
    let mut older = without(STATE, &["heard", "draining"]);
    older["ownership"].as_object_mut().unwrap().remove("sealed");
    older["settings"].as_object_mut().unwrap().remove("ttlJitterPercent");
    let state: NodeState = serde_json::from_value(older).unwrap();
    assert!(state.heard.is_empty() && !state.draining && state.ownership.sealed.is_empty());
    assert_eq!(state.settings.lacking(WANTED), ["ttlJitterPercent"]);
    let mut newer = without(STATE, &[]);
    for part in ["", "/ownership", "/settings", "/stats", "/heard/0"] {
        newer.pointer_mut(part).unwrap()["newer"] = json!({ "than": ["this"] });
    }
    let state: NodeState = serde_json::from_value(newer).unwrap();
    assert_eq!(json!(state), serde_json::from_str::<Value>(STATE).unwrap());
}

#[test]
fn the_settings_that_an_operator_of_version_0_1_sends_are_read() {
    let asked: SettingsFor = serde_json::from_str(SETTINGS).unwrap();
    let to = Some(Incarnation::new("4f0c3a52-6d0e-4c8b-9b1e-0d1f6a6f7a11", "1764424800000"));
    assert_eq!(asked, SettingsFor { to, settings: WANTED.into() });
    let none: SettingsFor = serde_json::from_str("{}").unwrap();
    assert_eq!(none, SettingsFor { to: None, settings: KnownSettings::default() });
}

#[test]
fn a_ring_document_of_version_0_1_is_read_and_written_as_it_was() {
    let document = Document::parse(RING.as_bytes()).unwrap();
    assert_eq!((document.epoch, document.members.len()), (7, 1));
    assert_eq!(document.to_json().trim(), RING.trim());
}
