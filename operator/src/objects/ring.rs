//! The ConfigMap that stores a cluster's ring document.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use ringcache_api::{CacheCluster, Document};
use tracing::warn;

use super::meta;

/// The key of the document.
pub const RING_KEY: &str = "ring.json";

/// Name of the ConfigMap.
pub fn name(cluster: &CacheCluster) -> String {
    format!("{}-ring", cluster.name_any())
}

/// The ConfigMap with a document.
pub fn ring(cluster: &CacheCluster, document: &Document) -> ConfigMap {
    ConfigMap {
        metadata: meta::metadata(cluster, name(cluster)),
        data: Some(BTreeMap::from([(RING_KEY.to_owned(), document.to_json())])),
        ..ConfigMap::default()
    }
}

/// The document in a ConfigMap. One that cannot be read is as good as lost: the planner makes another from what nodes own.
pub fn document(ring: &ConfigMap) -> Option<Document> {
    let json = ring.data.as_ref().and_then(|data| data.get(RING_KEY))?;
    Document::parse(json.as_bytes())
        .inspect_err(|error| warn!(config_map = ring.name_any(), %error, "no ring document"))
        .ok()
}

/// Whether the ConfigMap is this cluster's: by its owner, or, if somebody took the owner away, by its content.
pub fn is_ours(cluster: &CacheCluster, ring: &ConfigMap) -> bool {
    meta::is_owned(&ring.metadata, cluster)
        || meta::is_orphan(&ring.metadata)
            && document(ring).is_some_and(|document| Some(document.cluster.uid) == cluster.uid())
}
