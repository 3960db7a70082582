//! The keys that get a large part of the operations.

use std::mem;

use crate::candidates::{Candidate, Candidates};
use crate::chance::Chance;
use crate::decay::Decay;
use crate::sketch::Sketch;

/// Samples that a key needs before its bytes are kept: most keys of a long tail never have them.
const NOTICED: f32 = 8.0;
/// How much more frequent a hot key is than the least of the candidates.
const HOT: f64 = 2.0;
/// Standard deviations that chance is not believed to make.
const DEVIATIONS: f64 = 4.0;

/// Finds the hot keys in a sample of the operations. Hashes are those of one secret seed.
///
/// A key is hot when it is at least twice as frequent as the least frequent of the 64 most frequent keys, and more so than chance explains:
/// there have to be fewer than 64 like it, and samples enough to say so.
#[derive(Clone, Debug)]
pub struct HotKeys {
    chance: Chance,
    decay: Decay,
    /// The count of all keys.
    total: f64,
    sketch: Sketch,
    candidates: Candidates,
}

/// A hot key.
#[derive(Clone, Debug, PartialEq)]
pub struct HotKey {
    /// The key, or the first KiB of it.
    pub shown: Box<[u8]>,
    /// How many bytes the key has.
    pub length: usize,
    /// Its part of all operations, from 0 to 1.
    pub share: f64,
}

impl HotKeys {
    /// One operation of so many belongs to the sample, on average.
    pub const ONE_OF: u32 = 16;

    /// Threads have different seeds.
    pub fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            decay: Decay::new(0),
            total: 0.0,
            sketch: Sketch::new(),
            candidates: Candidates::new(),
        }
    }

    /// How many operations to pass over before the next one of the sample. The gaps are random, because clients that send the same
    /// commands over and over would be sampled at the same one.
    pub fn gap(&mut self) -> u32 {
        let gaps = u64::from(2 * Self::ONE_OF - 1);
        ((u64::from(self.chance.next()) * gaps) >> 32) as u32
    }

    /// An operation of the sample.
    pub fn add(&mut self, hash: u64, key: &[u8], now_ms: u64) {
        if let Some(factor) = self.decay.advance(now_ms) {
            self.scale(factor);
        }
        let weight = self.decay.weight();
        self.total += f64::from(weight);
        let count = self.sketch.add(hash, weight, &mut self.chance);
        if count >= NOTICED * weight && self.candidates.wants(hash, count) {
            self.offer(hash, key);
        }
    }

    /// The hot keys, at most so many, the hottest first.
    pub fn hottest(&self, most: usize, now_ms: u64) -> Vec<HotKey> {
        let operations = self.decay.operations(now_ms);
        let count = |key: &Candidate| f64::from(self.sketch.count(key.hash)) * operations;
        let mut keys: Vec<_> = self.candidates.iter().map(|key| (count(key), key)).collect();
        keys.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
        let least =
            keys.last().filter(|_| self.candidates.is_full()).map_or(0.0, |(count, _)| *count);
        let chance = least.max(f64::from(NOTICED));
        let is_hot = |count: f64| {
            count >= HOT * chance && count - chance > DEVIATIONS * (count + chance).sqrt()
        };
        keys.truncate(most);
        let hot = keys.into_iter().filter(|(count, _)| is_hot(*count));
        hot.map(|(count, key)| HotKey {
            shown: key.shown.clone(),
            length: key.length,
            share: (count / (self.total * operations)).min(1.0),
        })
        .collect()
    }

    /// Takes in what another thread has seen.
    pub fn merge(&mut self, other: &Self) {
        let (here, there) = self.decay.join(&other.decay);
        self.scale(here);
        self.total += other.total * f64::from(there);
        self.sketch.merge(&other.sketch, there);
        // All counts have changed: who is a candidate is asked anew.
        let own = mem::replace(&mut self.candidates, Candidates::new());
        for key in own.iter().chain(other.candidates.iter()) {
            if self.candidates.wants(key.hash, self.sketch.count(key.hash)) {
                self.candidates.offer(key.clone(), |hash| self.sketch.count(hash));
            }
        }
    }

    /// Apart from the rest, because it is rare.
    #[cold]
    fn offer(&mut self, hash: u64, key: &[u8]) {
        self.candidates.offer(Candidate::new(hash, key), |hash| self.sketch.count(hash));
    }

    fn scale(&mut self, factor: f32) {
        self.total *= f64::from(factor);
        self.sketch.scale(factor);
        self.candidates.scale(factor);
    }
}
