//! By what the number of nodes follows the load.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{MAX_NODES, MIN_NODES, message};

/// Longest time that a target is missed before nodes are added, in seconds.
pub const MAX_SCALE_OUT_DELAY_SECONDS: i32 = 3600;
/// Longest time without a change before a node is taken away, in seconds.
pub const MAX_SCALE_IN_DELAY_SECONDS: i32 = 86_400;

/// The number of nodes follows what the nodes measure: the fewest that meet all targets are wanted, by the measured miss-ratio curve. The
/// operator never writes `spec.nodes`; that is where the number starts.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.minNodes <= self.maxNodes").message(message::AUTOSCALING_BOUNDS),
    validation = Rule::new("has(self.hitRatioPercent) || has(self.memoryPercent) || has(self.cpuPercent)")
        .message(message::AUTOSCALING_TARGETS)
)]
pub struct Autoscaling {
    /// Fewest nodes, 1 to 100.
    #[serde(default = "default_min_nodes")]
    #[schemars(range(min = MIN_NODES, max = MAX_NODES))]
    pub min_nodes: i32,

    /// Most nodes, 1 to 100.
    #[schemars(range(min = MIN_NODES, max = MAX_NODES))]
    pub max_nodes: i32,

    /// Percent of the reads that shall be hits. Where no number of nodes reaches it, it asks for no node that gains less than half a point.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub hit_ratio_percent: Option<i32>,

    /// Percent of the bytes for entries that the working set may take: what 99 % of the hits need that are reachable at all. Entries that
    /// nobody reads do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub memory_percent: Option<i32>,

    /// Percent of the time that the busiest thread of a node may work, in the mean of the nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub cpu_percent: Option<i32>,

    /// Seconds for which a target must have been missed before nodes are added.
    #[serde(default = "default_scale_out_delay_seconds")]
    #[schemars(range(min = 0, max = MAX_SCALE_OUT_DELAY_SECONDS))]
    pub scale_out_delay_seconds: i32,

    /// Seconds without a change, and for which fewer nodes must have sufficed, before one is taken away.
    #[serde(default = "default_scale_in_delay_seconds")]
    #[schemars(range(min = 0, max = MAX_SCALE_IN_DELAY_SECONDS))]
    pub scale_in_delay_seconds: i32,
}

fn default_min_nodes() -> i32 {
    MIN_NODES
}

fn default_scale_out_delay_seconds() -> i32 {
    60
}

fn default_scale_in_delay_seconds() -> i32 {
    600
}
