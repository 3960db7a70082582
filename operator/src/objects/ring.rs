//! The ConfigMap that stores a cluster's ring document.

use std::collections::{BTreeMap, HashSet};

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use ringcache_api::document::MAX_MEMBERS;
use ringcache_api::status::LostEntries;
use ringcache_api::{CacheCluster, CacheClusterSpec, Document, Lenient, read_leniently};
use ringcache_operator_core::autoscaling::State;
use serde_json::{Value, json};
use tracing::warn;

use super::meta;
use crate::Error;

/// Annotation: the last spec that was carried out as it stood in the resource, as JSON. Whoever looks after the cluster goes by it
/// while the spec breaks a rule or is paused.
const SPEC: &str = "ringcache.dev/spec";
/// Annotation: what was lost last with nodes that the document gave up, as JSON. It is written with the document, so that no crash
/// comes between.
const LOST: &str = "ringcache.dev/lost";
/// Annotation: the number of nodes in force where something scales the cluster, and what was predicted for it, as JSON.
const SCALING: &str = "ringcache.dev/autoscaling";
/// What the schema of the status allows.
const MAX_NAME_BYTES: usize = 63;
/// Likewise.
const MAX_SLOTS: i32 = 16_384;
/// The key of the document.
pub const RING_KEY: &str = "ring.json";

/// Name of the ConfigMap.
pub fn name(cluster: &CacheCluster) -> String {
    format!("{}-ring", cluster.name_any())
}

/// The ConfigMap with a document.
pub fn ring(cluster: &CacheCluster, document: &Document) -> ConfigMap {
    let spec = json!(cluster.spec).to_string();
    ConfigMap {
        metadata: ObjectMeta {
            annotations: Some(BTreeMap::from([(SPEC.to_owned(), spec)])),
            ..meta::metadata(cluster, name(cluster))
        },
        data: Some(BTreeMap::from([(RING_KEY.to_owned(), document.to_json())])),
        ..ConfigMap::default()
    }
}

/// The same, with what was lost last.
pub fn with_loss(mut ring: ConfigMap, lost: Option<&LostEntries>) -> ConfigMap {
    let lost = lost.map(|lost| (LOST.to_owned(), json!(lost).to_string()));
    ring.annotations_mut().extend(lost);
    ring
}

/// The same, with the number of nodes in force.
pub fn with_scaling(mut ring: ConfigMap, scaling: Option<&State>) -> ConfigMap {
    let scaling = scaling.map(|state| (SCALING.to_owned(), json!(state).to_string()));
    ring.annotations_mut().extend(scaling);
    ring
}

/// The number of nodes in force, if it is recorded, can be read and is one.
pub fn scaling(ring: &ConfigMap) -> Option<State> {
    serde_json::from_str::<State>(ring.annotations().get(SCALING)?).ok()?.checked()
}

/// A JSON merge patch that records it in the ConfigMap as it was read, and in no other version of it.
pub fn scaled(live: &ConfigMap, scaling: Option<&State>) -> Value {
    let ObjectMeta { uid, resource_version, .. } = &live.metadata;
    let state = scaling.map(|state| json!(state).to_string());
    json!({"metadata": {
        "uid": uid, "resourceVersion": resource_version, "annotations": {SCALING: state},
    }})
}

/// What was lost last, if it is recorded and can be read. Something that a status may not say would keep the whole status from being
/// written.
pub fn lost(ring: &ConfigMap) -> Option<LostEntries> {
    let lost = serde_json::from_str(ring.annotations().get(LOST)?).ok()?;
    let LostEntries { at: _, asked_at: _, nodes, slots, entries } = &lost;
    let may_be_told = nodes.len() <= MAX_MEMBERS
        && nodes.iter().all(|name| name.len() <= MAX_NAME_BYTES)
        && nodes.iter().collect::<HashSet<_>>().len() == nodes.len()
        && (1..=MAX_SLOTS).contains(slots)
        && entries.is_none_or(|entries| entries >= 0);
    may_be_told.then_some(lost)
}

/// The last spec that was carried out, if it is recorded. Where a newer operator recorded what this one cannot read, the rest is read, and
/// as paused: no node is replaced for what is not known of it. Without size and number of nodes nothing is: by the default ones nodes would
/// be started and drained.
pub fn spec(ring: &ConfigMap) -> Option<CacheClusterSpec> {
    let read: Lenient<CacheClusterSpec> = read_leniently(&recorded(ring)?);
    if ["nodes", "memory"].iter().any(|field| read.lacks(field)) {
        return None;
    }
    let paused = read.value.paused || !read.unread.is_empty();
    Some(CacheClusterSpec { paused, ..read.value })
}

/// Whether a spec is recorded, however much of it this operator can read.
pub fn is_recorded(ring: &ConfigMap) -> bool {
    recorded(ring).is_some()
}

/// What is recorded, if it is an object.
fn recorded(ring: &ConfigMap) -> Option<Value> {
    let recorded = ring.metadata.annotations.as_ref().and_then(|annotations| annotations.get(SPEC));
    recorded.and_then(|json| serde_json::from_str(json).ok()).filter(Value::is_object)
}

/// The ConfigMap with the record that `live` has, word by word: what this operator cannot read of it another one can.
pub fn with_record_of(mut ring: ConfigMap, live: &ConfigMap) -> ConfigMap {
    if is_recorded(live)
        && let Some(record) = live.annotations().get(SPEC)
    {
        ring.annotations_mut().insert(SPEC.to_owned(), record.clone());
    }
    ring
}

/// A JSON merge patch that records the cluster's spec in the ConfigMap; `None` if it is recorded.
pub fn record(cluster: &CacheCluster, live: &ConfigMap) -> Option<Value> {
    let recorded = live.metadata.annotations.as_ref().and_then(|annotations| annotations.get(SPEC));
    let spec = json!(cluster.spec).to_string();
    let patch = json!({"metadata": {"uid": live.metadata.uid, "annotations": {SPEC: spec}}});
    (recorded != Some(&spec)).then_some(patch)
}

/// The document in a ConfigMap. One that cannot be read is as good as lost: the planner makes another from what nodes own.
pub fn document(ring: &ConfigMap) -> Option<Document> {
    let json = ring.data.as_ref().and_then(|data| data.get(RING_KEY))?;
    Document::parse(json.as_bytes())
        .inspect_err(|error| warn!(config_map = ring.name_any(), %error, "no ring document"))
        .ok()
}

/// An error, with the remedy, if nobody can write a document into the ConfigMap. Told only when a node has died, it would be too late.
pub fn writable(live: &ConfigMap) -> Result<(), Error> {
    if live.immutable != Some(true) {
        return Ok(());
    }
    let (namespace, name) = (live.namespace().unwrap_or_default(), live.name_any());
    Err(Error::Malformed(format!(
        "ConfigMap {namespace}/{name} is immutable, so that no repair can be recorded. Delete it, and the operator writes it anew from \
         what the nodes own: kubectl --namespace {namespace} delete configmap {name}"
    )))
}

/// Whether the ConfigMap is this cluster's: by its owner, or, if somebody took the owner away, by its content.
pub fn is_ours(cluster: &CacheCluster, ring: &ConfigMap) -> bool {
    meta::is_owned(&ring.metadata, cluster)
        || meta::is_orphan(&ring.metadata)
            && document(ring).is_some_and(|document| Some(document.cluster.uid) == cluster.uid())
}
