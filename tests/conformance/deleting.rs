//! Deletions, finalizers, and namespaces that end.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::stage::{config_map, eventually, hold, merge, post, refusal, why};

fn only_if(uid: Option<String>, resource_version: Option<String>) -> DeleteParams {
    DeleteParams::default().preconditions(Preconditions { uid, resource_version })
}

#[test]
fn a_deletion_meant_for_another_uid_conflicts() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let created = maps.create(&post(), &config_map("a", json!({}))).await.unwrap();
        let other = only_if(Some("other".to_owned()), None);
        let status = refusal(maps.delete("a", &other).await);
        assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
        let uid = created.uid().unwrap();
        assert_eq!(
            status.message,
            format!(
                "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (other) does not match \
                 the UID in record ({uid}). The object might have been deleted and then recreated"
            )
        );
        maps.delete("a", &only_if(Some(uid), None)).await.unwrap();
        assert!(maps.get_opt("a").await.unwrap().is_none());
    });
}

#[test]
fn a_deletion_of_an_old_version_conflicts() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let first = maps.create(&post(), &config_map("a", json!({}))).await.unwrap();
        let second = merge(&maps, "a", json!({"data": {"x": "1"}})).await.unwrap();
        let late = only_if(None, first.resource_version());
        assert_eq!(why(maps.delete("a", &late).await), (409, "Conflict".to_owned()));
        maps.delete("a", &only_if(None, second.resource_version())).await.unwrap();
    });
}

#[test]
fn what_is_gone_cannot_be_deleted() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let missing = maps.delete("a", &DeleteParams::default()).await;
        assert_eq!(why(missing), (404, "NotFound".to_owned()));
    });
}

#[test]
fn a_finalizer_delays_a_deletion_until_it_is_removed() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let mut wanted = config_map("a", json!({}));
        wanted.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
        let created = maps.create(&post(), &wanted).await.unwrap();
        assert!(maps.delete("a", &DeleteParams::default()).await.unwrap().is_left());
        let live = maps.get("a").await.unwrap();
        assert!(live.metadata.deletion_timestamp.is_some());
        assert_eq!(live.uid(), created.uid());
        let again = refusal(maps.create(&post(), &wanted).await);
        assert_eq!((again.code, again.reason.as_str()), (409, "AlreadyExists"));
        assert_eq!(again.message, "object is being deleted: configmaps \"a\" already exists");
        merge(&maps, "a", json!({"metadata": {"finalizers": null}})).await.unwrap();
        assert!(maps.get_opt("a").await.unwrap().is_none());
    });
}

#[test]
fn a_namespace_that_ends_takes_nothing_new_and_goes_when_it_is_empty() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let mut wanted = config_map("a", json!({}));
        wanted.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
        maps.create(&post(), &wanted).await.unwrap();
        let namespaces: Api<Namespace> = Api::all(client);
        namespaces.delete(&namespace, &DeleteParams::default()).await.unwrap();
        let status = refusal(maps.create(&post(), &config_map("b", json!({}))).await);
        assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
        let expected = format!(
            "configmaps \"b\" is forbidden: unable to create new content in namespace {namespace} \
             because it is being terminated"
        );
        assert_eq!(status.message, expected);
        eventually("the content is deleted", async || {
            maps.get("a").await.unwrap().metadata.deletion_timestamp.is_some()
        })
        .await;
        merge(&maps, "a", json!({"metadata": {"finalizers": null}})).await.unwrap();
        eventually("the namespace is gone", async || {
            namespaces.get_opt(&namespace).await.unwrap().is_none()
        })
        .await;
    });
}

#[test]
fn nothing_is_created_in_a_namespace_that_does_not_exist() {
    hold(async |client, _| {
        let maps: Api<ConfigMap> = Api::namespaced(client, "ringcache-conformance-nowhere");
        let status = refusal(maps.create(&post(), &config_map("a", json!({}))).await);
        assert_eq!((status.code, status.reason.as_str()), (404, "NotFound"));
        assert_eq!(status.message, "namespaces \"ringcache-conformance-nowhere\" not found");
    });
}
