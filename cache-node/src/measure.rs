//! What the node measures of how its keys are used: the miss-ratio curve and the heat.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;
use ringcache_curve::{Curve, Sampler, Write};
use ringcache_heat::{HotKey, Traffic};
use ringcache_ring::SLOTS;
use ringcache_store::{Ended, Meter, Millis, Operation, Written};

mod heat;

pub use heat::{Ages, Heat};

/// What came from other nodes may have been used last so long before this node was started: about a year.
const PAST_MS: u64 = 1 << 35;
/// Of clusters larger than so many times this one nothing is asked: what they would have in memory besides is as good as unknown. The
/// further one looks, the fewer of the samples tell about the size that the cluster has.
const HORIZON: u64 = 8;
/// A read counts half after so many others in the cluster of keys that are followed: with fewer its curve would be off by more than a point
/// by chance.
const HALF_LIFE_READS: f64 = 20_000.0;
/// Whatever is read, it does not count half earlier than after so many seconds in which others were served, and
const SHORTEST_SECONDS: f64 = 5.0;
/// not later: what clients did ten minutes ago says little about what they do now.
const LONGEST_SECONDS: f64 = 300.0;
/// With fewer reads a second nothing is told by how long is remembered.
const LEAST_RATE: f64 = 1.0 / 12.0;
/// The rate of reads follows what it is half way within so many seconds.
const RATE_SECONDS: f64 = 5.0;

/// So much is told of followed keys in a second at most, or fewer are followed; below a quarter of it, more are. It is told under one lock.
const MOST_TOLD: u64 = 20_000;

/// The measurements.
pub struct Measures {
    sampler: Mutex<Sampler>,
    lately: Mutex<Lately>,
    /// Hot keys and slots, stampedes, the ends of entries.
    pub heat: Heat,
    /// Unix milliseconds of the sampler's time 0. They change when the wall clock is set: the sampler's time only goes on.
    began: AtomicU64,
    /// Calls about followed keys since the last second.
    told: AtomicU64,
}

/// How much is read.
#[derive(Clone, Copy, Debug)]
struct Lately {
    /// Reads a second of this node.
    rate: f64,
    /// Seconds after which a read counts half.
    half_life: f64,
}

/// What the node looked like over the last second.
pub struct Second {
    /// Wall time at its end, in Unix milliseconds.
    pub now: Millis,
    /// Milliseconds since the node started.
    pub monotonic_ms: u64,
    /// Lookups that found an entry or none.
    pub reads: u64,
    /// Those that found one.
    pub hits: u64,
    /// Slots that the node owns.
    pub slots: usize,
    /// The node's memory limit.
    pub memory_bytes: u64,
}

impl Measures {
    /// Nothing was measured yet.
    pub fn new(now: Millis) -> Self {
        let sampler = Mutex::new(Sampler::new(Sampler::LIMIT, u64::MAX));
        let began = now.saturating_sub(PAST_MS);
        let heat = Heat::new(now, now - began);
        let lately = Mutex::new(Lately { rate: 0.0, half_life: LONGEST_SECONDS });
        Self { sampler, lately, heat, began: AtomicU64::new(began), told: AtomicU64::new(0) }
    }

    /// The hottest keys, at most so many.
    pub fn hottest(&self, most: usize, now: Millis) -> Vec<HotKey> {
        self.heat.hottest(most, self.ms(now))
    }

    /// The slots with most operations a second, at most so many.
    pub fn busiest(&self, most: usize, now: Millis) -> Vec<(u16, Traffic)> {
        self.heat.busiest(most, self.ms(now))
    }

    /// The curve as it is now. Its counts are reads a second, so that those of nodes add up whatever they remember.
    pub fn curve(&self) -> Curve {
        let curve = self.sampler.lock().curve().clone();
        curve.of_reads(self.lately.lock().rate)
    }

    /// Seconds after which a read counts half in it. Those without reads do not count, so that it is longer where next to nothing is read.
    pub fn half_life_seconds(&self) -> f64 {
        let Lately { rate, half_life } = *self.lately.lock();
        half_life / rate.clamp(LEAST_RATE, 1.0)
    }

    /// Which part of the keys is followed.
    pub fn followed(&self) -> f64 {
        self.sampler.lock().threshold() as f64 / u64::MAX as f64
    }

    /// Takes in what only counts over a while; to be called once a second. The hash below which keys are followed from now on.
    pub fn settle(&self, second: &Second) -> u64 {
        let Second { now, monotonic_ms, reads, hits, slots, memory_bytes } = *second;
        self.began.store(now.saturating_sub(PAST_MS + monotonic_ms), Relaxed);
        let told = self.told.swap(0, Relaxed);
        let mut sampler = self.sampler.lock();
        let followed = sampler.threshold() as f64 / u64::MAX as f64;
        let half_life = self.pass(reads, slots, followed);
        if told > MOST_TOLD {
            sampler.follow_fewer();
        } else if told < MOST_TOLD / 4 {
            sampler.follow_more();
        }
        if slots > 0 {
            sampler.set_share(slots, usize::from(SLOTS));
            let cluster_bytes = memory_bytes.saturating_mul(SLOTS.into()) / slots as u64;
            sampler.set_horizon(cluster_bytes.saturating_mul(HORIZON));
        }
        if reads > 0 {
            sampler.count(reads, hits);
            sampler.fade(0.5_f64.powf(1.0 / half_life));
        }
        sampler.threshold()
    }

    /// A second has passed, with so many reads of keys in so many slots, of which this part is followed. Seconds with reads after which a read
    /// counts half from now on.
    fn pass(&self, reads: u64, slots: usize, followed: f64) -> f64 {
        let mut lately = self.lately.lock();
        lately.rate += (reads as f64 - lately.rate) * (1.0 - 0.5_f64.powf(1.0 / RATE_SECONDS));
        let of_cluster = lately.rate * f64::from(SLOTS) / slots.max(1) as f64;
        let half_life = HALF_LIFE_READS / (of_cluster * followed);
        lately.half_life = half_life.clamp(SHORTEST_SECONDS, LONGEST_SECONDS);
        lately.half_life
    }

    fn ms(&self, time: Millis) -> u64 {
        time.saturating_sub(self.began.load(Relaxed))
    }

    fn entry(&self, written: Written) -> Write {
        let Written { slot, bytes, deadline, last_access: _ } = written;
        let deadline_ms = deadline.map_or(u64::MAX, |deadline| self.ms(deadline));
        Write { slot, bytes: u32::try_from(bytes).unwrap_or(u32::MAX), deadline_ms }
    }

    fn follow(&self, follow: impl FnOnce(&mut Sampler)) -> u64 {
        self.told.fetch_add(1, Relaxed);
        let mut sampler = self.sampler.lock();
        follow(&mut sampler);
        sampler.threshold()
    }
}

impl Meter for Measures {
    fn read(&self, hash: u64, found: Option<Written>, now: Millis) -> u64 {
        let found = found.map(|found| self.entry(found));
        self.follow(|sampler| sampler.read(hash, found, self.ms(now)))
    }

    fn write(&self, hash: u64, written: Written, now: Millis) -> u64 {
        let entry = self.entry(written);
        self.follow(|sampler| match written.last_access {
            None => sampler.write(hash, entry, self.ms(now)),
            Some(used) => sampler.copy(hash, entry, self.ms(used), self.ms(now)),
        })
    }

    fn delete(&self, hash: u64) -> u64 {
        self.follow(|sampler| sampler.delete(hash))
    }

    fn clear(&self, slot: u16) -> u64 {
        self.follow(|sampler| sampler.clear(slot))
    }

    fn operation(&self, operation: &Operation<'_>, now: Millis) -> u32 {
        self.heat.operation(operation, self.ms(now))
    }

    fn miss(&self, hash: u64, client: u64, now: Millis) {
        self.heat.miss(hash, client, self.ms(now));
    }

    fn stored(&self, hash: u64) {
        self.heat.stored(hash);
    }

    fn ended(&self, ended: Ended) {
        self.heat.ended(ended);
    }
}

#[cfg(test)]
mod tests;
