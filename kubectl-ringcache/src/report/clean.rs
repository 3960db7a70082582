//! What is taken out of everything that goes into an archive.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// What stands where something was.
const REMOVED: &str = "removed";
/// Shorter values that were removed may stand elsewhere by chance.
const MIN_WIPED: usize = 8;
/// The container whose command line is the operator's own.
const NODE: &str = ringcache_api::cluster::NODE_CONTAINER;
/// What the names of variables begin with that the operator gives to nodes.
const OWN_VARIABLES: &str = ringcache_api::cluster::OWN_VARIABLES;
/// Annotations and labels of ours begin like this.
const OURS: &str = "ringcache.dev/";
/// Fingerprints of what a pod was started as: values went into them, and short values could be found by trying.
const FINGERPRINTS: [&str; 3] =
    ["ringcache.dev/fields", "ringcache.dev/template", "ringcache.dev/template-hash"];
/// Lists whose items have a name and a value.
const NAMED_VALUES: [&str; 2] = ["env", "httpHeaders"];
/// Objects all of whose values are somebody's own.
const OWN_VALUES: [&str; 2] = ["options", "volumeAttributes"];
/// What became of containers, where some of them quote their last lines.
const STATUSES: [&str; 3] =
    ["containerStatuses", "ephemeralContainerStatuses", "initContainerStatuses"];

/// Takes values out, and remembers them.
#[derive(Debug)]
pub(super) struct Cleaner {
    salt: [u8; 32],
    /// Values that must not stand elsewhere either.
    wiped: BTreeSet<String>,
}

impl Cleaner {
    /// One for each archive: the salt is random and kept nowhere.
    pub(super) fn new(salt: [u8; 32]) -> Self {
        Self { salt, wiped: BTreeSet::new() }
    }

    /// What stands for a key: the same for equal ones, and of no use to whoever does not have the salt.
    pub(super) fn hash(&self, text: &str) -> String {
        let hash = Sha256::new().chain_update(self.salt).chain_update(text).finalize();
        let number = hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        format!("hash-{number:016x}")
    }

    /// Takes values out of an object of Kubernetes, also where it is quoted as JSON in a text.
    pub(super) fn object(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => self.fields(fields),
            Value::Array(items) => items.iter_mut().for_each(|item| self.object(item)),
            Value::String(text) if text.starts_with(['{', '[']) => {
                if let Ok(quoted) = serde_json::from_str::<Value>(text) {
                    let mut cleaned = quoted.clone();
                    self.object(&mut cleaned);
                    // What has nothing to hide stays word by word.
                    if cleaned != quoted {
                        *text = cleaned.to_string();
                    }
                }
            }
            _ => {}
        }
    }

    fn fields(&mut self, fields: &mut Map<String, Value>) {
        fields.remove("managedFields");
        if fields.get("regarding").is_some_and(|about| tells_of_others(about, fields.get("reason")))
            && let Some(note) = fields.get_mut("note")
        {
            *note = REMOVED.into();
        }
        let is_node = fields.get("name").is_some_and(|name| name == NODE);
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("annotations" | "labels", Value::Object(marks)) => {
                    let are_values = name == "annotations";
                    marks.iter_mut().for_each(|(key, mark)| self.mark(key, mark, are_values));
                }
                ("args" | "command", Value::Array(words)) if !is_node => {
                    for word in words {
                        self.remove(word);
                    }
                }
                (name, Value::Array(items)) if NAMED_VALUES.contains(&name) => {
                    for item in items {
                        self.named_value(item);
                    }
                }
                (name, Value::Object(values)) if OWN_VALUES.contains(&name) => {
                    values.values_mut().for_each(|value| self.remove(value));
                }
                (name, Value::Array(items)) if STATUSES.contains(&name) => {
                    for item in items {
                        self.container_status(item);
                    }
                }
                ("httpGet", Value::Object(get)) => {
                    if let Some(Value::String(path)) = get.get_mut("path") {
                        self.query(path);
                    }
                    self.fields(get);
                }
                (_, value) => self.object(value),
            }
        }
    }

    /// Containers beside the node say what they want, for example in the last lines of a log.
    fn container_status(&mut self, status: &mut Value) {
        let is_node = status.get("name").is_some_and(|name| name == NODE);
        for when in ["state", "lastState"] {
            let told = status.get_mut(when).and_then(Value::as_object_mut);
            let told = told.into_iter().flat_map(Map::values_mut).filter(|_| !is_node);
            told.filter_map(|it| it.get_mut("message")).for_each(|text| self.remove(text));
        }
        self.object(status);
    }

    /// What a probe sends after the path.
    fn query(&mut self, path: &mut String) {
        let Some((before, query)) = path.split_once('?') else { return };
        for part in query.split(['&', '=']).chain([query]) {
            self.remove(&mut part.into());
        }
        *path = format!("{before}?{REMOVED}");
    }

    /// A variable or a header. What the operator gives to nodes, such as the cluster's uid, may stand elsewhere.
    fn named_value(&mut self, item: &mut Value) {
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        let is_own = name.starts_with(OWN_VARIABLES);
        match item.get_mut("value") {
            Some(value) if is_own => *value = REMOVED.into(),
            Some(value) => self.remove(value),
            None => {}
        }
        self.object(item);
    }

    /// A label, or an annotation: those of others hold whatever others want, sometimes a whole object with all its values.
    fn mark(&mut self, key: &str, value: &mut Value, is_annotation: bool) {
        if FINGERPRINTS.contains(&key) {
            *value = self.hash(value.as_str().unwrap_or_default()).into();
        } else if is_annotation && !key.starts_with(OURS) {
            *value = REMOVED.into();
        } else {
            self.object(value);
        }
    }

    fn remove(&mut self, value: &mut Value) {
        match value {
            Value::Null => return,
            Value::String(text) if text.is_empty() => return,
            Value::String(text) if is_telling(text) => {
                self.wiped.insert(text.clone());
            }
            _ => {}
        }
        *value = REMOVED.into();
    }

    /// The text without the values that were removed elsewhere: messages quote them.
    pub(super) fn wipe(&self, text: &str) -> String {
        // The longer ones first: they may contain shorter ones.
        let mut wiped: Vec<&String> = self.wiped.iter().collect();
        wiped.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let mut text = text.to_owned();
        for value in wiped {
            let quoted = Value::String(value.clone()).to_string();
            let quoted = quoted.get(1..quoted.len() - 1).unwrap_or_default();
            for form in [value.as_str(), quoted] {
                if text.contains(form) {
                    text = text.replace(form, REMOVED);
                }
            }
        }
        text
    }

    /// The same for all texts in an object.
    pub(super) fn wipe_all(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => fields.values_mut().for_each(|value| self.wipe_all(value)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.wipe_all(item)),
            Value::String(text) => *text = self.wipe(text),
            _ => {}
        }
    }
}

/// Whether an event may quote what a container beside the node answers to a probe, or why it could not be started.
fn tells_of_others(about: &Value, reason: Option<&Value>) -> bool {
    let container = about.get("fieldPath").and_then(Value::as_str).unwrap_or_default();
    let is_of_node = container.ends_with(&format!("{{{NODE}}}"));
    !is_of_node && (container.contains('{') || reason.is_some_and(|reason| reason == "Unhealthy"))
}

/// Whether a value is worth looking for elsewhere: a plain word, a name or a number stands in many places and tells nobody anything.
fn is_telling(value: &str) -> bool {
    let in_words = |c: char| c.is_ascii_lowercase() || matches!(c, '-' | '.' | '/');
    let in_numbers = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.' | ':');
    value.len() >= MIN_WIPED && !value.chars().all(in_words) && !value.chars().all(in_numbers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cleaner() -> Cleaner {
        Cleaner::new([7; 32])
    }

    fn cleaned(mut value: Value) -> Value {
        cleaner().object(&mut value);
        value
    }

    #[test]
    fn values_of_variables_go_and_names_and_references_stay() {
        let env = json!([
            {"name": "PASSWORD", "value": "Pa55word-1"},
            {"name": "EMPTY", "value": ""},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]);
        let cleaned = cleaned(json!({"spec": {"containers": [{"name": "x", "env": env}]}}));
        let env = &cleaned["spec"]["containers"][0]["env"];
        assert_eq!(env[0], json!({"name": "PASSWORD", "value": "removed"}));
        assert_eq!(env[1]["value"], "");
        assert_eq!(env[2]["valueFrom"]["secretKeyRef"]["name"], "s");
    }

    #[test]
    fn values_go_where_an_object_is_quoted_in_a_text() {
        let spec = json!({"pod": {"env": [{"name": "P", "value": "Pa55word-1"}]}}).to_string();
        let cleaned = cleaned(json!({
            "metadata": {
                "managedFields": [{"manager": "kubectl"}],
                "annotations": {
                    "ringcache.dev/spec": spec,
                    "kubectl.kubernetes.io/last-applied-configuration": spec,
                    "ringcache.dev/fields": "{\"pod.env\":\"0123\"}",
                },
                "labels": {"app": "web", "ringcache.dev/template-hash": "0123"},
            },
        }));
        let annotations = &cleaned["metadata"]["annotations"];
        assert_eq!(
            annotations["ringcache.dev/spec"],
            r#"{"pod":{"env":[{"name":"P","value":"removed"}]}}"#
        );
        assert_eq!(annotations["kubectl.kubernetes.io/last-applied-configuration"], "removed");
        assert!(
            annotations["ringcache.dev/fields"].as_str().is_some_and(|it| it.starts_with("hash-"))
        );
        let labels = &cleaned["metadata"]["labels"];
        assert_eq!(labels["app"], "web");
        assert_ne!(labels["ringcache.dev/template-hash"], "0123");
        assert!(cleaned["metadata"].get("managedFields").is_none());
    }

    #[test]
    fn command_lines_go_but_for_that_of_the_node() {
        let cleaned = cleaned(json!([
            {"name": "cache-node", "args": ["--memory=1Gi"]},
            {"name": "agent", "args": ["--token=abc"], "command": ["sh"]},
            {"csi": {"volumeAttributes": {"share": "//me:pw@host"}}},
        ]));
        assert_eq!(cleaned[0]["args"], json!(["--memory=1Gi"]));
        assert_eq!(cleaned[1]["args"], json!(["removed"]));
        assert_eq!(cleaned[1]["command"], json!(["removed"]));
        assert_eq!(cleaned[2]["csi"]["volumeAttributes"]["share"], "removed");
    }

    #[test]
    fn what_containers_beside_the_node_say_goes_and_what_the_node_says_stays() {
        let status = |name: &str| {
            let ended = json!({"terminated": {"exitCode": 1, "message": "last line: Pa55word-1"}});
            let waits = json!({"waiting": {"reason": "RunContainerError", "message": "sh -c x"}});
            json!({"name": name, "state": waits, "lastState": ended})
        };
        for kind in STATUSES {
            let cleaned = cleaned(json!({ kind: [status("cache-node"), status("agent")] }));
            let (node, agent) = (&cleaned[kind][0], &cleaned[kind][1]);
            assert_eq!(*node, status("cache-node"), "{kind}");
            assert_eq!(agent["lastState"]["terminated"]["message"], REMOVED, "{kind}");
            assert_eq!(agent["lastState"]["terminated"]["exitCode"], 1, "{kind}");
            assert_eq!(agent["state"]["waiting"]["message"], REMOVED, "{kind}");
        }
    }

    #[test]
    fn queries_of_probes_go_wherever_they_are_quoted() {
        let mut cleaner = cleaner();
        let mut probe = json!({"livenessProbe": {"httpGet": {
            "path": "/live?token=Pa55word-1&x=y", "port": 80,
            "httpHeaders": [{"name": "A", "value": "b"}],
        }}});
        cleaner.object(&mut probe);
        let get = &probe["livenessProbe"]["httpGet"];
        assert_eq!(get["path"], "/live?removed");
        assert_eq!(get["httpHeaders"][0]["value"], REMOVED);
        assert_eq!(cleaner.wipe("it is Pa55word-1"), "it is removed");
        let plain = json!({"httpGet": {"path": "/live"}});
        assert_eq!(cleaned(plain.clone()), plain);
    }

    #[test]
    fn events_about_containers_beside_the_node_keep_their_reason_only() {
        let note = |field_path: Value, reason: &str| {
            let about = json!({"name": "web-0", "fieldPath": field_path});
            cleaned(json!({"regarding": about, "reason": reason, "note": "body: x"}))["note"].take()
        };
        assert_eq!(note(json!("spec.containers{agent}"), "Unhealthy"), REMOVED);
        assert_eq!(note(json!("spec.initContainers{agent}"), "Failed"), REMOVED);
        assert_eq!(note(Value::Null, "Unhealthy"), REMOVED);
        assert_eq!(note(Value::Null, "Scheduled"), "body: x");
        assert_eq!(note(json!("spec.containers{cache-node}"), "Unhealthy"), "body: x");
    }

    #[test]
    fn a_value_that_was_removed_stands_nowhere_else_but_a_plain_word_may() {
        let mut cleaner = cleaner();
        let values = ["Pa55\"word-1", "production", "short1", "268435456"];
        let mut env: Vec<Value> = values.map(|value| json!({"name": "N", "value": value})).into();
        env.push(json!({"name": "RINGCACHE_CLUSTER_UID", "value": "0123-abcd"}));
        let mut pod = json!({ "env": env });
        cleaner.object(&mut pod);
        assert!(
            pod["env"].as_array().is_some_and(|env| env.iter().all(|it| it["value"] == REMOVED))
        );
        let log = r#"{"error":"Pa55\"word-1 is wrong"} Pa55"word-1 production short1 268435456 0123-abcd"#;
        let wanted =
            r#"{"error":"removed is wrong"} removed production short1 268435456 0123-abcd"#;
        assert_eq!(cleaner.wipe(log), wanted);
        let mut event = json!({"note": ["it says Pa55\"word-1"]});
        cleaner.wipe_all(&mut event);
        assert_eq!(event["note"][0], "it says removed");
    }

    #[test]
    fn equal_keys_have_equal_hashes_in_one_archive_only() {
        let (one, other) = (cleaner(), Cleaner::new([8; 32]));
        assert_eq!(one.hash("user:1"), one.hash("user:1"));
        assert_ne!(one.hash("user:1"), one.hash("user:2"));
        assert_ne!(one.hash("user:1"), other.hash("user:1"));
        assert_eq!(one.hash("user:1").len(), "hash-".len() + 16);
    }
}
