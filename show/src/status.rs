//! The status of a cluster, its conditions and its nodes.

use ringcache_api::CacheCluster;
use ringcache_api::status::{CacheClusterStatus, condition};
use ringcache_operator_core::Observed;

use crate::nodes::{self, Place};
use crate::table;

/// Whether every slot is served.
pub fn is_ready(status: &CacheClusterStatus) -> bool {
    status.conditions.iter().any(|c| c.type_ == condition::READY && c.status == "True")
}

/// What the cluster's status says, and what its nodes say of themselves.
pub fn text(
    cluster: &CacheCluster,
    status: &CacheClusterStatus,
    observed: &Observed,
    place: Place,
) -> String {
    let conditions = status
        .conditions
        .iter()
        .map(|c| [c.type_.clone(), c.status.clone(), c.reason.clone(), c.message.clone()]);
    let epoch = status.ring.as_ref().map_or_else(|| "none".to_owned(), |r| r.epoch.to_string());
    let state = status.summary.as_ref().map_or("Unknown", |summary| summary.state.as_str());
    let version = status.version.as_deref().unwrap_or("unknown");
    format!(
        "{}: {state}, {} of {} nodes ready, version {version}, ring epoch {epoch}\n\n{}\n{}",
        cluster.metadata.name.as_deref().unwrap_or_default(),
        status.ready_nodes,
        status.autoscaling.as_ref().map_or(cluster.spec.nodes, |scaling| scaling.nodes),
        table::plain(&["CONDITION", "STATUS", "REASON", "MESSAGE"], 4, conditions),
        nodes::table(observed, place),
    )
}
