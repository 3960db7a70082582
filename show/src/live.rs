//! What a live page shows of a cluster: one JSON document for each look at it.
//!
//! The document has facts and numbers, in base units; the page makes words, bars and curves of them. `kubectl ringcache` and `ringcache up`
//! look at different things to get it, and the page need not know which.

mod nodes;
mod rates;
mod ring;
mod under_way;

use std::time::Duration;

use ringcache_api::CacheCluster;
use ringcache_api::admin::{HotKeyShare, NodeHeat};
use ringcache_api::status::{CacheClusterStatus, condition};
use ringcache_operator_core::Observed;
use ringcache_operator_core::autoscaling::Measured;
use serde_json::{Value, json};

use crate::curve::Sizes;
use crate::hot_keys::hottest;
use crate::nodes::Place;
use crate::status::is_ready;
use crate::table::tame;
use rates::Rates;
use under_way::Progress;

/// Version of the document: a page that was loaded before does not understand another one.
pub const VERSION: u32 = 1;
/// Hot keys that are shown, and characters of each.
const HOT_KEYS: usize = 12;
const KEY_CHARACTERS: usize = 120;

/// What one look at a cluster has brought.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The resource.
    pub cluster: &'a CacheCluster,
    /// Its status, as last reported by whoever looks after it.
    pub status: &'a CacheClusterStatus,
    /// Its nodes and its ring document.
    pub observed: &'a Observed,
    /// What all members have measured; `None` = one of them does not tell.
    pub measured: Option<&'a Measured>,
    /// What clients do at the nodes that tell, by the names of these.
    pub heats: &'a [(String, NodeHeat)],
    /// What tells one node from another.
    pub place: Place,
}

/// Looks again and again, and remembers what it needs for rates and progress.
#[derive(Clone, Debug, Default)]
pub struct Live {
    rates: Rates,
    progress: Progress,
}

impl Live {
    /// The document of a look at the time `now`, counted from any moment that stays the same.
    pub fn document(&mut self, seen: &Seen<'_>, now: Duration) -> Value {
        let Seen { cluster, status, observed, measured, heats, place } = *seen;
        self.rates.note(observed, now);
        let nodes = nodes::json(observed, heats, &self.rates, place);
        let conditions = status.conditions.iter();
        let scaling = conditions.clone().find(|c| c.type_ == condition::AUTOSCALING_ACTIVE);
        json!({
            "version": VERSION,
            "name": cluster.metadata.name,
            "namespace": cluster.metadata.namespace,
            "ready": is_ready(status),
            "summary": status.summary,
            "nodesWanted": status.autoscaling.as_ref().map_or(cluster.spec.nodes, |it| it.nodes),
            "paused": cluster.spec.paused,
            "totals": nodes::totals(observed, &self.rates),
            "nodes": nodes,
            "ring": ring::json(observed),
            "curve": measured.filter(|it| it.served().is_some()).map(|it| Sizes::of(it).json()),
            "hotKeys": hot_keys(heats),
            "operation": self.progress.json(status, observed),
            "autoscaling": scaling.map(|condition| json!({
                "targets": cluster.spec.autoscaling,
                "status": status.autoscaling,
                "active": condition.status == "True",
                "reason": condition.reason,
                "message": condition.message,
            })),
            "conditions": conditions.map(|c| json!({
                "type": c.type_, "status": c.status, "reason": c.reason, "message": c.message,
            })).collect::<Vec<_>>(),
        })
    }
}

/// The document of a look that failed, or found nothing.
pub fn trouble(why: &str) -> Value {
    json!({ "version": VERSION, "trouble": why })
}

/// The hottest keys of all nodes, cut to what a page has room for. Clients choose them: they may be anything.
fn hot_keys(heats: &[(String, NodeHeat)]) -> Vec<Value> {
    let hottest = hottest(heats).into_iter().take(HOT_KEYS);
    let key = |(node, hot): (&str, &HotKeyShare)| {
        let shown: String = hot.key.chars().take(KEY_CHARACTERS).collect();
        json!({
            "key": tame(&shown),
            "isCut": shown.len() < hot.key.len(),
            "keyBytes": hot.key_bytes,
            "node": node,
            "shareOfNode": hot.share,
        })
    };
    hottest.map(key).collect()
}

#[cfg(test)]
mod tests;
