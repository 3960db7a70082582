//! The heat of the node's keys: which of them, and which slots, get most of the operations, which are missed by many clients at once, and
//! how long entries were unused when they ended.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use ringcache_heat::{Histogram, HotKey, HotKeys, Slots, Stampedes, Traffic};
use ringcache_store::{Ended, Operation};

/// Locks over the keys that stampedes are looked for among: each miss and each write takes one.
const SHARDS: usize = 64;

/// What is measured.
pub struct Heat {
    sample: Mutex<Sample>,
    stampedes: Box<[Mutex<Stampedes>]>,
    stampede_count: AtomicU64,
    ages: Mutex<Ages>,
}

/// What one operation of sixteen is counted in.
struct Sample {
    keys: HotKeys,
    slots: Slots,
}

/// How many milliseconds entries were unused when they ended.
#[derive(Clone, Debug, Default)]
pub struct Ages {
    /// Of those that were evicted.
    pub evicted: Histogram,
    /// Of those whose time was over.
    pub expired: Histogram,
}

impl Heat {
    /// Nothing was measured yet.
    pub(super) fn new(seed: u64, now_ms: u64) -> Self {
        let shard = || Mutex::new(Stampedes::new(Stampedes::KEYS / SHARDS));
        Self {
            sample: Mutex::new(Sample { keys: HotKeys::new(seed), slots: Slots::new(now_ms) }),
            stampedes: std::iter::repeat_with(shard).take(SHARDS).collect(),
            stampede_count: AtomicU64::new(0),
            ages: Mutex::default(),
        }
    }

    /// An operation of the sample, and how many to pass over before the next one.
    pub(super) fn operation(&self, operation: &Operation<'_>, now_ms: u64) -> u32 {
        let Operation { hash, key, slot, is_write, bytes } = *operation;
        let bytes = bytes as f32;
        let (bytes_in, bytes_out) = if is_write { (bytes, 0.0) } else { (0.0, bytes) };
        let one = Traffic { operations: 1.0, bytes_in, bytes_out };
        let mut sample = self.sample.lock();
        sample.keys.add(hash, key, now_ms);
        sample.slots.add(slot, one.times(HotKeys::ONE_OF as f32), now_ms);
        sample.keys.gap()
    }

    pub(super) fn miss(&self, hash: u64, client: u64, now_ms: u64) {
        let is_stampede =
            self.shard(hash).is_some_and(|shard| shard.lock().miss(hash, client, now_ms));
        if is_stampede {
            self.stampede_count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn stored(&self, hash: u64) {
        if let Some(shard) = self.shard(hash) {
            shard.lock().write(hash);
        }
    }

    pub(super) fn ended(&self, ended: Ended) {
        let mut ages = self.ages.lock();
        let ages = &mut *ages;
        let of = if ended.has_expired { &mut ages.expired } else { &mut ages.evicted };
        of.record(ended.unused_ms);
    }

    /// The hottest keys, at most so many.
    pub(super) fn hottest(&self, most: usize, now_ms: u64) -> Vec<HotKey> {
        self.sample.lock().keys.hottest(most, now_ms)
    }

    /// The slots with most operations a second, at most so many.
    pub(super) fn busiest(&self, most: usize, now_ms: u64) -> Vec<(u16, Traffic)> {
        self.sample.lock().slots.top(most, |traffic| traffic.operations, now_ms)
    }

    /// Stampedes since the node started.
    pub fn stampedes(&self) -> u64 {
        self.stampede_count.load(Relaxed)
    }

    /// Of all entries that have ended since the node started.
    pub fn ages(&self) -> Ages {
        self.ages.lock().clone()
    }

    /// The lower bits of a hash choose the place within a shard.
    fn shard(&self, hash: u64) -> Option<&Mutex<Stampedes>> {
        self.stampedes.get((hash >> 32) as usize % SHARDS)
    }
}
