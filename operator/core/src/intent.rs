//! What the user wants, parsed once: nothing after `validate` reads the raw resource.

use ringcache_api::CacheClusterSpec;
use ringcache_api::admin::Settings;
use serde::{Deserialize, Serialize};

use crate::quantity;

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
    /// Whether changes of the spec wait: no node is replaced for what it was started as.
    pub paused: bool,
    /// The resource is being deleted: everything goes, whatever else the spec says.
    pub deleting: bool,
}

impl Intent {
    /// What a spec says, whatever rules it breaks; `None` if it says nothing that could be carried out.
    pub(crate) fn read(spec: &CacheClusterSpec, deleting: bool) -> Option<Self> {
        Some(Self {
            nodes: usize::try_from(spec.nodes).ok().filter(|nodes| *nodes > 0)?,
            memory_bytes: quantity::bytes(&spec.memory)?,
            settings: Settings {
                ttl_default_seconds: spec.ttl.default_seconds.try_into().ok()?,
                ttl_jitter_percent: spec.ttl.jitter_percent.try_into().ok()?,
            },
            paused: spec.paused,
            deleting,
        })
    }
}
