//! How others than the operator may interrupt the nodes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How others than the operator may interrupt the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disruption {
    /// Whether the nodes' pods may be evicted, as `kubectl drain` and autoscalers do it.
    #[serde(default)]
    pub evictions: Evictions,
}

/// Which evictions the disruption budget lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Evictions {
    /// One, while no other node is on its way out: it hands over within its grace, and what nobody takes is lost.
    #[default]
    OneAtATime,
    /// None: the operator moves nodes off hosts that are cordoned or tainted, and a host is not empty before that is done.
    Blocked,
}
