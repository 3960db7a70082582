//! What the nodes have measured, put together.

use ringcache_api::admin::NodeCurve;
use ringcache_curve::Curve;

/// A node is warm if it serves as much as its curve says, but for this.
const WARM: f64 = 0.02;

/// No node remembers longer, whatever it says.
const LONGEST_SECONDS: f64 = 3600.0;
/// Fewer reads a second than this are none: what is left of those of long ago.
const LEAST_READS: f64 = 0.01;
/// A cluster is full if its entries take this part of what they may.
const FULL: f64 = 0.9;

/// What the nodes have measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// How many nodes have.
    pub nodes: usize,
    /// Bytes that the entries of each node may take, in the mean.
    pub node_bytes: u64,
    /// Bytes that the entries of all of them take.
    pub used_bytes: u64,
    /// The curves of all of them, merged: counts are reads a second.
    pub curve: Curve,
    /// The part of the time in which the busiest thread of each node works, in the mean.
    pub busy: f64,
    /// Nodes that serve less than they would if they had been there before, by name.
    pub cold: Vec<String>,
    /// Seconds after which a read counts half, at the node that remembers longest.
    pub half_life_seconds: f64,
}

impl Measured {
    /// By what each node has told, under its name, and by the bytes that all entries take; `None` = there is no node.
    pub fn of(told: &[(String, NodeCurve)], used_bytes: u64) -> Option<Self> {
        let nodes = told.len();
        let mean = |of: fn(&NodeCurve) -> f64| {
            told.iter().map(|(_, node)| of(node)).sum::<f64>() / nodes.max(1) as f64
        };
        let mut curve = Curve::default();
        for (_, node) in told {
            curve.merge(&node.curve);
        }
        let node_bytes = mean(|node| node.budget_bytes as f64) as u64;
        let bytes = node_bytes.saturating_mul(nodes as u64);
        let is_cold = |node: &NodeCurve| {
            let both = node.curve.hit_ratio(bytes).zip(node.curve.measured());
            both.is_some_and(|(predicted, served)| served < predicted - WARM)
        };
        let cold = told.iter().filter(|(_, node)| is_cold(node)).map(|(name, _)| name.clone());
        let half_lives = told.iter().map(|(_, node)| node.half_life_seconds);
        (nodes > 0).then(|| Self {
            nodes,
            node_bytes,
            used_bytes,
            busy: mean(|node| node.busy),
            cold: cold.collect(),
            half_life_seconds: half_lives.fold(0.0, f64::max).min(LONGEST_SECONDS),
            curve,
        })
    }

    /// The hit ratio that so many nodes would have; `None` = nothing was read.
    pub fn hit_ratio(&self, nodes: usize) -> Option<f64> {
        self.curve.hit_ratio(self.node_bytes.saturating_mul(nodes as u64))
    }

    /// Whether the entries take nearly all that they may.
    pub(super) fn is_full(&self) -> bool {
        self.used_bytes as f64 >= self.node_bytes.saturating_mul(self.nodes as u64) as f64 * FULL
    }

    /// The hit ratio that they have; `None` = nothing is read.
    pub fn served(&self) -> Option<f64> {
        self.curve.measured().filter(|_| self.curve.reads() >= LEAST_READS)
    }

    /// How much the last of so many nodes gains.
    pub(super) fn gain(&self, nodes: usize) -> f64 {
        let before = self.hit_ratio(nodes - 1).unwrap_or_default();
        self.hit_ratio(nodes).unwrap_or_default() - before
    }
}
