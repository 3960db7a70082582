//! A pod as the model needs it, read from the stored JSON.

use ringcache_api::Incarnation;
use ringcache_api::admin::Settings;
use ringcache_ring::SlotSet;
use serde_json::Value;
use tokio::time::Instant;

use super::Node;

/// What a pod object says about its process.
pub(crate) struct PodView {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) host: String,
    address: String,
    env: Vec<(String, String)>,
    /// Its container runs, whether the pod is being deleted or not.
    pub(crate) running: bool,
    pub(crate) deleting: bool,
    pub(crate) ready: bool,
}

impl PodView {
    pub(crate) fn read(pod: &Value) -> Self {
        let text = |path: &str| {
            pod.pointer(path).and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
        };
        let variables = pod.pointer("/spec/containers/0/env").and_then(Value::as_array);
        let variable = |v: &Value| {
            Some((
                v["name"].as_str()?.to_owned(),
                v["value"].as_str().unwrap_or_default().to_owned(),
            ))
        };
        let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
        Self {
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
            host: text("/spec/nodeName"),
            address: text("/status/podIP"),
            env: variables.into_iter().flatten().filter_map(variable).collect(),
            running: text("/status/phase") == "Running" && !text("/status/podIP").is_empty(),
            deleting: pod.pointer("/metadata/deletionTimestamp").is_some_and(|v| !v.is_null()),
            ready: conditions
                .into_iter()
                .flatten()
                .any(|c| c["type"] == "Ready" && c["status"] == "True"),
        }
    }

    fn variable(&self, name: &str) -> &str {
        self.env.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The process that the pod's container starts.
    pub(super) fn start(&self, now: Instant) -> Node {
        Node {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            incarnation: Incarnation::new(&self.uid, "1"),
            cluster_uid: self.variable("RINGCACHE_CLUSTER_UID").to_owned(),
            address: self.address.clone(),
            settings: Settings {
                ttl_default_seconds: self
                    .variable("RINGCACHE_TTL_DEFAULT_SECONDS")
                    .parse()
                    .unwrap_or_default(),
                ttl_jitter_percent: self
                    .variable("RINGCACHE_TTL_JITTER_PERCENT")
                    .parse()
                    .unwrap_or_default(),
            },
            known: None,
            owned: SlotSet::new(),
            terminating: None,
            started: now,
            handed_in: 0,
            handed_out: 0,
            adopted: 0,
        }
    }
}
