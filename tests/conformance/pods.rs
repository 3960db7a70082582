//! Pods: what of them changes, and how they are deleted.

use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::stage::{hold, merge, pod, post, pretend, refusal};

#[test]
fn the_spec_of_a_pod_does_not_change() {
    hold(async |client, namespace| {
        let pods: Api<Pod> = Api::namespaced(client, &namespace);
        pods.create(&post(), &pod("a", json!({}))).await.unwrap();
        let patch = json!({"spec": {"restartPolicy": "Never"}});
        let status = refusal(merge(&pods, "a", patch).await);
        assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
        assert!(
            status.message.starts_with("Pod \"a\" is invalid: spec: Forbidden: pod updates may")
        );
        let labelled = merge(&pods, "a", json!({"metadata": {"labels": {"x": "1"}}})).await;
        assert_eq!(labelled.unwrap().labels()["x"], "1");
        let other =
            json!({"spec": {"containers": [{"name": "main", "image": "registry.example/none:2"}]}});
        let images = merge(&pods, "a", other).await.unwrap().spec.unwrap().containers;
        assert_eq!(images[0].image.as_deref(), Some("registry.example/none:2"));
    });
}

#[test]
fn a_new_pod_waits_and_has_the_defaults_of_pods() {
    hold(async |client, namespace| {
        let pods: Api<Pod> = Api::namespaced(client, &namespace);
        let created = pods.create(&post(), &pod("a", json!({}))).await.unwrap();
        assert_eq!(created.status.unwrap().phase.as_deref(), Some("Pending"));
        let spec = created.spec.unwrap();
        assert_eq!(spec.restart_policy.as_deref(), Some("Always"));
        assert_eq!(spec.termination_grace_period_seconds, Some(30));
        assert_eq!(spec.containers[0].image_pull_policy.as_deref(), Some("IfNotPresent"));
    });
}

#[test]
fn a_pod_that_may_run_somewhere_is_given_time_to_end() {
    hold(async |client, namespace| {
        let pods: Api<Pod> = Api::namespaced(client, &namespace);
        pods.create(&post(), &pod("a", json!({}))).await.unwrap();
        pretend(&pods, "a", true).await;
        pods.delete("a", &DeleteParams::default()).await.unwrap();
        let ending = pods.get("a").await.unwrap();
        assert!(ending.metadata.deletion_timestamp.is_some());
        assert_eq!(ending.metadata.deletion_grace_period_seconds, Some(30));
        pods.delete("a", &DeleteParams::default().grace_period(0)).await.unwrap();
        assert!(pods.get_opt("a").await.unwrap().is_none());
    });
}

#[test]
fn asking_again_never_gives_a_pod_more_time() {
    hold(async |client, namespace| {
        let pods: Api<Pod> = Api::namespaced(client, &namespace);
        pods.create(&post(), &pod("a", json!({}))).await.unwrap();
        pretend(&pods, "a", true).await;
        pods.delete("a", &DeleteParams::default().grace_period(20)).await.unwrap();
        pods.delete("a", &DeleteParams::default().grace_period(25)).await.unwrap();
        let ending = pods.get("a").await.unwrap();
        assert_eq!(ending.metadata.deletion_grace_period_seconds, Some(20));
        pods.delete("a", &DeleteParams::default().grace_period(5)).await.unwrap();
        let ending = pods.get("a").await.unwrap();
        assert_eq!(ending.metadata.deletion_grace_period_seconds, Some(5));
    });
}

#[test]
fn a_pod_that_has_ended_goes_at_once() {
    hold(async |client, namespace| {
        let pods: Api<Pod> = Api::namespaced(client, &namespace);
        pods.create(&post(), &pod("a", json!({}))).await.unwrap();
        let patch = kube::api::Patch::Merge(json!({"status": {"phase": "Failed"}}));
        pods.patch_status("a", &kube::api::PatchParams::default(), &patch).await.unwrap();
        pods.delete("a", &DeleteParams::default()).await.unwrap();
        assert!(pods.get_opt("a").await.unwrap().is_none());
    });
}

#[test]
fn status_of_a_pod_is_out_of_reach_of_the_pod() {
    hold(async |client, namespace| {
        let pods: Api<Pod> = Api::namespaced(client, &namespace);
        pods.create(&post(), &pod("a", json!({}))).await.unwrap();
        let patched = merge(&pods, "a", json!({"status": {"phase": "Running"}})).await.unwrap();
        assert_eq!(patched.status.unwrap().phase.as_deref(), Some("Pending"));
    });
}
