//! Lists.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, VersionMatch};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::stage::{hold, merge, object, post, refusal};

fn labelled(name: &str, labels: &Value) -> ConfigMap {
    object(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels},
    }))
}

async fn names(maps: &Api<ConfigMap>, params: &ListParams) -> Vec<String> {
    maps.list(params).await.unwrap().iter().map(ConfigMap::name_any).collect()
}

#[test]
fn labels_select() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        for (name, labels) in [
            ("a", json!({"app": "web", "tier": "front"})),
            ("b", json!({"app": "web"})),
            ("c", json!({"app": "other"})),
        ] {
            maps.create(&post(), &labelled(name, &labels)).await.unwrap();
        }
        for (selector, expected) in [
            ("app=web", ["a", "b"].as_slice()),
            ("app==web,tier=front", &["a"]),
            ("app!=web,app", &["c"]),
            ("app in (web, other),!tier", &["b", "c"]),
            ("app notin (web),app", &["c"]),
            ("tier", &["a"]),
        ] {
            let found = names(&maps, &ListParams::default().labels(selector)).await;
            assert_eq!(found, expected, "{selector}");
        }
        let by_name = ListParams::default().fields("metadata.name=b");
        assert_eq!(names(&maps, &by_name).await, ["b"]);
        let broken = maps.list(&ListParams::default().labels("a b c")).await;
        assert_eq!(refusal(broken).code, 400);
    });
}

#[test]
fn pages_show_the_version_of_the_first() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let label = json!({"app": "web"});
        for name in ["a", "b", "c", "d", "e"] {
            maps.create(&post(), &labelled(name, &label)).await.unwrap();
        }
        let mut params = ListParams::default().labels("app=web").limit(2);
        let first = maps.list(&params).await.unwrap();
        let token = first.metadata.continue_.clone().unwrap();
        maps.create(&post(), &labelled("cc", &label)).await.unwrap();
        maps.delete("d", &kube::api::DeleteParams::default()).await.unwrap();
        params = params.continue_token(&token);
        let second = maps.list(&params).await.unwrap();
        assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
        params = params.continue_token(&second.metadata.continue_.clone().unwrap());
        let third = maps.list(&params).await.unwrap();
        assert!(third.metadata.continue_.is_none_or(|token| token.is_empty()));
        let all: Vec<String> = [first.items, second.items, third.items]
            .concat()
            .iter()
            .map(ConfigMap::name_any)
            .collect();
        assert_eq!(all, ["a", "b", "c", "d", "e"]);
    });
}

#[test]
fn a_list_of_an_exact_version_shows_what_was_then() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let created = maps.create(&post(), &labelled("a", &json!({"app": "web"}))).await.unwrap();
        merge(&maps, "a", json!({"data": {"x": "1"}})).await.unwrap();
        maps.create(&post(), &labelled("b", &json!({"app": "web"}))).await.unwrap();
        let then = ListParams::default()
            .labels("app=web")
            .at(&created.resource_version().unwrap())
            .matching(VersionMatch::Exact);
        let listed = maps.list(&then).await.unwrap();
        assert_eq!(listed.items.len(), 1);
        assert_eq!(listed.items[0].resource_version(), created.resource_version());
        assert!(listed.items[0].data.is_none());
    });
}

#[test]
fn a_list_is_as_new_as_the_last_write_before_it() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let mut written = Vec::new();
        for name in ["a", "b", "c"] {
            let map = labelled(name, &json!({"app": "web"}));
            maps.create(&post(), &map).await.unwrap();
            written.push(name.to_owned());
            assert_eq!(names(&maps, &ListParams::default().labels("app=web")).await, written);
        }
    });
}

#[test]
fn events_are_selected_by_what_they_are_about() {
    hold(async |client, namespace| {
        let events: Api<Event> = Api::namespaced(client, &namespace);
        for (name, uid) in [("a", "one"), ("b", "other")] {
            let event = object(json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name},
                "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "note": "shown",
                "reason": "Shown", "action": "Show",
                "reportingController": "ringcache.dev/conformance", "reportingInstance": "a",
                "regarding": {
                    "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "namespace": namespace,
                    "uid": uid,
                },
            }));
            events.create(&post(), &event).await.unwrap();
        }
        let about = ListParams::default().fields("regarding.uid=one");
        let listed = events.list(&about).await.unwrap();
        let names: Vec<String> = listed.items.iter().map(kube::ResourceExt::name_any).collect();
        assert_eq!(names, ["a"]);
    });
}
