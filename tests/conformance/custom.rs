//! `CacheCluster`s: their schema, their generation, their status.

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use ringcache_api::CacheCluster;
use serde_json::{Value, json};

use crate::stage::{applied_by, cluster, hold, merge, post, refusal, why};

fn status(status: Value) -> Patch<Value> {
    Patch::Merge(json!({ "status": status }))
}

fn applied(spec: Value) -> Patch<Value> {
    Patch::Apply(json!({
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
        "metadata": {"name": "a"}, "spec": spec,
    }))
}

#[test]
fn the_generation_counts_changes_of_the_spec_and_of_nothing_else() {
    hold(async |client, namespace| {
        let clusters: Api<CacheCluster> = Api::namespaced(client, &namespace);
        let created = clusters.create(&post(), &cluster("a", json!({"nodes": 3}))).await.unwrap();
        assert_eq!(created.metadata.generation, Some(1));
        let labelled = json!({"metadata": {"labels": {"team": "shop"}}});
        assert_eq!(merge(&clusters, "a", labelled).await.unwrap().metadata.generation, Some(1));
        let reported = status(json!({"nodes": 1}));
        let reported =
            clusters.patch_status("a", &PatchParams::default(), &reported).await.unwrap();
        assert_eq!(reported.metadata.generation, Some(1));
        let edited = merge(&clusters, "a", json!({"spec": {"nodes": 4}})).await.unwrap();
        assert_eq!(edited.metadata.generation, Some(2));
        let same = merge(&clusters, "a", json!({"spec": {"nodes": 4}})).await.unwrap();
        assert_eq!(same.metadata.generation, Some(2));
    });
}

#[test]
fn status_is_out_of_reach_of_the_resource_and_everything_else_of_its_status() {
    hold(async |client, namespace| {
        let clusters: Api<CacheCluster> = Api::namespaced(client, &namespace);
        clusters.create(&post(), &cluster("a", json!({"nodes": 3}))).await.unwrap();
        let both = json!({"spec": {"nodes": 4}, "status": {"nodes": 7}});
        let edited = merge(&clusters, "a", both).await.unwrap();
        assert_eq!((edited.spec.nodes, edited.status.is_none()), (4, true));
        let both = json!({
            "metadata": {"labels": {"team": "shop"}}, "spec": {"nodes": 5}, "status": {"nodes": 7},
        });
        let params = PatchParams::default();
        let reported = clusters.patch_status("a", &params, &Patch::Merge(both)).await.unwrap();
        assert_eq!((reported.spec.nodes, reported.labels().len()), (4, 0));
        assert_eq!(reported.status.unwrap().nodes, 7);
    });
}

#[test]
fn a_status_is_taken_whatever_uid_comes_with_it_but_not_with_an_old_version() {
    hold(async |client, namespace| {
        let clusters: Api<CacheCluster> = Api::namespaced(client, &namespace);
        let created = clusters.create(&post(), &cluster("a", json!({"nodes": 3}))).await.unwrap();
        let report = |metadata: Value, nodes: u32| {
            Patch::Apply(json!({
                "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
                "metadata": metadata, "status": {"nodes": nodes},
            }))
        };
        let params = applied_by("one").force();
        let other = json!({"name": "a", "uid": "00000000-0000-0000-0000-000000000000"});
        let taken = clusters.patch_status("a", &params, &report(other, 7)).await.unwrap();
        assert_eq!(taken.uid(), created.uid());
        assert_eq!(taken.status.unwrap().nodes, 7);
        let old = json!({"name": "a", "resourceVersion": created.resource_version()});
        let late = clusters.patch_status("a", &params, &report(old, 8)).await;
        assert_eq!(why(late), (409, "Conflict".to_owned()));
    });
}

#[test]
fn the_status_of_what_does_not_exist_is_not_created() {
    hold(async |client, namespace| {
        let clusters: Api<CacheCluster> = Api::namespaced(client, &namespace);
        let report = Patch::Apply(json!({
            "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
            "metadata": {"name": "a"}, "status": {"nodes": 7},
        }));
        let refused = clusters.patch_status("a", &applied_by("one"), &report).await;
        assert_eq!(why(refused), (404, "NotFound".to_owned()));
    });
}

#[test]
fn applying_a_status_again_makes_no_version_and_fields_left_out_go() {
    hold(async |client, namespace| {
        let clusters: Api<CacheCluster> = Api::namespaced(client, &namespace);
        clusters.create(&post(), &cluster("a", json!({"nodes": 3}))).await.unwrap();
        let report = async |status: Value| {
            let patch = Patch::Apply(json!({
                "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
                "metadata": {"name": "a"}, "status": status,
            }));
            clusters.patch_status("a", &applied_by("one").force(), &patch).await.unwrap()
        };
        let busy = json!({"nodes": 2, "operation": {"type": "ScaleOut", "message": "on its way"}});
        let first = report(busy.clone()).await;
        assert!(first.status.unwrap().operation.is_some());
        assert_eq!(report(busy).await.metadata.resource_version, first.metadata.resource_version);
        let rest = report(json!({"nodes": 3})).await.status.unwrap();
        assert_eq!((rest.nodes, rest.operation.is_none()), (3, true));
    });
}

#[test]
fn defaults_are_filled_in() {
    hold(async |client, namespace| {
        let clusters: Api<Raw> = raw(client, &namespace);
        let wanted = Raw(json!({
            "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
            "metadata": {"name": "a"}, "spec": {"paused": true},
        }));
        let spec = clusters.create(&post(), &wanted).await.unwrap().0["spec"].clone();
        assert_eq!((&spec["nodes"], &spec["ttl"]["defaultSeconds"]), (&json!(3), &json!(0)));
        assert!(spec["memory"].is_string(), "{spec}");
    });
}

#[test]
fn unknown_fields_are_pruned_from_writes_and_refused_by_apply() {
    hold(async |client, namespace| {
        let clusters: Api<Raw> = raw(client, &namespace);
        let wanted = Raw(json!({
            "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
            "metadata": {"name": "a"}, "spec": {"paused": true, "colour": "red"},
        }));
        let created = clusters.create(&post(), &wanted).await.unwrap();
        assert!(created.0["spec"].get("colour").is_none());
        let patch = json!({"spec": {"nodes": 4, "colour": "red"}});
        let patched = merge(&clusters, "a", patch).await.unwrap();
        assert_eq!(
            (&patched.0["spec"]["nodes"], patched.0["spec"].get("colour")),
            (&json!(4), None)
        );
        let colour = applied(json!({"colour": "red"}));
        let status = refusal(clusters.patch("a", &applied_by("one"), &colour).await);
        assert_eq!(status.code, 500);
        assert!(status.message.contains(".spec.colour: field not declared in schema"));
    });
}

#[test]
fn unknown_fields_of_a_status_are_pruned_from_merge_patches_and_refused_by_apply() {
    hold(async |client, namespace| {
        let clusters: Api<Raw> = raw(client, &namespace);
        let wanted = Raw(json!({
            "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
            "metadata": {"name": "a"}, "spec": {"paused": true},
        }));
        clusters.create(&post(), &wanted).await.unwrap();
        let ring = json!({"epoch": 1, "checksum": "c", "colour": "red"});
        let patch = status(json!({"nodes": 4, "colour": "red", "ring": ring}));
        let patched = clusters.patch_status("a", &PatchParams::default(), &patch).await.unwrap();
        let expected = json!({"nodes": 4, "ring": {"epoch": 1, "checksum": "c"}});
        assert_eq!(patched.0["status"], expected);
        let again = clusters.patch_status("a", &PatchParams::default(), &patch).await.unwrap();
        let version = |cluster: &Raw| cluster.0["metadata"]["resourceVersion"].clone();
        assert_eq!(version(&again), version(&patched), "nothing new");
        for (status, field) in [
            (json!({"nodes": 4, "colour": "red"}), ".status.colour"),
            (json!({"ring": ring}), ".status.ring.colour"),
        ] {
            let colour = Patch::Apply(json!({
                "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
                "metadata": {"name": "a"}, "status": status,
            }));
            let refused = clusters.patch_status("a", &applied_by("one").force(), &colour).await;
            let refused = refusal(refused);
            assert_eq!(refused.code, 500);
            let why = format!("{field}: field not declared in schema");
            assert!(refused.message.contains(&why), "{}", refused.message);
        }
    });
}

#[test]
fn a_merge_patch_of_a_status_takes_away_what_is_null_and_is_for_the_version_that_it_names() {
    hold(async |client, namespace| {
        let clusters: Api<CacheCluster> = Api::namespaced(client, &namespace);
        let created = clusters.create(&post(), &cluster("a", json!({"nodes": 3}))).await.unwrap();
        let report = async |version: Option<String>, status: Value| {
            let patch = json!({"metadata": {"resourceVersion": version}, "status": status});
            clusters.patch_status("a", &PatchParams::default(), &Patch::Merge(patch)).await
        };
        let busy = json!({"nodes": 2, "operation": {"type": "ScaleOut", "message": "on its way"}});
        let busy = report(created.resource_version(), busy).await.unwrap();
        let late = report(created.resource_version(), json!({"nodes": 1})).await;
        assert_eq!(why(late), (409, "Conflict".to_owned()));
        let rest = json!({"readyNodes": 2, "operation": null});
        let rest = report(busy.resource_version(), rest).await.unwrap().status.unwrap();
        assert_eq!((rest.nodes, rest.ready_nodes, rest.operation.is_none()), (2, 2, true));
    });
}

#[test]
fn what_breaks_the_schema_is_invalid() {
    hold(async |client, namespace| {
        let clusters: Api<Raw> = raw(client, &namespace);
        let wanted = |spec: Value| {
            Raw(json!({
                "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
                "metadata": {"name": "a"}, "spec": spec,
            }))
        };
        for (spec, field) in [
            (json!({"nodes": "three"}), "spec.nodes"),
            (json!({"nodes": -1}), "spec.nodes"),
            (json!({"scheduling": {"hostSpread": "Sometimes"}}), "spec.scheduling.hostSpread"),
        ] {
            let status = refusal(clusters.create(&post(), &wanted(spec)).await);
            assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
            assert!(status.message.contains(field), "{}", status.message);
            assert!(status.message.starts_with("CacheCluster.ringcache.dev \"a\" is invalid: "));
        }
        clusters.create(&post(), &wanted(json!({"paused": true}))).await.unwrap();
        let edited = merge(&clusters, "a", json!({"spec": {"nodes": -1}})).await;
        assert_eq!(why(edited), (422, "Invalid".to_owned()));
    });
}

/// A `CacheCluster` as plain JSON, so that it can be what it may not be.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
struct Raw(Value);

impl kube::Resource for Raw {
    type DynamicType = ();
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind((): &()) -> std::borrow::Cow<'_, str> {
        "CacheCluster".into()
    }
    fn group((): &()) -> std::borrow::Cow<'_, str> {
        "ringcache.dev".into()
    }
    fn version((): &()) -> std::borrow::Cow<'_, str> {
        "v1alpha1".into()
    }
    fn plural((): &()) -> std::borrow::Cow<'_, str> {
        "cacheclusters".into()
    }
    fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        unimplemented!("plain JSON")
    }
    fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        unimplemented!("plain JSON")
    }
}

fn raw(client: kube::Client, namespace: &str) -> Api<Raw> {
    Api::namespaced(client, namespace)
}
