//! Server-side apply.

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::stage::{applied_by, config_map, hold, merge, object, post, refusal, why};

fn map(data: Value) -> Patch<Value> {
    Patch::Apply(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data,
    }))
}

fn keys(map: &ConfigMap) -> Vec<&str> {
    map.data.iter().flatten().map(|(key, _)| key.as_str()).collect()
}

#[test]
fn apply_creates_changes_and_removes_what_is_not_applied_any_more() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let (one, params) = (json!({"x": "1", "y": "1"}), applied_by("one"));
        assert_eq!(keys(&maps.patch("a", &params, &map(one)).await.unwrap()), ["x", "y"]);
        let other = json!({"x": "2", "z": "1"});
        let changed = maps.patch("a", &params, &map(other)).await.unwrap();
        assert_eq!(keys(&changed), ["x", "z"]);
        assert_eq!(changed.data.unwrap()["x"], "2");
    });
}

#[test]
fn applying_the_same_again_makes_no_version() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let apply = async || maps.patch("a", &applied_by("one"), &map(json!({"x": "1"}))).await;
        let first = apply().await.unwrap();
        assert_eq!(apply().await.unwrap().resource_version(), first.resource_version());
    });
}

#[test]
fn a_field_of_another_manager_is_a_conflict_until_it_is_forced() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        maps.patch("a", &applied_by("one"), &map(json!({"x": "1"}))).await.unwrap();
        let params = applied_by("two");
        let status = refusal(maps.patch("a", &params, &map(json!({"x": "2"}))).await);
        assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
        assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"one\": .data.x");
        let forced = maps.patch("a", &params.force(), &map(json!({"x": "2"}))).await.unwrap();
        assert_eq!(forced.data.unwrap()["x"], "2");
        // Now it is the other's: the first one finds it taken.
        let again = maps.patch("a", &applied_by("one"), &map(json!({"x": "1"}))).await;
        assert_eq!(why(again), (409, "Conflict".to_owned()));
    });
}

#[test]
fn a_field_that_two_applied_alike_stays_when_one_gives_it_up() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        for manager in ["one", "two"] {
            maps.patch("a", &applied_by(manager), &map(json!({"x": "1"}))).await.unwrap();
        }
        let left = maps.patch("a", &applied_by("one"), &map(json!({"y": "1"}))).await.unwrap();
        assert_eq!(keys(&left), ["x", "y"]);
    });
}

#[test]
fn a_field_that_somebody_else_wrote_is_not_removed_by_apply() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        maps.create(&post(), &config_map("a", json!({"theirs": "1"}))).await.unwrap();
        maps.patch("a", &applied_by("one"), &map(json!({"x": "1"}))).await.unwrap();
        let left = maps.patch("a", &applied_by("one"), &map(json!({"y": "1"}))).await.unwrap();
        assert_eq!(keys(&left), ["theirs", "y"]);
    });
}

#[test]
fn a_value_that_somebody_overwrote_is_theirs() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        maps.patch("a", &applied_by("one"), &map(json!({"x": "1"}))).await.unwrap();
        merge(&maps, "a", json!({"data": {"x": "2"}})).await.unwrap();
        let again = maps.patch("a", &applied_by("one"), &map(json!({"x": "1"}))).await;
        assert_eq!(why(again), (409, "Conflict".to_owned()));
    });
}

#[test]
fn apply_of_a_version_that_is_not_the_live_one_conflicts() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let params = applied_by("one").force();
        let first = maps.patch("a", &params, &map(json!({"x": "1"}))).await.unwrap();
        maps.patch("a", &params, &map(json!({"x": "2"}))).await.unwrap();
        let late = Patch::Apply(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "resourceVersion": first.resource_version()},
            "data": {"x": "3"},
        }));
        assert_eq!(why(maps.patch("a", &params, &late).await), (409, "Conflict".to_owned()));
    });
}

#[test]
fn apply_with_a_uid_never_creates() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let with_uid = |name: &str| {
            Patch::Apply(json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name, "uid": "00000000-0000-0000-0000-000000000000"},
            }))
        };
        let status = refusal(maps.patch("a", &applied_by("one"), &with_uid("a")).await);
        assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
        assert!(status.message.contains("no existing object was found"), "{}", status.message);
        maps.create(&post(), &config_map("b", json!({}))).await.unwrap();
        let other = maps.patch("b", &applied_by("one"), &with_uid("b")).await;
        assert_eq!(why(other), (422, "Invalid".to_owned()));
    });
}

#[test]
fn apply_without_a_manager_is_refused() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let request = http::Request::patch(format!("/api/v1/namespaces/{namespace}/configmaps/a"))
            .header("Content-Type", "application/apply-patch+yaml")
            .body(br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#.to_vec());
        let refused = maps.into_client().request::<ConfigMap>(request.unwrap()).await;
        assert_eq!(why(refused), (422, "Invalid".to_owned()));
    });
}

#[test]
fn items_of_a_keyed_list_are_owned_one_by_one() {
    hold(async |client, namespace| {
        let services: Api<Service> = Api::namespaced(client, &namespace);
        let service = |ports: Value| {
            Patch::Apply(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": ports},
            }))
        };
        let port =
            |name: &str, number: u16| json!({"name": name, "port": number, "protocol": "TCP"});
        let ours = json!([port("resp", 6379), port("http", 8080)]);
        services.patch("a", &applied_by("one"), &service(ours)).await.unwrap();
        let theirs = json!([port("extra", 7000)]);
        services.patch("a", &applied_by("two"), &service(theirs)).await.unwrap();
        let fewer = json!([port("resp", 6379)]);
        let left = services.patch("a", &applied_by("one"), &service(fewer)).await.unwrap();
        let mut ports: Vec<i32> =
            left.spec.unwrap().ports.unwrap().iter().map(|p| p.port).collect();
        ports.sort_unstable();
        assert_eq!(ports, [6379, 7000]);
    });
}

#[test]
fn an_item_whose_key_somebody_changed_is_put_beside_theirs() {
    hold(async |client, namespace| {
        let services: Api<Service> = Api::namespaced(client, &namespace);
        let ours = Patch::Apply(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
            "spec": {"ports": [{"name": "resp", "port": 6379, "protocol": "TCP"}]},
        }));
        let params = applied_by("one").force();
        services.patch("a", &params, &ours).await.unwrap();
        let damage = json!({"spec": {"ports": [{"name": "other", "port": 7000}]}});
        merge(&services, "a", damage).await.unwrap();
        let both = services.patch("a", &params, &ours).await.unwrap();
        let mut ports: Vec<i32> =
            both.spec.unwrap().ports.unwrap().iter().map(|p| p.port).collect();
        ports.sort_unstable();
        assert_eq!(ports, [6379, 7000]);
    });
}

#[test]
fn what_was_created_stays_when_it_is_not_applied_any_more_until_it_counts_as_applied() {
    hold(async |client, namespace| {
        let services: Api<Service> = Api::namespaced(client, &namespace);
        let port =
            |name: &str, number: u16| json!({"name": name, "port": number, "protocol": "TCP"});
        let created = object(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "a", "labels": {"kept": "1", "dropped": "1"}},
            "spec": {"ports": [port("resp", 6379), port("http", 8080)]},
        }));
        let by_one = PostParams { field_manager: Some("one".to_owned()), ..post() };
        services.create(&by_one, &created).await.unwrap();
        let fewer = Patch::Apply(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "a", "labels": {"kept": "1"}},
            "spec": {"ports": [port("resp", 6379)]},
        }));
        let counts = |service: &Service| {
            let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref()).map(Vec::len);
            (service.labels().len(), ports.unwrap_or_default())
        };
        let params = applied_by("one").force();
        let left = services.patch("a", &params, &fewer).await.unwrap();
        assert_eq!(counts(&left), (2, 2), "what was created is another ownership");

        let mut entries = json!(left.managed_fields());
        let entries = entries.as_array_mut().unwrap();
        entries.retain(|entry| entry["operation"] == "Update");
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries[0]["operation"] = json!("Apply");
        let stated = json!({"metadata": {"managedFields": entries}});
        let params_of_update =
            PatchParams { field_manager: Some("one".into()), ..PatchParams::default() };
        let stated = services.patch("a", &params_of_update, &Patch::Merge(stated)).await.unwrap();
        let [entry] = stated.managed_fields() else { panic!("{:?}", stated.managed_fields()) };
        assert_eq!(entry.operation.as_deref(), Some("Apply"));
        let left = services.patch("a", &params, &fewer).await.unwrap();
        assert_eq!(counts(&left), (1, 1));
        assert_eq!(left.spec.unwrap().session_affinity.as_deref(), Some("None"), "a default again");
    });
}
