//! What a node says of itself: the state that the operator decides by.

use ringcache_api::Incarnation;
use ringcache_api::admin::{ADMIN_VERSION, Heard, NodeState, NodeStats, Ownership, Settings};

use crate::machine::Cluster;

/// What the state machine knows of the cluster, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// Epoch of the document in force; 0 = none.
    pub epoch: u64,
    /// Its checksum; empty = none.
    pub checksum: String,
    /// Whether that document names this process.
    pub is_member: bool,
    /// What this node owns.
    pub ownership: Ownership,
    /// When this node last heard of each other member.
    pub heard: Vec<Heard>,
}

/// What a node says of itself besides that.
#[derive(Clone, Debug)]
pub struct Process {
    /// Name it was started with.
    pub name: String,
    /// This run of the process.
    pub incarnation: Incarnation,
    /// Uid of the cluster it was started for.
    pub cluster_uid: String,
    /// The settings in force.
    pub settings: Settings,
    /// Counters and sizes.
    pub stats: NodeStats,
    /// Whether it has been told to end.
    pub draining: bool,
}

impl Cluster {
    /// All that the operator, or whoever ends the process, asks of the state machine at the time `now`.
    pub fn knowledge(&mut self, now: u64) -> Knowledge {
        let heard = self.heard(now);
        let document = self.document.as_ref();
        let me = self.ids.name(self.me);
        Knowledge {
            epoch: self.epoch(),
            checksum: document.map_or_else(String::new, |d| d.checksum.clone()),
            is_member: document.zip(me).is_some_and(|(d, me)| d.incarnation(me).is_some()),
            ownership: self.ownership(),
            heard,
        }
    }
}

impl Knowledge {
    /// The answer to `GET /admin/v1/state`.
    pub fn state(self, process: Process) -> NodeState {
        let Process { name, incarnation, cluster_uid, settings, stats, draining } = process;
        NodeState {
            version: ADMIN_VERSION,
            name,
            incarnation,
            cluster_uid,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: self.epoch,
            checksum: self.checksum,
            ownership: self.ownership,
            settings: settings.into(),
            stats,
            heard: self.heard,
            draining,
        }
    }

    /// Slots that the node owns, or has sealed for another.
    pub fn held(&self) -> usize {
        let sealed = self.ownership.sealed.iter().flat_map(|sealed| &sealed.slots);
        let ranges = self.ownership.owned.iter().chain(sealed);
        ranges.map(|&(first, last)| first..=last).collect::<ringcache_ring::SlotSet>().len()
    }
}
