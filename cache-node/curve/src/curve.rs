//! What was measured, and what follows from it.

use serde::{Deserialize, Serialize};

use crate::depths::Depths;

/// Reads by what would have made them hits. Curves of nodes add up to the curve of their cluster: sizes are those of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Reads by the size that a cluster needs for them to be hits.
    depths: Depths,
    /// Reads of keys never written, deleted, or used so long ago that they were forgotten.
    absent: f64,
    /// Reads of keys that had expired shortly before.
    expired: f64,
    /// All reads, of keys that are followed or not.
    reads: f64,
    /// Those of them that the cache served.
    #[serde(default)]
    hits: f64,
}

impl Default for Curve {
    fn default() -> Self {
        Self { depths: Depths::new(), absent: 0.0, expired: 0.0, reads: 0.0, hits: 0.0 }
    }
}

impl Curve {
    /// The share of the reads that are hits if the entries of the cluster may take so many bytes; `None` = nothing was read.
    pub fn hit_ratio(&self, bytes: u64) -> Option<f64> {
        self.share(self.depths.up_to(bytes))
    }

    /// The same in a cluster without limit. What is missing to 1 are misses that no memory can avoid.
    pub fn reachable(&self) -> Option<f64> {
        self.share(self.depths.total())
    }

    /// The share of the same reads that really were hits, in the cache as it was; `None` = nothing was read.
    pub fn measured(&self) -> Option<f64> {
        (self.reads > 0.0).then(|| (self.hits / self.reads).clamp(0.0, 1.0))
    }

    /// The share of the reads whose key had expired within the minute before.
    pub fn expired(&self) -> Option<f64> {
        (self.reads > 0.0).then(|| (self.expired / self.reads).clamp(0.0, 1.0))
    }

    /// Bytes that the entries need for this part of the hits that are reachable; 0 = there are none.
    pub fn working_set(&self, part: f64) -> u64 {
        let wanted = (self.depths.total() + self.excess()).max(0.0) * part - self.excess();
        if self.depths.total() <= 0.0 {
            return 0;
        }
        self.depths.reaching(wanted).unwrap_or_default()
    }

    /// Reads that were counted, less those that were forgotten meanwhile.
    pub fn reads(&self) -> f64 {
        self.reads
    }

    /// Takes in the curve of another node.
    pub fn merge(&mut self, other: &Self) {
        self.depths.merge(&other.depths);
        self.absent += other.absent;
        self.expired += other.expired;
        self.reads += other.reads;
        self.hits += other.hits;
    }

    /// The same with so many reads in all. Nodes that remember for different times are merged by what each of them serves in a second.
    #[must_use]
    pub fn of_reads(mut self, reads: f64) -> Self {
        if self.reads > 0.0 {
            self.scale(reads / self.reads);
        }
        self
    }

    pub(crate) fn count(&mut self, reads: u64, hits: u64) {
        self.reads += reads as f64;
        self.hits += hits as f64;
    }

    pub(crate) fn at(&mut self, depth: u64, times: f64) {
        self.depths.add(depth, times);
    }

    pub(crate) fn absent(&mut self, times: f64) {
        self.absent += times;
    }

    pub(crate) fn has_expired(&mut self, times: f64) {
        self.expired += times;
    }

    pub(crate) fn scale(&mut self, factor: f64) {
        self.depths.scale(factor);
        for count in [&mut self.absent, &mut self.expired, &mut self.reads, &mut self.hits] {
            *count *= factor;
        }
    }

    fn share(&self, hits: f64) -> Option<f64> {
        (self.reads > 0.0).then(|| ((hits + self.excess()) / self.reads).clamp(0.0, 1.0))
    }

    /// Reads of which the samples know nothing. Few keys make up many of the reads, and whether these are followed is chance: what is
    /// missing, or too much, are mostly reads of such keys, which are hits at any size (SHARDS-adj).
    fn excess(&self) -> f64 {
        self.reads - self.depths.total() - self.absent - self.expired
    }
}
