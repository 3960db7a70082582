//! What all our objects have in common: labels, the owner, and what pods inherit from their cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource as _, ResourceExt as _};
use ringcache_api::CacheCluster;
use ringcache_operator_core::status::CLUSTER_LABEL;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Error;

/// The name under which the operator owns fields.
pub const FIELD_MANAGER: &str = "ringcache-operator";
/// Annotation of a pod: what it was started as, as JSON of a [`Template`](ringcache_operator_core::Template).
pub const TEMPLATE: &str = "ringcache.dev/template";
/// Label of a pod: a short name for its [`TEMPLATE`], by which nodes that were started alike are spread over hosts and zones.
pub const TEMPLATE_HASH: &str = "ringcache.dev/template-hash";
/// Annotation of a pod: the fields of the spec that went into its fingerprint, as JSON of
/// [`Fields`](super::fingerprint::Fields). Absent from pods of operators that did not know of it.
pub const FIELDS: &str = "ringcache.dev/fields";
/// Annotation of a pod: how many failed ones, each soon after its start, it comes after.
pub const FAILURES: &str = "ringcache.dev/failures";
/// Annotation of a pod: the keys that it has from its cluster, so that they can be taken away again.
pub const INHERITED: &str = "ringcache.dev/inherited";

/// The labels that find the nodes of a cluster: for Services, the disruption budget, and the operator itself.
pub fn selector(cluster: &CacheCluster) -> BTreeMap<String, String> {
    BTreeMap::from([(CLUSTER_LABEL.to_owned(), cluster.name_any())])
}

/// The labels of every object of a cluster.
pub fn labels(cluster: &CacheCluster) -> BTreeMap<String, String> {
    let fixed = [
        ("app.kubernetes.io/name", "ringcache".to_owned()),
        ("app.kubernetes.io/instance", cluster.name_any()),
        ("app.kubernetes.io/component", "cache-node".to_owned()),
        ("app.kubernetes.io/part-of", "ringcache".to_owned()),
        ("app.kubernetes.io/managed-by", FIELD_MANAGER.to_owned()),
    ];
    let mut labels = selector(cluster);
    labels.extend(fixed.map(|(key, value)| (key.to_owned(), value)));
    labels
}

/// The cluster as the owner of an object: the garbage collector takes the object when the cluster goes.
///
/// It does not block a deletion in the foreground: to say so takes the right to update finalizers of clusters where the API
/// server asks for it, as on OpenShift, and nothing here waits for such a deletion.
pub fn owner(cluster: &CacheCluster) -> OwnerReference {
    OwnerReference {
        api_version: CacheCluster::api_version(&()).into_owned(),
        kind: CacheCluster::kind(&()).into_owned(),
        name: cluster.name_any(),
        uid: cluster.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// Metadata of a new object of the cluster.
pub fn metadata(cluster: &CacheCluster, name: impl Into<String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        namespace: cluster.namespace(),
        labels: Some(labels(cluster)),
        owner_references: Some(vec![owner(cluster)]),
        ..ObjectMeta::default()
    }
}

/// Whether the object belongs to exactly this cluster, and not to an earlier one of the same name.
pub fn is_owned(metadata: &ObjectMeta, cluster: &CacheCluster) -> bool {
    controller(metadata).is_some_and(|owner| Some(&owner.uid) == cluster.metadata.uid.as_ref())
}

/// Whether the object, which is not this cluster's, belongs to one of the same name: that one is gone.
pub fn is_of_predecessor(metadata: &ObjectMeta, cluster: &CacheCluster) -> bool {
    controller(metadata)
        .is_some_and(|it| it.kind == CacheCluster::kind(&()) && it.name == cluster.name_any())
}

/// Whether nobody controls the object.
pub fn is_orphan(metadata: &ObjectMeta) -> bool {
    controller(metadata).is_none()
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// What to say of an object that stands where ours should and is not ours: it is never overwritten. One that is being deleted
/// makes room by itself, and so does one of a cluster of the same name: that cluster is gone, and the garbage collector comes.
pub fn foreign(kind: &str, metadata: &ObjectMeta, cluster: &CacheCluster) -> Error {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    if metadata.deletion_timestamp.is_some() || is_of_predecessor(metadata, cluster) {
        return Error::Ending(format!("{kind} {namespace}/{name} is still being deleted"));
    }
    Error::Foreign(format!(
        "{kind} {namespace}/{name} exists and belongs to somebody else: delete it or rename the cluster"
    ))
}

/// Keys of labels and annotations that a pod has from its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Keys {
    labels: Vec<String>,
    annotations: Vec<String>,
}

impl Keys {
    fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty()
    }

    /// As remembered on a pod. What cannot be read is forgotten: the keys stay on the pod, which harms nobody.
    fn remembered(metadata: &ObjectMeta) -> Self {
        let text = metadata.annotations.as_ref().and_then(|annotations| annotations.get(INHERITED));
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// The labels and annotations that a pod of the cluster should carry now, apart from what it was started with.
pub fn pod_labels_and_annotations(
    cluster: &CacheCluster,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let inherit = &cluster.spec.inherit;
    let mut wanted_labels = listed(cluster.metadata.labels.as_ref(), &inherit.labels);
    let mut annotations = listed(cluster.metadata.annotations.as_ref(), &inherit.annotations);
    let keys = Keys {
        labels: wanted_labels.keys().cloned().collect(),
        annotations: annotations.keys().cloned().collect(),
    };
    if !keys.is_empty() {
        annotations.insert(INHERITED.to_owned(), json!(keys).to_string());
    }
    // Ours last: whatever a cluster's labels say, its pods must be found.
    wanted_labels.extend(labels(cluster));
    (wanted_labels, annotations)
}

fn listed(from: Option<&BTreeMap<String, String>>, keys: &[String]) -> BTreeMap<String, String> {
    let value = |key: &String| Some((key.clone(), from?.get(key)?.clone()));
    keys.iter().filter_map(value).collect()
}

/// A JSON merge patch that gives an object of ours the labels and the owner that it lost; `None` if nothing is missing.
pub fn repair(cluster: &CacheCluster, live: &ObjectMeta) -> Option<Value> {
    patch(cluster, live, differing(live.labels.as_ref(), &labels(cluster), &[]), Map::new())
}

/// As [`repair`], for a pod: it follows the cluster's labels and annotations, too.
pub fn repair_pod(cluster: &CacheCluster, live: &ObjectMeta) -> Option<Value> {
    let (labels, annotations) = pod_labels_and_annotations(cluster);
    let mut before = Keys::remembered(live);
    before.annotations.push(INHERITED.to_owned());
    let labels = differing(live.labels.as_ref(), &labels, &before.labels);
    let annotations = differing(live.annotations.as_ref(), &annotations, &before.annotations);
    patch(cluster, live, labels, annotations)
}

fn patch(
    cluster: &CacheCluster,
    live: &ObjectMeta,
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
) -> Option<Value> {
    let mut changes = Map::new();
    if !labels.is_empty() {
        changes.insert("labels".to_owned(), labels.into());
    }
    if !annotations.is_empty() {
        changes.insert("annotations".to_owned(), annotations.into());
    }
    if is_orphan(live) {
        // A merge patch replaces lists: the owners that somebody else added must stay in it.
        let ours = owner(cluster);
        let others = live.owner_references.iter().flatten().filter(|other| other.uid != ours.uid);
        let owners: Vec<_> = others.cloned().chain([ours.clone()]).collect();
        changes.insert("ownerReferences".to_owned(), json!(owners));
    }
    if changes.is_empty() {
        return None;
    }
    // A precondition: another object of the same name is not meant.
    changes.insert("uid".to_owned(), json!(live.uid));
    Some(json!({ "metadata": changes }))
}

/// What has to change in `live` for it to contain `wanted` and none of the keys that were wanted `before` only.
fn differing(
    live: Option<&BTreeMap<String, String>>,
    wanted: &BTreeMap<String, String>,
    before: &[String],
) -> Map<String, Value> {
    let is = |key: &String| live.and_then(|live| live.get(key));
    let set = wanted.iter().filter(|(key, value)| is(key) != Some(value));
    let removed = before.iter().filter(|key| !wanted.contains_key(*key) && is(key).is_some());
    set.map(|(key, value)| (key.clone(), json!(value)))
        .chain(removed.map(|key| (key.clone(), Value::Null)))
        .collect()
}
