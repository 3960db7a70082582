//! Objects of operators of other versions: no operator replaces a pod for what it does not know.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use ringcache_api::CacheCluster;
use serde_json::{Value, json};

use super::super::fingerprint::{Fields, fields, fingerprint, fits};
use super::super::{meta, ring};
use super::{full, full_pod};
use crate::observe::fixture::{CLUSTER_UID, cluster};
use crate::observe::template;

/// The pod of [`full`] as version 0.1 first wrote it, without the annotation for fields.
fn recorded_pod() -> Pod {
    serde_json::from_str(include_str!("recorded/0.1/pod.json")).unwrap()
}

fn is_current(pod: &Pod, cluster: &CacheCluster) -> bool {
    template(pod, &cluster.spec).pod == fingerprint(&cluster.spec)
}

#[test]
fn a_pod_as_version_0_1_wrote_it_is_read_and_not_replaced() {
    let pod = recorded_pod();
    let template = template(&pod, &full().spec);
    assert_eq!(
        (template.memory_bytes, template.program.as_str()),
        (1 << 30, "registry.example/cache:2")
    );
    assert!(is_current(&pod, &full()), "an upgrade would restart every node");
    assert_eq!(meta::repair_pod(&full(), &pod.metadata), None);
    assert!(meta::is_owned(&pod.metadata, &full()));
    let mut other = full();
    other.spec.scheduling.priority_class_name = None;
    assert!(!is_current(&pod, &other));
}

#[test]
fn a_ring_as_version_0_1_wrote_it_is_read() {
    let stored: ConfigMap = serde_json::from_str(include_str!("recorded/0.1/ring.json")).unwrap();
    assert!(ring::is_ours(&cluster("{}"), &stored));
    let document = ring::document(&stored).unwrap();
    assert_eq!((document.epoch, document.cluster.uid.as_str()), (7, CLUSTER_UID));
    assert_eq!(meta::repair(&cluster("{}"), &stored.metadata), None);
}

/// A pod of [`full`] that a newer operator made, whose spec has one more field.
fn newer_pod() -> Pod {
    let mut pod: Pod = serde_json::from_value(full_pod()).unwrap();
    let annotations = pod.metadata.annotations.as_mut().unwrap();
    let mut more: Fields = fields(&full().spec);
    more.insert("scheduling.runtimeClassName".to_owned(), "0123456789ab".to_owned());
    annotations.insert(meta::FIELDS.to_owned(), json!(more).to_string());
    let mut template: Value = serde_json::from_str(&annotations[meta::TEMPLATE]).unwrap();
    template["pod"] = json!("another one");
    template["newer"] = json!(1);
    annotations.insert(meta::TEMPLATE.to_owned(), template.to_string());
    pod
}

#[test]
fn a_pod_with_a_field_that_only_a_newer_operator_knows_is_not_replaced() {
    assert!(is_current(&newer_pod(), &full()));
    let mut other = full();
    other.spec.scheduling.node_selector.clear();
    assert!(!is_current(&newer_pod(), &other), "what both know still counts");
}

#[test]
fn a_pod_that_lacks_a_field_which_the_spec_uses_is_replaced() {
    let mut older = fields(&full().spec);
    assert!(fits(&older, &full().spec, &[]));
    older.remove("scheduling.zoneSpread");
    assert!(!fits(&older, &full().spec, &[]), "an older operator started it");
    assert!(fits(&Fields::new(), &cluster("{}").spec, &[]), "the default spec uses nothing");
}

#[test]
fn the_names_of_fields_and_their_values_never_change() {
    // If this fails, an operator of another version would restart the nodes of every cluster.
    let expected = json!({
        "imagePullSecretNames": "9dcabefc686f",
        "resources.cpuLimit": "2bd49e78be0a",
        "resources.cpuRequest": "f999188afdf7",
        "scheduling.hostSpread": "af8ecdc01597",
        "scheduling.nodeSelector": "ba0ec30f232f",
        "scheduling.priorityClassName": "00f9aea1da84",
        "scheduling.tolerations": "61a3b60443c8",
        "scheduling.zoneSpread": "8cad16417bc5",
    });
    assert_eq!(json!(fields(&full().spec)), expected);
    assert!(fields(&cluster("{}").spec).is_empty());
    let additions: Vec<String> = fields(&cluster(super::ADDITIONS).spec).into_keys().collect();
    let expected = [
        "affinity",
        "containers",
        "dnsConfig",
        "dnsPolicy",
        "env",
        "hostAliases",
        "initContainers",
        "runtimeClassName",
        "schedulerName",
        "serviceAccountName",
        "volumeMounts",
        "volumes",
    ];
    assert_eq!(additions, expected.map(|field| format!("pod.{field}")));
}
