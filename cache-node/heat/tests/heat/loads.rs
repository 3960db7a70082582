//! Loads, and the shares that keys really have of them.

use std::collections::HashMap;

/// What is left of something after this time.
pub(crate) fn left_after(ms: u64) -> f64 {
    (-(ms as f64) / 10_000.0).exp()
}

/// A hash of a key (`SplitMix64`, Steele, Lea, Flood, OOPSLA'14).
pub(crate) fn hash(key: u64) -> u64 {
    let mut x = key.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Keys drawn by their weights.
pub(crate) struct Load {
    /// The sums of the weights up to each key.
    sums: Vec<f64>,
    drawn: u64,
}

impl Load {
    /// The key of rank `n` gets operations in proportion to `n` to the power of `-exponent`: 0 = all alike.
    pub(crate) fn zipf(keys: u64, exponent: f64, seed: u64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=keys).map(|rank| (rank as f64).powf(-exponent));
        let sums = weights.map(|weight| {
            sum += weight;
            sum
        });
        Self { sums: sums.collect(), drawn: hash(seed) }
    }

    /// The next key; 0 is the most frequent one.
    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let chance = hash(self.drawn) as f64 / u64::MAX as f64;
        let wanted = chance * self.sums.last().unwrap();
        self.sums.partition_point(|sum| *sum < wanted) as u64
    }
}

/// Counts operations one by one, each with what is left of it.
#[derive(Clone, Default)]
pub(crate) struct Exact {
    counts: HashMap<u64, (f64, u64)>,
    total: (f64, u64),
}

impl Exact {
    pub(crate) fn add(&mut self, key: u64, now_ms: u64) {
        for count in [&mut self.total, self.counts.entry(key).or_insert((0.0, now_ms))] {
            *count = (at(*count, now_ms) + 1.0, now_ms);
        }
    }

    pub(crate) fn count(&self, key: u64, now_ms: u64) -> f64 {
        self.counts.get(&key).map_or(0.0, |count| at(*count, now_ms))
    }

    pub(crate) fn share(&self, key: u64, now_ms: u64) -> f64 {
        self.count(key, now_ms) / at(self.total, now_ms)
    }
}

fn at((count, since_ms): (f64, u64), now_ms: u64) -> f64 {
    count * left_after(now_ms - since_ms)
}
