//! What the user wants, parsed once: nothing after `validate` reads the raw resource.

use ringcache_api::admin::Settings;
use serde::{Deserialize, Serialize};

/// A valid spec in units that the planner works with. Made by [`validate`](crate::validate()).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// Number of nodes, at least 1.
    pub nodes: usize,
    /// Memory of each node in bytes.
    pub memory_bytes: u64,
    /// What nodes are told live.
    pub settings: Settings,
    /// Change nothing.
    pub paused: bool,
    /// The resource is being deleted: everything goes, whatever else the spec says.
    pub deleting: bool,
}
