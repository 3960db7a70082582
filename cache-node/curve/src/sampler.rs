//! The keys that are followed.

use crate::curve::Curve;
use crate::recency::Recency;
use crate::sample::{Moved, Sample, Tick, Write};
use crate::samples::Samples;

/// Between two looks for samples that have expired. Until then others may seem a little deeper than they are.
const SWEEP: u32 = Tick::PER_SECOND;

/// So few keys are followed whatever it costs.
const FEWEST: usize = 64;

/// Follows a part of the keys, and measures a curve by them. A pure function of what it is told: hashes, times and sizes are arguments.
///
/// Its memory is that of its limit: 1 MiB for [`Sampler::LIMIT`] keys.
#[derive(Clone, Debug)]
pub struct Sampler {
    limit: usize,
    horizon: u64,
    /// Keys with a hash below this are followed.
    threshold: u64,
    /// Which part of the cluster's keys this node has.
    share: f64,
    samples: Samples,
    recency: Recency,
    swept: Tick,
    /// Whether samples came from another node since they were last put into the order of use.
    is_unsorted: bool,
    curve: Curve,
}

impl Sampler {
    /// Keys that a node follows at most.
    pub const LIMIT: usize = 14_336;

    /// Follows at most `limit` keys: at least one, and no more than 65,536. A cluster larger than `horizon` bytes is not asked for: keys that it would not have any
    /// more are forgotten, so that others can be followed.
    pub fn new(limit: usize, horizon: u64) -> Self {
        let limit = limit.clamp(1, Samples::MOST);
        Self {
            limit,
            horizon,
            threshold: u64::MAX,
            share: 1.0,
            samples: Samples::with_capacity(limit),
            // New places for all cost as much as half as many uses.
            recency: Recency::new(limit + limit / 2 + 1),
            swept: Tick::default(),
            is_unsorted: false,
            curve: Curve::default(),
        }
    }

    /// Whether a key with this hash is followed. The other functions may be called for others too, and then do nothing.
    #[inline]
    pub fn follows(&self, hash: u64) -> bool {
        hash < self.threshold
    }

    /// Below which hash keys are followed.
    pub fn threshold(&self) -> u64 {
        self.threshold
    }

    /// From now on this node has so many of the cluster's `of` slots.
    pub fn set_share(&mut self, slots: usize, of: usize) {
        if slots > 0 {
            self.share = slots as f64 / of as f64;
        }
    }

    /// From now on no cluster larger than this many bytes is asked for.
    pub fn set_horizon(&mut self, bytes: u64) {
        self.horizon = bytes;
    }

    /// What was measured.
    pub fn curve(&self) -> &Curve {
        &self.curve
    }

    /// Old reads count less and less: all that were counted so far count only so much.
    pub fn fade(&mut self, factor: f64) {
        self.curve.scale(factor);
    }

    /// So many reads were served, and so many of them were hits, whether their keys are followed or not.
    pub fn count(&mut self, reads: u64, hits: u64) {
        self.curve.count(reads, hits);
    }

    /// A key was read. `found` is its entry, if the cache had one: a key that is followed only since it was written is known from then on,
    /// and says nothing before.
    pub fn read(&mut self, hash: u64, found: Option<Write>, now_ms: u64) {
        if !self.follows(hash) {
            return;
        }
        let now = Tick::at(now_ms);
        self.sweep(now);
        let times = 1.0 / self.rate();
        let Some(sample) = self.samples.get_mut(hash) else {
            return match found {
                Some(entry) => self.write(hash, entry, now_ms),
                None => self.curve.absent(times),
            };
        };
        // It has no place until it has got its new one: others may be given new ones meanwhile.
        let place = sample.place.take();
        let Sample { bytes, deadline, .. } = *sample;
        let Some(place) = place else { return self.curve.has_expired(times) };
        let depth = self.recency.newer(place) + u64::from(bytes);
        self.recency.remove(place, bytes);
        if deadline <= now {
            return self.curve.has_expired(times);
        }
        self.curve.at(self.in_cluster(depth), times);
        self.use_now(hash, now);
    }

    /// A key was written.
    pub fn write(&mut self, hash: u64, entry: Write, now_ms: u64) {
        if !self.follows(hash) {
            return;
        }
        let now = Tick::at(now_ms);
        self.sweep(now);
        self.delete(hash);
        self.make_room();
        if self.follows(hash) {
            self.samples.insert(hash, entry.slot, Sample::new(entry, now));
            self.use_now(hash, now);
        }
    }

    /// A key was deleted. Not when it was evicted: a larger cache would have it still.
    pub fn delete(&mut self, hash: u64) {
        if let Some(Sample { place: Some(place), bytes, .. }) = self.samples.remove(hash) {
            self.recency.remove(place, bytes);
        }
    }

    /// An entry came from another node, where it was last used at `used_ms`. It takes its place in the order of use within a second.
    pub fn copy(&mut self, hash: u64, entry: Write, used_ms: u64, now_ms: u64) {
        if !self.follows(hash) {
            return;
        }
        let now = Tick::at(now_ms);
        self.sweep(now);
        self.delete(hash);
        self.make_room();
        if self.follows(hash) {
            let sample = Sample::new(entry, Tick::at(used_ms.min(now_ms)));
            let place = self.push(hash, sample.bytes);
            self.samples.insert(hash, entry.slot, Sample { place: Some(place), ..sample });
            self.is_unsorted = true;
        }
    }

    /// All keys of a slot were deleted, or the slot is another node's from now on.
    pub fn clear(&mut self, slot: u16) {
        let hashes: Vec<u64> = self.samples.of_slot(slot).map(|(hash, _)| *hash).collect();
        for hash in hashes {
            self.delete(hash);
        }
    }

    /// Follows half as many keys, at least some: what is told of them has become too much.
    pub fn follow_fewer(&mut self) {
        if self.samples.len() >= FEWEST {
            self.lower(self.threshold / 2);
        }
    }

    /// Follows twice as many keys if there is room for them.
    pub fn follow_more(&mut self) {
        if self.samples.len() < self.limit / 4 {
            self.threshold = self.threshold.saturating_mul(2);
        }
    }

    /// The samples of a slot that goes to another node, which has to know the [`Sampler::threshold`] too. The one used first comes first.
    pub fn take(&mut self, slot: u16, now_ms: u64) -> Vec<Moved> {
        let now = Tick::at(now_ms);
        let mut moved: Vec<(Option<u32>, Moved)> = self
            .samples
            .of_slot(slot)
            .filter(|(_, sample)| sample.place.is_some())
            .map(|(hash, sample)| (sample.place, sample.moved(*hash, now)))
            .collect();
        moved.sort_unstable_by_key(|(place, _)| *place);
        for (_, moved) in &moved {
            self.delete(moved.hash);
        }
        moved.into_iter().map(|(_, moved)| moved).collect()
    }

    /// Takes in the samples of a slot of a node that has that threshold. Keys that it did not follow are not followed any more: they
    /// would seem never to have been written.
    pub fn put(&mut self, slot: u16, samples: &[Moved], threshold: u64, now_ms: u64) {
        let now = Tick::at(now_ms);
        self.lower(threshold);
        for moved in samples {
            self.delete(moved.hash);
            self.make_room();
            if self.follows(moved.hash) {
                let sample = Sample::from_moved(moved, now);
                let place = self.push(moved.hash, sample.bytes);
                self.samples.insert(moved.hash, slot, Sample { place: Some(place), ..sample });
            }
        }
        self.renumber();
    }

    /// What has expired fills no cache; that it has is known for a minute.
    fn sweep(&mut self, now: Tick) {
        // Or the clock went back.
        if now >= self.swept && now.since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        let recency = &mut self.recency;
        self.samples.retain(|_, sample| {
            if sample.deadline <= now
                && let Some(place) = sample.place.take()
            {
                recency.remove(place, sample.bytes);
            }
            !sample.is_forgotten(now)
        });
        if std::mem::take(&mut self.is_unsorted) {
            self.renumber();
        }
    }

    /// Room for one more: of keys too old for any cluster that is asked for nothing more can be learned; else fewer are followed.
    fn make_room(&mut self) {
        while self.samples.len() >= self.limit {
            match self.recency.oldest() {
                Some((hash, bytes)) if self.in_cluster(bytes) > self.horizon => self.delete(hash),
                _ => self.lower(self.threshold - self.threshold.div_ceil(16)),
            }
        }
    }

    /// Follows the keys below this hash only.
    fn lower(&mut self, threshold: u64) {
        if threshold >= self.threshold {
            return;
        }
        self.threshold = threshold.max(1);
        let (recency, threshold) = (&mut self.recency, self.threshold);
        self.samples.retain(|hash, sample| {
            if hash >= threshold
                && let Some(place) = sample.place
            {
                recency.remove(place, sample.bytes);
            }
            hash < threshold
        });
    }

    /// The sample, which has no place, is the one used last.
    fn use_now(&mut self, hash: u64, now: Tick) {
        let Some(bytes) = self.samples.get_mut(hash).map(|sample| sample.bytes) else { return };
        let place = self.push(hash, bytes);
        if let Some(sample) = self.samples.get_mut(hash) {
            (sample.place, sample.used) = (Some(place), now);
        }
    }

    fn push(&mut self, hash: u64, bytes: u32) -> u32 {
        if self.recency.is_full() {
            self.renumber();
        }
        self.recency.push(hash, bytes)
    }

    /// Gives places from the beginning on, in the order of use.
    fn renumber(&mut self) {
        let live = self.samples.by_use();
        self.recency.clear();
        for at in live {
            if let Some((hash, sample)) = self.samples.at_mut(at) {
                sample.place = Some(self.recency.push(*hash, sample.bytes));
            }
        }
    }

    /// Which part of the keys is followed.
    fn rate(&self) -> f64 {
        self.threshold as f64 / u64::MAX as f64
    }

    /// The size of the cluster that these bytes of samples stand for.
    fn in_cluster(&self, bytes: u64) -> u64 {
        (bytes as f64 / self.rate() / self.share) as u64
    }
}
