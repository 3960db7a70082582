//! Creates, replacements and merge patches.

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use ringcache_api::CacheCluster;
use serde_json::{Value, json};

use crate::stage::{cluster, config_map, hold, merge, object, post, refusal, why};

#[test]
fn an_object_that_does_not_exist_is_not_found() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let status = refusal(maps.get("a").await);
        assert_eq!((status.code, status.reason.as_str()), (404, "NotFound"));
        assert_eq!(status.message, "configmaps \"a\" not found");
        let clusters: Api<CacheCluster> = Api::namespaced(client, &namespace);
        let status = refusal(merge(&clusters, "a", json!({"spec": {"nodes": 4}})).await);
        assert_eq!(status.code, 404);
        assert_eq!(status.message, "cacheclusters.ringcache.dev \"a\" not found");
    });
}

#[test]
fn a_second_object_of_a_name_is_refused() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        maps.create(&post(), &config_map("a", json!({}))).await.unwrap();
        let status = refusal(maps.create(&post(), &config_map("a", json!({}))).await);
        assert_eq!((status.code, status.reason.as_str()), (409, "AlreadyExists"));
        assert_eq!(status.message, "configmaps \"a\" already exists");
    });
}

#[test]
fn a_new_object_has_a_uid_a_version_and_a_time_and_cannot_choose_them() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let mut wanted = config_map("a", json!({"x": "1"}));
        wanted.metadata.uid = Some("mine".to_owned());
        let created = maps.create(&post(), &wanted).await.unwrap();
        assert_ne!(created.uid().unwrap(), "mine");
        assert!(created.creation_timestamp().is_some() && created.resource_version().is_some());
        assert_eq!(created.namespace().unwrap(), namespace);
        wanted.metadata.resource_version = created.resource_version();
        wanted.metadata.name = Some("b".to_owned());
        assert_eq!(refusal(maps.create(&post(), &wanted).await).code, 500);
    });
}

#[test]
fn a_generated_name_begins_as_asked() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let wanted = object(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "some-"},
        }));
        let created = maps.create(&post(), &wanted).await.unwrap();
        assert!(created.name_any().starts_with("some-") && created.name_any().len() == 10);
    });
}

#[test]
fn a_replacement_of_an_old_version_conflicts() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let first = maps.create(&post(), &config_map("a", json!({"x": "1"}))).await.unwrap();
        merge(&maps, "a", json!({"data": {"x": "2"}})).await.unwrap();
        let status = refusal(maps.replace("a", &post(), &first).await);
        assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
        assert_eq!(
            status.message,
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; \
             please apply your changes to the latest version and try again"
        );
    });
}

#[test]
fn a_patch_that_names_an_old_version_conflicts() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let first = maps.create(&post(), &config_map("a", json!({"x": "1"}))).await.unwrap();
        merge(&maps, "a", json!({"data": {"x": "2"}})).await.unwrap();
        let version = first.resource_version();
        let patch = json!({"metadata": {"resourceVersion": version}, "data": {"x": "3"}});
        assert_eq!(why(merge(&maps, "a", patch).await), (409, "Conflict".to_owned()));
    });
}

#[test]
fn a_replacement_without_a_version_is_taken_of_a_config_map_and_refused_of_a_cache_cluster() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        maps.create(&post(), &config_map("a", json!({"x": "1"}))).await.unwrap();
        maps.replace("a", &post(), &config_map("a", json!({"x": "2"}))).await.unwrap();
        let clusters: Api<CacheCluster> = Api::namespaced(client, &namespace);
        let wanted = cluster("a", json!({"memory": "256Mi"}));
        clusters.create(&post(), &wanted).await.unwrap();
        let status = refusal(clusters.replace("a", &post(), &wanted).await);
        assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
        assert!(status.message.contains("must be specified for an update"), "{}", status.message);
    });
}

#[test]
fn a_replacement_meant_for_another_uid_conflicts_and_a_patch_is_invalid() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let created = maps.create(&post(), &config_map("a", json!({"x": "1"}))).await.unwrap();
        let mut other = config_map("a", json!({"x": "2"}));
        other.metadata.uid = Some("other".to_owned());
        let status = refusal(maps.replace("a", &post(), &other).await);
        assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
        let expected = format!(
            "Precondition failed: UID in precondition: other, UID in object meta: {}",
            created.uid().unwrap()
        );
        assert!(status.message.ends_with(&expected), "{}", status.message);
        let patch = json!({"metadata": {"uid": "other"}, "data": {"x": "2"}});
        assert_eq!(why(merge(&maps, "a", patch).await), (422, "Invalid".to_owned()));
    });
}

#[test]
fn a_merge_patch_sets_members_and_null_removes_them() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        maps.create(&post(), &config_map("a", json!({"x": "1", "y": "1"}))).await.unwrap();
        let patched = merge(&maps, "a", json!({"data": {"x": null, "z": "1"}})).await.unwrap();
        let keys: Vec<String> = patched.data.unwrap().into_keys().collect();
        assert_eq!(keys, ["y", "z"]);
    });
}

#[test]
fn a_write_that_changes_nothing_makes_no_version() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let first = maps.create(&post(), &config_map("a", json!({"x": "1"}))).await.unwrap();
        let patched = merge(&maps, "a", json!({"data": {"x": "1"}})).await.unwrap();
        assert_eq!(patched.resource_version(), first.resource_version());
        let replaced = maps.replace("a", &post(), &patched).await.unwrap();
        assert_eq!(replaced.resource_version(), first.resource_version());
    });
}

fn service(name: &str, spec: Value) -> Service {
    object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}))
}

#[test]
fn a_service_gets_an_address_for_good_unless_it_wants_none() {
    hold(async |client, namespace| {
        let services: Api<Service> = Api::namespaced(client, &namespace);
        let ports = json!([{"name": "resp", "port": 6379}]);
        let wanted = service("a", json!({"ports": ports}));
        let spec = services.create(&post(), &wanted).await.unwrap().spec.unwrap();
        let port = spec.ports.unwrap().remove(0);
        assert_eq!(port.protocol.unwrap(), "TCP");
        assert_eq!(serde_json::to_value(port.target_port).unwrap(), 6379);
        assert_eq!(spec.type_.unwrap(), "ClusterIP");
        assert!(!spec.cluster_ip.unwrap().is_empty());
        let other = json!({"spec": {"clusterIP": "None", "clusterIPs": ["None"]}});
        assert_eq!(why(merge(&services, "a", other).await), (422, "Invalid".to_owned()));
        // Kept where there is only one family, too: asking for it is not undone.
        let policy = "PreferDualStack";
        let headless = json!({"clusterIP": "None", "ipFamilyPolicy": policy, "ports": ports});
        let spec = services.create(&post(), &service("b", headless)).await.unwrap().spec.unwrap();
        assert_eq!(spec.cluster_ip.unwrap(), "None");
        assert_eq!(spec.ip_family_policy.unwrap(), policy);
        let other = json!({"spec": {"ipFamilyPolicy": policy}});
        merge(&services, "a", other).await.unwrap();
        let spec = services.get("a").await.unwrap().spec.unwrap();
        assert_eq!(spec.ip_family_policy.unwrap(), policy);
    });
}

#[test]
fn a_service_that_leads_elsewhere_gives_up_its_address_and_may_get_none_again() {
    hold(async |client, namespace| {
        let services: Api<Service> = Api::namespaced(client, &namespace);
        let ports = json!([{"name": "resp", "port": 6379}]);
        for (name, address) in [("a", Value::Null), ("b", json!("None"))] {
            let wanted = service(name, json!({"ports": ports, "clusterIP": address}));
            services.create(&post(), &wanted).await.unwrap();
            let away = json!({"type": "ExternalName", "externalName": "example.com"});
            merge(&services, name, json!({ "spec": away })).await.unwrap();
            let spec = services.get(name).await.unwrap().spec.unwrap();
            assert_eq!((spec.cluster_ip, spec.cluster_ips), (None, None), "{name}");
            let back = json!({"type": "ClusterIP", "externalName": null, "clusterIP": address});
            merge(&services, name, json!({ "spec": back })).await.unwrap();
            let spec = services.get(name).await.unwrap().spec.unwrap();
            assert_eq!(spec.cluster_ip.as_deref() == Some("None"), address == "None", "{name}");
            assert!(spec.cluster_ip.is_some_and(|address| !address.is_empty()), "{name}");
        }
    });
}

#[test]
fn a_service_keeps_the_class_of_its_load_balancer() {
    hold(async |client, namespace| {
        let services: Api<Service> = Api::namespaced(client, &namespace);
        let ports = json!([{"name": "resp", "port": 6379}]);
        services.create(&post(), &service("a", json!({ "ports": ports }))).await.unwrap();
        let class = |class: &str| json!({"type": "LoadBalancer", "loadBalancerClass": class});
        merge(&services, "a", json!({"spec": class("example.com/a")})).await.unwrap();
        let other = merge(&services, "a", json!({"spec": class("example.com/b")})).await;
        assert_eq!(why(other), (422, "Invalid".to_owned()));
    });
}

#[test]
fn a_disruption_budget_has_one_bound() {
    hold(async |client, namespace| {
        let budgets: Api<PodDisruptionBudget> = Api::namespaced(client, &namespace);
        let budget = object(json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        }));
        budgets.create(&post(), &budget).await.unwrap();
        let both = merge(&budgets, "web", json!({"spec": {"maxUnavailable": 1}})).await;
        assert_eq!(why(both), (422, "Invalid".to_owned()));
        let other = json!({"spec": {"minAvailable": null, "maxUnavailable": 1}});
        merge(&budgets, "web", other).await.unwrap();
    });
}

#[test]
fn an_event_takes_a_note_of_a_kibibyte_and_no_more() {
    hold(async |client, namespace| {
        let events: Api<Event> = Api::namespaced(client, &namespace);
        let event = |name: &str, note: String| {
            object(json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name},
                "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "note": note,
                "reason": "Shown", "action": "Show",
                "reportingController": "ringcache.dev/conformance", "reportingInstance": "a",
                "regarding": {
                    "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "namespace": namespace,
                },
            }))
        };
        // Bytes count, not letters.
        let longest = events.create(&post(), &event("a", "ä".repeat(512))).await.unwrap();
        assert_eq!(longest.note.map(|note| note.len()), Some(1024));
        let refused = events.create(&post(), &event("b", "ä".repeat(512) + "a")).await;
        assert_eq!(why(refused), (422, "Invalid".to_owned()));
    });
}

#[test]
fn labels_can_be_taken_away() {
    hold(async |client, namespace| {
        let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
        let mut wanted = config_map("a", json!({}));
        wanted.metadata.labels = Some([("team".to_owned(), "shop".to_owned())].into());
        maps.create(&post(), &wanted).await.unwrap();
        let patch = Patch::Merge(json!({"metadata": {"labels": {"team": null}}}));
        let patched = maps.patch_metadata("a", &PatchParams::default(), &patch).await.unwrap();
        assert!(patched.labels().is_empty());
    });
}
