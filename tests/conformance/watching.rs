//! Watches.

use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::stage::{config_map, hold, is_real, merge, object, post};

fn labelled(name: &str, labels: &Value) -> ConfigMap {
    object(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels},
    }))
}

/// The next `count` events of a watch from a version, as type, name and version.
async fn events(
    maps: &Api<ConfigMap>,
    selector: &str,
    version: &str,
    count: usize,
) -> Vec<(&'static str, String, String)> {
    let params = WatchParams::default().labels(selector).timeout(10);
    let events = maps.watch(&params, version).await.unwrap().boxed();
    let told = events.try_filter_map(async |event| {
        let (kind, object) = match event {
            WatchEvent::Added(object) => ("ADDED", object),
            WatchEvent::Modified(object) => ("MODIFIED", object),
            WatchEvent::Deleted(object) => ("DELETED", object),
            WatchEvent::Bookmark(_) => return Ok(None),
            WatchEvent::Error(status) => panic!("{status:?}"),
        };
        Ok(Some((kind, object.name_any(), object.resource_version().unwrap())))
    });
    told.take(count).try_collect().await.unwrap()
}

#[test]
fn a_watch_tells_in_order_what_came_after_the_list() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let web = json!({"app": "web"});
        maps.create(&post(), &labelled("before", &web)).await.unwrap();
        let list = maps.list(&ListParams::default().labels("app=web")).await.unwrap();
        let version = list.metadata.resource_version.unwrap();
        let added = maps.create(&post(), &labelled("a", &web)).await.unwrap();
        let modified = merge(&maps, "a", json!({"data": {"x": "1"}})).await.unwrap();
        maps.create(&post(), &labelled("other", &json!({}))).await.unwrap();
        maps.delete("a", &DeleteParams::default()).await.unwrap();
        let told = events(&maps, "app=web", &version, 3).await;
        let heads: Vec<(&str, &str)> =
            told.iter().map(|(kind, name, _)| (*kind, name.as_str())).collect();
        assert_eq!(heads, [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]);
        assert_eq!(told[0].2, added.resource_version().unwrap());
        assert_eq!(told[1].2, modified.resource_version().unwrap());
        let number = |text: &str| text.parse::<u64>().unwrap();
        assert!(number(&told[2].2) > number(&told[1].2), "a deletion has a version of its own");
    });
}

#[test]
fn a_watch_goes_on_from_any_version_that_it_told() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let web = json!({"app": "web"});
        let first = maps.create(&post(), &labelled("a", &web)).await.unwrap();
        for name in ["b", "c"] {
            maps.create(&post(), &labelled(name, &web)).await.unwrap();
        }
        let told = events(&maps, "app=web", &first.resource_version().unwrap(), 2).await;
        let names: Vec<&str> = told.iter().map(|(_, name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
    });
}

#[test]
fn what_loses_its_label_is_deleted_for_a_watch_that_selects_by_it() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let first = maps.create(&post(), &labelled("a", &json!({"app": "web"}))).await.unwrap();
        let version = first.resource_version().unwrap();
        let gone =
            merge(&maps, "a", json!({"metadata": {"labels": {"app": "other"}}})).await.unwrap();
        let back =
            merge(&maps, "a", json!({"metadata": {"labels": {"app": "web"}}})).await.unwrap();
        let told = events(&maps, "app=web", &version, 2).await;
        assert_eq!(told[0], ("DELETED", "a".to_owned(), gone.resource_version().unwrap()));
        assert_eq!(told[1], ("ADDED", "a".to_owned(), back.resource_version().unwrap()));
    });
}

#[test]
fn a_watch_from_a_version_that_is_forgotten_is_told_that_it_is_gone() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        maps.create(&post(), &config_map("a", json!({}))).await.unwrap();
        let params = WatchParams::default().timeout(10);
        let mut events = maps.watch(&params, "1").await.unwrap().boxed();
        match events.next().await {
            Some(Ok(WatchEvent::Error(status))) => {
                assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
                assert!(status.message.starts_with("too old resource version: 1 ("));
            }
            // A real server that has only just begun has forgotten nothing yet.
            Some(Ok(WatchEvent::Added(_))) if is_real() => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_watch_ends_by_itself_when_its_time_is_over() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let created = maps.create(&post(), &labelled("a", &json!({"app": "web"}))).await.unwrap();
        let params = WatchParams::default().labels("app=web").timeout(1).disable_bookmarks();
        let events = maps.watch(&params, &created.resource_version().unwrap()).await.unwrap();
        assert_eq!(events.try_collect::<Vec<_>>().await.unwrap().len(), 0);
    });
}

#[test]
fn a_watch_of_metadata_alone_tells_metadata_alone() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let created = maps.create(&post(), &labelled("a", &json!({"app": "web"}))).await.unwrap();
        merge(&maps, "a", json!({"data": {"x": "1"}})).await.unwrap();
        let params = WatchParams::default().labels("app=web").timeout(10);
        let version = created.resource_version().unwrap();
        let mut events = maps.watch_metadata(&params, &version).await.unwrap().boxed();
        match events.next().await {
            Some(Ok(WatchEvent::Modified(object))) => {
                assert_eq!(object.types.as_ref().unwrap().kind, "PartialObjectMetadata");
                assert_eq!(object.uid(), created.uid());
            }
            other => panic!("{other:?}"),
        }
    });
}
