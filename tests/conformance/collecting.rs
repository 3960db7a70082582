//! The garbage collector.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::stage::{config_map, eventually, hold, merge, post};

fn owned_by(owner: &ConfigMap, name: &str) -> ConfigMap {
    let mut map = config_map(name, json!({}));
    map.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: owner.name_any(),
        uid: owner.uid().unwrap(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }]);
    map
}

#[test]
fn what_an_object_owned_goes_after_it() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let owner = maps.create(&post(), &config_map("owner", json!({}))).await.unwrap();
        maps.create(&post(), &owned_by(&owner, "child")).await.unwrap();
        maps.create(&post(), &config_map("other", json!({}))).await.unwrap();
        maps.delete("owner", &DeleteParams::background()).await.unwrap();
        assert!(maps.get_opt("owner").await.unwrap().is_none(), "the owner goes at once");
        eventually("the child is gone", async || maps.get_opt("child").await.unwrap().is_none())
            .await;
        maps.get("other").await.unwrap();
    });
}

#[test]
fn in_the_foreground_an_owner_waits_for_what_it_owns() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let owner = maps.create(&post(), &config_map("owner", json!({}))).await.unwrap();
        let mut child = owned_by(&owner, "child");
        child.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
        maps.create(&post(), &child).await.unwrap();
        maps.delete("owner", &DeleteParams::foreground()).await.unwrap();
        let waiting = maps.get("owner").await.unwrap();
        assert!(waiting.metadata.deletion_timestamp.is_some());
        assert_eq!(waiting.finalizers(), ["foregroundDeletion"]);
        eventually("the child is told to end", async || {
            maps.get("child").await.unwrap().metadata.deletion_timestamp.is_some()
        })
        .await;
        maps.get("owner").await.unwrap();
        merge(&maps, "child", json!({"metadata": {"finalizers": null}})).await.unwrap();
        eventually("the owner is gone", async || maps.get_opt("owner").await.unwrap().is_none())
            .await;
    });
}

#[test]
fn an_orphaned_object_stays_and_has_no_owner() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let owner = maps.create(&post(), &config_map("owner", json!({}))).await.unwrap();
        maps.create(&post(), &owned_by(&owner, "child")).await.unwrap();
        maps.delete("owner", &DeleteParams::orphan()).await.unwrap();
        eventually("the owner is gone", async || maps.get_opt("owner").await.unwrap().is_none())
            .await;
        assert!(maps.get("child").await.unwrap().owner_references().is_empty());
    });
}

#[test]
fn an_owner_that_never_was_is_as_good_as_gone() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let mut owner = maps.create(&post(), &config_map("owner", json!({}))).await.unwrap();
        // The name is that of an object that exists: the uid decides.
        owner.metadata.uid = Some("00000000-0000-0000-0000-000000000000".to_owned());
        maps.create(&post(), &owned_by(&owner, "child")).await.unwrap();
        eventually("the child is gone", async || maps.get_opt("child").await.unwrap().is_none())
            .await;
        maps.get("owner").await.unwrap();
    });
}
