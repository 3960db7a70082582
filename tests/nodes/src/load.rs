//! What clients read, as nodes without data would measure it.

use ringcache_api::Incarnation;
use ringcache_api::admin::{ADMIN_VERSION, NodeCurve};
use ringcache_curve::{Sampler, Write};

/// Bytes that the entries of each node may take.
pub const NODE_BYTES: u64 = 1 << 20;
/// Reads that tell the depths of a load apart.
const READS: u64 = 120;

/// Reads that need all sizes up to a working set alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// How many nodes hold the working set.
    pub nodes: f64,
    /// The part of the hits that the curve promises which nodes really serve.
    pub served: f64,
}

impl Load {
    /// Reads of a working set that fills so many nodes, all of them served as the curve says.
    pub fn of(nodes: f64) -> Self {
        Self { nodes, served: 1.0 }
    }

    /// What a node tells that is one of so many, which have been there for long: the sampler of real nodes, and the hits of an exact LRU.
    pub fn curve(&self, incarnation: Incarnation, nodes: usize) -> NodeCurve {
        let mut sampler = Sampler::new(8, u64::MAX);
        let entry = |bytes: u64| Write { slot: 0, bytes: bytes as u32, deadline_ms: u64::MAX };
        let working_set = self.nodes * NODE_BYTES as f64;
        let depths = (1..=READS).map(|n| (working_set * n as f64 / READS as f64) as u64);
        let mut hits = 0_u64;
        for depth in depths {
            // One entry, and another one on top of it that makes it as deep.
            sampler.write(1, entry(1), 0);
            sampler.write(2, entry(depth.max(2) - 1), 0);
            sampler.read(1, None, 0);
            hits += u64::from(depth <= nodes as u64 * NODE_BYTES);
        }
        sampler.count(READS, (hits as f64 * self.served) as u64);
        NodeCurve {
            version: ADMIN_VERSION,
            incarnation,
            budget_bytes: NODE_BYTES,
            busy: 0.1,
            half_life_seconds: 10.0,
            curve: sampler.curve().clone().of_reads(1000.0 / nodes.max(1) as f64),
        }
    }

    /// The fewest nodes with which this part of the reads are hits.
    pub fn nodes_for(&self, hit_ratio: f64) -> usize {
        (self.nodes * hit_ratio).ceil() as usize
    }
}
