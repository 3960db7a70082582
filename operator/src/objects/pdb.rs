//! The disruption budget of a cluster: evictions wait until the operator has moved the slots elsewhere.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use ringcache_api::CacheCluster;

use super::meta;

/// The budget of a cluster with so many nodes that have not been told to end: none of them may be evicted.
///
/// It counts nodes and does not say `maxUnavailable: 0`: that is relative to `spec.nodes`, so that during a roll or a drain,
/// when there is one more, or a scale-in, when there are many more, nodes that still hold slots could be evicted.
pub fn pdb(cluster: &CacheCluster, nodes: usize) -> PodDisruptionBudget {
    let nodes = i32::try_from(nodes).unwrap_or(i32::MAX);
    PodDisruptionBudget {
        metadata: meta::metadata(cluster, cluster.name_any()),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(nodes.max(cluster.spec.nodes))),
            selector: Some(LabelSelector {
                match_labels: Some(meta::selector(cluster)),
                ..LabelSelector::default()
            }),
            // A node that does not serve holds nobody back: otherwise a host with a broken one could never be drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
