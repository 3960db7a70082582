//! What the node measures of how its keys are used: the miss-ratio curve.

use parking_lot::Mutex;
use ringcache_curve::{Curve, Sampler, Write};
use ringcache_ring::SLOTS;
use ringcache_store::{Meter, Millis, Written};

/// What came from other nodes may have been used last so long before this node was started: about a year.
const PAST_MS: u64 = 1 << 35;
/// Of clusters larger than so many times this one nothing is asked: what they would have in memory besides is as good as unknown. The
/// further one looks, the fewer of the samples tell about the size that the cluster has.
const HORIZON: u64 = 8;
/// A read counts half after so many seconds in which others were served.
const HALF_LIFE_SECONDS: f64 = 60.0;

/// The measurements.
pub struct Measures {
    sampler: Mutex<Sampler>,
    /// Unix milliseconds of the sampler's time 0.
    began: Millis,
}

/// What the node looked like over the last second.
pub struct Second {
    /// Lookups that found an entry or none.
    pub reads: u64,
    /// Slots that the node owns.
    pub slots: usize,
    /// The node's memory limit.
    pub memory_bytes: u64,
}

impl Measures {
    /// Nothing was measured yet.
    pub fn new(now: Millis) -> Self {
        let sampler = Mutex::new(Sampler::new(Sampler::LIMIT, u64::MAX));
        Self { sampler, began: now.saturating_sub(PAST_MS) }
    }

    /// The curve as it is now.
    pub fn curve(&self) -> Curve {
        self.sampler.lock().curve().clone()
    }

    /// Which part of the keys is followed.
    pub fn followed(&self) -> f64 {
        self.sampler.lock().threshold() as f64 / u64::MAX as f64
    }

    /// Takes in what only counts over a while; to be called once a second.
    pub fn settle(&self, second: &Second) {
        let Second { reads, slots, memory_bytes } = *second;
        let mut sampler = self.sampler.lock();
        if slots > 0 {
            sampler.set_share(slots, usize::from(SLOTS));
            let cluster_bytes = memory_bytes.saturating_mul(SLOTS.into()) / slots as u64;
            sampler.set_horizon(cluster_bytes.saturating_mul(HORIZON));
        }
        if reads > 0 {
            sampler.count(reads);
            sampler.fade(0.5_f64.powf(1.0 / HALF_LIFE_SECONDS));
        }
    }

    fn ms(&self, time: Millis) -> u64 {
        time.saturating_sub(self.began)
    }

    fn follow(&self, follow: impl FnOnce(&mut Sampler)) -> u64 {
        let mut sampler = self.sampler.lock();
        follow(&mut sampler);
        sampler.threshold()
    }
}

impl Meter for Measures {
    fn read(&self, hash: u64, now: Millis) -> u64 {
        self.follow(|sampler| sampler.read(hash, self.ms(now)))
    }

    fn write(&self, hash: u64, written: Written, now: Millis) -> u64 {
        let Written { slot, bytes, deadline, last_access } = written;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let deadline_ms = deadline.map_or(u64::MAX, |deadline| self.ms(deadline));
        let entry = Write { slot, bytes, deadline_ms };
        self.follow(|sampler| match last_access {
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
}

#[cfg(test)]
mod tests;
