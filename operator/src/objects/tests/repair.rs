//! What a live object lacks is put back, and nothing else is touched.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use ringcache_api::CacheCluster;
use ringcache_api::admin::Settings;
use ringcache_api::cluster::Inherit;
use serde_json::{Value, json};

use super::super::{meta, pod, ring};
use super::full;
use crate::observe::fixture::{CLUSTER_UID, cluster, document, template};

/// Metadata of a pod of `cluster`, as it was created.
fn created(cluster: &CacheCluster) -> ObjectMeta {
    let pod = pod::pod(cluster, "web-0", &template("x"), Settings::default(), 1);
    ObjectMeta { uid: Some("u1".to_owned()), ..pod.metadata }
}

#[track_caller]
fn check(cluster: &CacheCluster, live: &ObjectMeta, expected: Option<Value>) {
    let mut expected = expected;
    if let Some(expected) = &mut expected {
        expected["uid"] = json!("u1");
    }
    let expected = expected.map(|metadata| json!({ "metadata": metadata }));
    assert_eq!(meta::repair_pod(cluster, live), expected);
}

#[test]
fn a_pod_as_it_was_created_needs_no_repair() {
    for cluster in [cluster("{}"), full()] {
        check(&cluster, &created(&cluster), None);
    }
}

#[test]
fn labels_of_others_are_left_alone_and_ours_are_put_back() {
    let web = cluster("{}");
    let mut live = created(&web);
    let labels = live.labels.as_mut().unwrap();
    labels.insert("theirs".to_owned(), "x".to_owned());
    labels.remove("ringcache.dev/cluster");
    labels.insert("app.kubernetes.io/instance".to_owned(), "wrong".to_owned());
    let expected =
        json!({"labels": {"ringcache.dev/cluster": "web", "app.kubernetes.io/instance": "web"}});
    check(&web, &live, Some(expected));
}

#[test]
fn a_removed_owner_is_put_back_beside_others() {
    let web = cluster("{}");
    let mut live = created(&web);
    let other = OwnerReference { uid: "other".to_owned(), ..OwnerReference::default() };
    live.owner_references = Some(vec![other.clone()]);
    check(&web, &live, Some(json!({"ownerReferences": [other, meta::owner(&web)]})));
}

#[test]
fn a_pod_of_an_earlier_operator_is_left_as_it_was_created() {
    // Its owner reference and its security context say more than those of new pods do.
    let web = cluster("{}");
    let mut live = created(&web);
    live.owner_references.as_mut().unwrap()[0].block_owner_deletion = Some(true);
    check(&web, &live, None);
}

#[test]
fn pods_follow_the_labels_and_annotations_that_they_inherit() {
    let mut web = full();
    let live = created(&web);
    assert_eq!(live.labels.as_ref().unwrap()["team"], "checkout");
    assert!(!live.labels.as_ref().unwrap().contains_key("other"), "not listed");
    web.metadata.labels.as_mut().unwrap().insert("team".to_owned(), "search".to_owned());
    check(&web, &live, Some(json!({"labels": {"team": "search"}})));
}

#[test]
fn what_is_no_longer_inherited_is_taken_away() {
    let mut web = full();
    let live = created(&web);
    web.spec.inherit = Inherit::default();
    let gone = json!({
        "labels": {"team": null},
        "annotations": {"example.com/owner": null, "ringcache.dev/inherited": null},
    });
    check(&web, &live, Some(gone));
}

#[test]
fn a_cluster_cannot_make_its_pods_invisible_by_inheritance() {
    // The schema refuses such keys; a resource may be older than the rule.
    let mut web = cluster("{inherit: {labels: [ringcache.dev/cluster]}}");
    let label = ("ringcache.dev/cluster".to_owned(), "other".to_owned());
    web.metadata.labels = Some([label].into());
    assert_eq!(created(&web).labels.unwrap()["ringcache.dev/cluster"], "web");
}

#[test]
fn the_ring_gets_its_labels_and_owner_back_and_no_annotations() {
    let web = full();
    let mut live = ring::ring(&web, &document(1, &["web-0"])).metadata;
    live.uid = Some("u1".to_owned());
    assert_eq!(meta::repair(&web, &live), None);
    live.labels = None;
    live.owner_references = None;
    let patch = meta::repair(&web, &live).unwrap();
    assert_eq!(patch["metadata"]["labels"], json!(meta::labels(&web)));
    assert_eq!(patch["metadata"]["ownerReferences"][0]["uid"], CLUSTER_UID);
    assert_eq!(patch["metadata"]["annotations"], Value::Null);
}
