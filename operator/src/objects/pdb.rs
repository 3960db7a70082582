//! The disruption budget of a cluster: it holds back evictions that would take more than one node at a time.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use ringcache_api::CacheCluster;
use ringcache_api::cluster::Evictions;
use ringcache_operator_core::{Observed, ObservedNode, Plan, budget};

use super::meta;
use super::pod::has_grace;

/// So many nodes must stay available in what is seen, once the plan has been carried out, of those that are `wanted`. While a pod has less grace than it takes
/// to hand over, none may be evicted.
pub fn available<S>(
    cluster: &CacheCluster,
    pods: &[Pod],
    observed: &Observed,
    plan: &Plan<S>,
    wanted: usize,
) -> usize {
    let is_short_of_grace = |node: &ObservedNode| {
        let mut of_node = pods.iter().filter(|pod| pod.metadata.uid.as_deref() == Some(&node.uid));
        node.phase.is_up() && of_node.any(|pod| !has_grace(pod, node.template.memory_bytes))
    };
    match cluster.spec.disruption.evictions {
        Evictions::OneAtATime if !observed.nodes.iter().any(is_short_of_grace) => {
            budget::min_available(observed, plan)
        }
        Evictions::OneAtATime | Evictions::Blocked => budget::all_available(observed, wanted),
    }
}

/// The budget that keeps so many nodes available.
///
/// It names their number and does not say `maxUnavailable`: that is relative to the number of pods that there should be by
/// `spec.nodes`, so that during a roll or a drain, when there is one more, or a scale-in, when there are many more, several nodes that
/// hold slots could be evicted at once.
///
/// A node that does not serve holds nobody back, or a host with a broken one could never be drained. But where nodes serve whose pods are
/// not ready (`unready_serve`), Kubernetes counts none of them, and would let all of them be evicted at once.
pub fn pdb(cluster: &CacheCluster, available: usize, unready_serve: bool) -> PodDisruptionBudget {
    let policy = if unready_serve { "IfHealthyBudget" } else { "AlwaysAllow" };
    let available = i32::try_from(available).unwrap_or(i32::MAX);
    PodDisruptionBudget {
        metadata: meta::metadata(cluster, cluster.name_any()),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(available)),
            selector: Some(LabelSelector {
                match_labels: Some(meta::selector(cluster)),
                ..LabelSelector::default()
            }),
            unhealthy_pod_eviction_policy: Some(policy.to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
