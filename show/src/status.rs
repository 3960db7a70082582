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
    let head = format!(
        "{}: {state}, {} of {} nodes ready, version {version}, ring epoch {epoch}",
        cluster.metadata.name.as_deref().unwrap_or_default(),
        status.ready_nodes,
        status.autoscaling.as_ref().map_or(cluster.spec.nodes, |scaling| scaling.nodes),
    );
    format!(
        "{}\n\n{}\n{}",
        table::tame(&head),
        table::plain(&["CONDITION", "STATUS", "REASON", "MESSAGE"], 4, conditions),
        nodes::table(observed, place),
    )
}

#[cfg(test)]
mod tests {
    use ringcache_api::CacheClusterSpec;
    use serde_json::json;

    use super::*;
    use crate::fixture::observed;

    #[test]
    fn a_status_that_somebody_else_wrote_tells_a_terminal_nothing() {
        let cluster = CacheCluster::new("web", CacheClusterSpec { nodes: 3, ..Default::default() });
        let status = serde_json::from_value(json!({
            "version": "1\u{1b}[2J", "summary": {"state": "\u{1b}]0;x\u{7}", "message": ""},
        }));
        let status = status.expect("a status");
        let text = text(&cluster, &status, &observed(None, Vec::new()), Place::Host);
        let wanted = "web: \u{fffd}]0;x\u{fffd}, 0 of 3 nodes ready, version 1\u{fffd}[2J, ring epoch none\n\n";
        assert!(text.starts_with(wanted), "{text:?}");
    }
}
