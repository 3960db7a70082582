//! The admin API between operator and nodes: `GET /admin/v1/state`, `PUT /admin/v1/ring`, `PUT /admin/v1/settings`.

use ringcache_curve::Curve;
use serde::{Deserialize, Serialize};

use crate::document::Incarnation;

pub use crate::settings::{KnownSettings, Settings};

/// Version of these messages; part of every path (`/admin/v1`).
pub const ADMIN_VERSION: u32 = 1;

/// Body of `PUT /admin/v1/settings`: settings, and who is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsFor {
    /// The run of the process that is meant. Any other one refuses: behind an address that was read a moment ago may sit the
    /// node of another cluster by now. Operators of before this field name nobody and mean whoever listens; nodes of before it
    /// do not look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Incarnation>,
    /// What that node is to know. Settings that are absent stay as they are.
    #[serde(flatten)]
    pub settings: KnownSettings,
}

impl SettingsFor {
    /// The settings of the node `own` once it was given these over its `current` ones. What is not named stays as it is: an older
    /// operator does not know of it.
    ///
    /// # Errors
    ///
    /// Who is meant, if that is another node.
    pub fn over(self, own: &Incarnation, current: Settings) -> Result<Settings, Incarnation> {
        match self.to {
            Some(to) if to != *own => Err(to),
            _ => Ok(self.settings.over(current)),
        }
    }
}

/// Slots that a node has sealed for another and has no answer for: it neither serves nor drops them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Ranges of slots, first and last inclusive.
    pub slots: Vec<(u16, u16)>,
    /// The incarnation that may own them by now.
    pub to: Incarnation,
}

/// What a node owns, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ownership {
    /// Ranges of slots that it owns and serves, first and last inclusive.
    pub owned: Vec<(u16, u16)>,
    /// Slots sealed and unanswered.
    #[serde(default)]
    pub sealed: Vec<Sealed>,
    /// Slots received by handover since the process started.
    pub handed_in: u64,
    /// Slots given away by handover since the process started.
    pub handed_out: u64,
    /// Slots adopted (nobody owned them) since the process started.
    pub adopted: u64,
}

/// Counters and sizes of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStats {
    /// Live entries.
    pub entries: u64,
    /// Bytes of the store as accounted: entries and their index.
    pub used_bytes: u64,
    /// The node's memory limit: all of the process.
    pub limit_bytes: u64,
    /// Resident memory of the process.
    pub resident_bytes: u64,
    /// Lookups that found an entry.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
    /// Entries evicted for want of memory.
    pub evicted: u64,
    /// Entries removed because their time was over.
    pub expired: u64,
    /// Requests forwarded to another node.
    pub forwarded: u64,
    /// Open client connections.
    pub connections: u64,
    /// Milliseconds since a client last asked for a key; absent if none ever did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
}

/// When a node last heard of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heard {
    /// The other one.
    pub incarnation: Incarnation,
    /// Milliseconds since anything came from it over the bus. Where nothing ever did, since the node listens for it: since it
    /// knows of it, and has not been stopped itself.
    pub ms_ago: u64,
}

/// Answer of `GET /admin/v1/state`: everything that the operator decides by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeState {
    /// [`ADMIN_VERSION`].
    pub version: u32,
    /// Name it was started with.
    pub name: String,
    /// This run of the process.
    pub incarnation: Incarnation,
    /// Uid of the cluster it was started for.
    pub cluster_uid: String,
    /// Version of the program.
    pub program: String,
    /// Epoch of the newest document it has accepted; 0 = none.
    pub epoch: u64,
    /// Checksum of that document; empty = none.
    pub checksum: String,
    /// What it owns.
    pub ownership: Ownership,
    /// The settings in force: all that the node knows, and only those.
    #[serde(default)]
    pub settings: KnownSettings,
    /// Counters and sizes.
    pub stats: NodeStats,
    /// Every other member of its document, and when the node last heard of it. Somebody who is missing here is unknown to the
    /// node, which proves nothing.
    #[serde(default)]
    pub heard: Vec<Heard>,
    /// Whether the process has been told to end (SIGTERM): it serves on until it owns nothing or its grace is over.
    #[serde(default)]
    pub draining: bool,
}

/// Answer of `GET /admin/v1/curve`: how the reads of the last while would have gone with other sizes of the cluster, and what else an
/// autoscaler goes by. A busy node remembers seconds, one with few reads minutes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeCurve {
    /// [`ADMIN_VERSION`].
    pub version: u32,
    /// This run of the process.
    pub incarnation: Incarnation,
    /// Bytes that its entries may take now.
    pub budget_bytes: u64,
    /// The part of the last ten seconds in which the busiest of the threads that serve clients used a core, from 0 to 1.
    pub busy: f64,
    /// Seconds after which a read counts half in the curve.
    pub half_life_seconds: f64,
    /// The reads of keys of this node in a second, as they were lately. Those of all nodes add up to the curve of the cluster; sizes are those of the whole cluster, in
    /// bytes of the store.
    #[serde(flatten)]
    pub curve: Curve,
}

/// Answer of `GET /admin/v1/heat`: what the node's clients do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeHeat {
    /// [`ADMIN_VERSION`].
    pub version: u32,
    /// This run of the process.
    pub incarnation: Incarnation,
    /// The keys that get far more of the operations of the last ten seconds than others, at most ten, the hottest first.
    pub hot_keys: Vec<HotKeyShare>,
    /// The slots with most operations in the last ten seconds, at most 16, the busiest first.
    pub busiest_slots: Vec<SlotTraffic>,
    /// The threads that serve clients: those for the Redis protocol, and the one for HTTP.
    pub threads: Vec<ThreadShare>,
    /// Microseconds from the first byte of a request read to its reply written, in the last minute.
    pub read_microseconds: Option<Quantiles>,
    /// The same of requests that write or delete.
    pub write_microseconds: Option<Quantiles>,
    /// Milliseconds for which entries were unused that were evicted since the process started.
    pub evicted_unused_milliseconds: Option<Quantiles>,
    /// Those of entries whose time was over.
    pub expired_unused_milliseconds: Option<Quantiles>,
    /// How often a key was missed by several connections at once, since the process started.
    pub stampedes: u64,
}

/// A key that is used much more than others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HotKeyShare {
    /// The key as text, or percent-encoded; of one above 1 KiB the beginning.
    pub key: String,
    /// `percent` if the key is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_encoding: Option<String>,
    /// Bytes of the whole key.
    pub key_bytes: u64,
    /// Its part of all operations on keys of this node, from 0 to 1.
    pub share: f64,
}

/// How busy a thread is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadShare {
    /// Its name, such as `resp-0`.
    pub name: String,
    /// The part of the last ten seconds in which it used a core, from 0 to 1.
    pub busy: f64,
}

/// What goes through a slot in a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotTraffic {
    /// Its number.
    pub slot: u16,
    /// Operations on its keys.
    pub operations: f64,
    /// Bytes of values written.
    pub bytes_in: f64,
    /// Bytes of values read.
    pub bytes_out: f64,
}

/// Values that a share of all are not above, each to within a thirty-second of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quantiles {
    /// How many values there were.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// 95 of 100 are not above this one.
    pub p95: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
}

/// Body of every error answer of the admin API, and of the data API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// A stable code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// Stable, `CamelCase`.
    pub code: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// Stable codes of refused ring documents and settings.
pub mod code {
    /// The settings are for another run of a process than the one that listens.
    pub const OTHER_INCARNATION: &str = "OtherIncarnation";
    /// The document's epoch is not above the one in force, and it is not the same document.
    pub const STALE_EPOCH: &str = "StaleEpoch";
    /// The document belongs to another cluster.
    pub const OTHER_CLUSTER: &str = "OtherCluster";
    /// Format, checksum or consistency.
    pub const INVALID_DOCUMENT: &str = "InvalidDocument";
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { ttl_default_seconds: 300, ttl_jitter_percent: 20 };

    #[test]
    fn settings_with_an_address_are_settings_for_a_node_that_knows_of_none() {
        let to = Some(Incarnation::new("pod", "1"));
        let body = serde_json::to_string(&SettingsFor { to, settings: SETTINGS.into() }).unwrap();
        assert_eq!(body, r#"{"to":"pod.1","ttlDefaultSeconds":300,"ttlJitterPercent":20}"#);
        assert_eq!(serde_json::from_str::<Settings>(&body).unwrap(), SETTINGS);
    }

    #[test]
    fn settings_without_an_address_are_for_whoever_listens() {
        let body = serde_json::to_string(&SETTINGS).unwrap();
        let read: SettingsFor = serde_json::from_str(&body).unwrap();
        assert_eq!(read, SettingsFor { to: None, settings: SETTINGS.into() });
    }
}
