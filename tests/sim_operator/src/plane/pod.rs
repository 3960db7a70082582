//! A pod as the model needs it, read from the stored JSON.

use std::time::Duration;

use ringcache_api::Incarnation;
use ringcache_api::admin::Settings;
use ringcache_sim_nodes::Start;
use serde_json::Value;

/// What a pod object says about its process.
pub(crate) struct PodView {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) host: String,
    pub(super) address: String,
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

    fn number<T: std::str::FromStr + Default>(&self, name: &str) -> T {
        self.variable(name).parse().unwrap_or_default()
    }

    /// The process that the pod's container starts.
    pub(super) fn start(&self) -> Start {
        Start {
            name: self.name.clone(),
            incarnation: Incarnation::new(&self.uid, "1"),
            cluster_uid: self.variable("RINGCACHE_CLUSTER_UID").to_owned(),
            settings: Settings {
                ttl_default_seconds: self.number("RINGCACHE_TTL_DEFAULT_SECONDS"),
                ttl_jitter_percent: self.number("RINGCACHE_TTL_JITTER_PERCENT"),
            },
            grace: Duration::from_secs(self.number("RINGCACHE_GRACE_SECONDS")),
        }
    }
}
