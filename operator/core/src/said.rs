//! What is read of a node's answer about itself.

use ringcache_api::Incarnation;
use ringcache_api::admin::{Heard, KnownSettings, NodeState, NodeStats, Ownership, Sealed};
use ringcache_ring::SlotSet;

/// The fields of a node's answer that are read, and no others. A test of real nodes shows that each of them is filled there.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// Name it was started with.
    pub name: &'a str,
    /// This run of the process.
    pub incarnation: &'a Incarnation,
    /// Uid of the cluster it was started for.
    pub cluster_uid: &'a str,
    /// Version of its program.
    pub version: &'a str,
    /// Epoch of the newest document it has accepted; 0 = none.
    pub epoch: u64,
    /// Checksum of that document; empty = none.
    pub checksum: &'a str,
    /// Ranges of slots that it owns, first and last inclusive.
    pub owned: &'a [(u16, u16)],
    /// Slots that it has given away without an answer so far.
    pub sealed: &'a [Sealed],
    /// Slots received by handover since the process started.
    pub handed_in: u64,
    /// Slots adopted since the process started.
    pub adopted: u64,
    /// The settings in force, as far as it knows them.
    pub settings: KnownSettings,
    /// Live entries.
    pub entries: u64,
    /// Bytes of entries and their index.
    pub used_bytes: u64,
    /// Lookups that found an entry.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
    /// When it last heard of each other member.
    pub heard: &'a [Heard],
    /// Whether the process has been told to end.
    pub draining: bool,
}

impl<'a> From<&'a NodeState> for Said<'a> {
    /// No `..`: whoever adds a field to what nodes say decides here whether it is read.
    fn from(state: &'a NodeState) -> Self {
        let NodeState {
            version: _,
            name,
            incarnation,
            cluster_uid,
            program,
            epoch,
            checksum,
            ownership,
            settings,
            stats,
            heard,
            draining,
        } = state;
        let Ownership { owned, sealed, handed_in, handed_out: _, adopted } = ownership;
        let NodeStats {
            entries,
            used_bytes,
            limit_bytes: _,
            resident_bytes: _,
            hits,
            misses,
            evicted: _,
            expired: _,
            forwarded: _,
            connections: _,
            idle_ms: _,
        } = stats;
        Self {
            name,
            incarnation,
            cluster_uid,
            version: program,
            epoch: *epoch,
            checksum,
            owned,
            sealed,
            handed_in: *handed_in,
            adopted: *adopted,
            settings: *settings,
            entries: *entries,
            used_bytes: *used_bytes,
            hits: *hits,
            misses: *misses,
            heard,
            draining: *draining,
        }
    }
}

impl Said<'_> {
    /// The slots that the node owns.
    pub(crate) fn slots(&self) -> SlotSet {
        self.owned.iter().map(|&(first, last)| first..=last).collect()
    }

    /// Whether the node holds no slot, not even one that it is in doubt about.
    pub(crate) fn is_empty(&self) -> bool {
        self.owned.is_empty() && self.sealed.is_empty()
    }

    /// Whether it waits for an answer of `incarnation` about a slot.
    pub(crate) fn awaits(&self, incarnation: &Incarnation) -> bool {
        self.sealed.iter().any(|sealed| sealed.to == *incarnation)
    }
}
