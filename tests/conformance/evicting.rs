//! Evictions and disruption budgets.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use kube::api::EvictParams;
use kube::{Api, Client};
use serde_json::json;

use crate::stage::{eventually, hold, object, post, pretend, refusal, unbound};

/// Pods `a` and `b`, ready or not, and a budget for both, which has been worked out.
async fn stage(
    client: Client,
    namespace: &str,
    ready: [bool; 2],
    min: u32,
) -> (Api<Pod>, PodDisruptionBudgetStatus) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for (name, ready) in ["a", "b"].into_iter().zip(ready) {
        pods.create(&post(), &unbound(name, json!({"app": "web"}))).await.unwrap();
        pretend(&pods, name, ready).await;
    }
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client, namespace);
    let wanted = object(json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {
            "minAvailable": min, "selector": {"matchLabels": {"app": "web"}},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }));
    budgets.create(&post(), &wanted).await.unwrap();
    let healthy = ready.into_iter().map(i32::from).sum();
    let mut status = PodDisruptionBudgetStatus::default();
    eventually("the budget is worked out", async || {
        status = budgets.get("web").await.unwrap().status.unwrap_or_default();
        status.expected_pods == Some(2)
            && status.current_healthy == Some(healthy)
            && status.observed_generation == Some(1)
    })
    .await;
    (pods, status)
}

async fn is_ending(pods: &Api<Pod>, name: &str) -> bool {
    let pod = pods.get_opt(name).await.unwrap();
    pod.is_none_or(|pod| pod.metadata.deletion_timestamp.is_some())
}

#[test]
fn a_budget_without_room_refuses_an_eviction() {
    hold(async |client, namespace| {
        let (pods, status) = stage(client, &namespace, [true, true], 2).await;
        assert_eq!((status.desired_healthy, status.disruptions_allowed), (Some(2), Some(0)));
        let status = refusal(pods.evict("a", &EvictParams::default()).await);
        assert_eq!((status.code, status.reason.as_str()), (429, "TooManyRequests"));
        assert_eq!(
            status.message,
            "Cannot evict pod as it would violate the pod's disruption budget."
        );
        let cause = &status.details.unwrap().causes[0];
        assert_eq!(cause.reason, "DisruptionBudget");
        assert_eq!(
            cause.message,
            "The disruption budget web needs 2 healthy pods and has 2 currently"
        );
        assert!(!is_ending(&pods, "a").await);
    });
}

#[test]
fn a_budget_with_room_for_one_allows_one_eviction() {
    hold(async |client, namespace| {
        let (pods, status) = stage(client, &namespace, [true, true], 1).await;
        assert_eq!((status.desired_healthy, status.disruptions_allowed), (Some(1), Some(1)));
        pods.evict("a", &EvictParams::default()).await.unwrap();
        assert!(is_ending(&pods, "a").await);
        assert_eq!(refusal(pods.evict("b", &EvictParams::default()).await).code, 429);
    });
}

#[test]
fn a_pod_that_does_not_serve_is_always_let_go_if_the_budget_says_so() {
    hold(async |client, namespace| {
        let (pods, status) = stage(client, &namespace, [true, false], 2).await;
        assert_eq!((status.current_healthy, status.disruptions_allowed), (Some(1), Some(0)));
        pods.evict("b", &EvictParams::default()).await.unwrap();
        assert!(is_ending(&pods, "b").await);
        assert_eq!(refusal(pods.evict("a", &EvictParams::default()).await).code, 429);
    });
}

#[test]
fn a_pod_without_a_budget_can_be_evicted() {
    hold(async |client, namespace| {
        let pods: Api<Pod> = Api::namespaced(client, &namespace);
        pods.create(&post(), &unbound("a", json!({"app": "web"}))).await.unwrap();
        pretend(&pods, "a", true).await;
        pods.evict("a", &EvictParams::default()).await.unwrap();
        assert!(is_ending(&pods, "a").await);
    });
}
