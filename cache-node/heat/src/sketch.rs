//! `HeavyKeeper`: counters that frequent keys keep and others lose.
//!
//! A key has a counter in each of two rows. Where another key holds it, it loses one with a probability that falls exponentially with
//! what it holds, and the key that finds none left takes it over. So no count is ever too high (but for two keys with the same
//! fingerprint), and the counts of frequent keys are hardly ever too low. Less frequent than the load of a counter, which is 1/512 of all,
//! a key may have none.

use crate::chance::Chance;

const ROWS: usize = 2;
const BITS: u32 = 9;
/// Counters of a row.
const WIDTH: usize = 1 << BITS;

/// The base of the probability that a counter loses one: what the paper recommends.
const BASE: f64 = 1.08;
/// The probability by what the counter holds, in 2<sup>-32</sup>. Above that it is less than one in 10<sup>8</sup>.
const ODDS: [u32; 256] = odds();

/// Counts by the hash of a key. Each addition names its weight, and counts are sums of weights.
#[derive(Clone, Debug)]
pub(crate) struct Sketch([[Counter; WIDTH]; ROWS]);

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    fingerprint: u32,
    count: f32,
}

impl Sketch {
    /// Nothing was counted.
    pub(crate) fn new() -> Self {
        Self([[Counter::default(); WIDTH]; ROWS])
    }

    /// Counts the key once, and says what its count is now.
    #[inline]
    pub(crate) fn add(&mut self, hash: u64, weight: f32, chance: &mut Chance) -> f32 {
        let (fingerprint, [first, second]) = (fingerprint(hash), places(hash));
        let [one, other] = &mut self.0;
        // One draw for both rows: in each the probability is the same as with two.
        let draw = chance.next();
        let add = |counter: Option<&mut Counter>| {
            counter.map_or(0.0, |counter| counter.add(fingerprint, weight, draw))
        };
        let (one, other) = (add(one.get_mut(first)), add(other.get_mut(second)));
        if one > other { one } else { other }
    }

    /// What was counted of the key; less is possible, more is not.
    pub(crate) fn count(&self, hash: u64) -> f32 {
        let rows = self.0.iter().zip(places(hash)).filter_map(|(row, at)| row.get(at));
        let own = rows.filter(|counter| counter.fingerprint == fingerprint(hash));
        own.fold(0.0, |most, counter| most.max(counter.count))
    }

    /// All counts times this.
    pub(crate) fn scale(&mut self, factor: f32) {
        self.0.as_flattened_mut().iter_mut().for_each(|counter| counter.count *= factor);
    }

    /// What was counted there, times `factor`, was counted here too. Of two keys with one counter the more frequent one keeps it.
    pub(crate) fn merge(&mut self, other: &Self, factor: f32) {
        let others = other.0.as_flattened();
        for (counter, &Counter { fingerprint, count }) in
            self.0.as_flattened_mut().iter_mut().zip(others)
        {
            let count = count * factor;
            if counter.fingerprint == fingerprint {
                counter.count += count;
            } else if count > counter.count {
                *counter = Counter { fingerprint, count };
            }
        }
    }
}

impl Counter {
    /// Counts the key once if the counter is its own, or becomes so, and says what its count is now; 0 = it has none here.
    #[inline]
    fn add(&mut self, fingerprint: u32, weight: f32, draw: u32) -> f32 {
        if self.fingerprint == fingerprint {
            self.count += weight;
            return self.count;
        }
        // A signed number takes the fewest instructions.
        let held = (self.count / weight) as i32;
        if ODDS.get(held as usize).is_some_and(|odds| draw <= *odds) {
            self.count -= weight;
        }
        if self.count > 0.0 {
            return 0.0;
        }
        *self = Self { fingerprint, count: weight };
        weight
    }
}

fn fingerprint(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The place of a key in each row.
fn places(hash: u64) -> [usize; ROWS] {
    let place = |bits: u64| bits as usize % WIDTH;
    [place(hash), place(hash >> BITS)]
}

const fn odds() -> [u32; 256] {
    let (mut odds, mut at, mut probability) = ([0; 256], 0, 1.0);
    while at < odds.len() {
        odds[at] = (probability * u32::MAX as f64) as u32;
        probability /= BASE;
        at += 1;
    }
    odds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A key in these places.
    fn key(first: u64, second: u64, fingerprint: u64) -> u64 {
        fingerprint << 32 | second << BITS | first
    }

    proptest! {
        #[test]
        fn counts_are_never_too_high_and_exact_where_a_key_has_a_counter_alone(
            seed: u64,
            keys in prop::collection::vec(0_u64..40, 1..1_000),
        ) {
            let (mut sketch, mut chance) = (Sketch::new(), Chance::new(seed));
            // The first ten have one counter each that nobody else has, the others share four.
            let hash = |id: u64| if id < 10 { key(id, 511, id + 1) } else { key(id % 2 + 20, id % 2, id) };
            for id in &keys {
                sketch.add(hash(*id), 2.0, &mut chance);
            }
            for id in 0..40 {
                let exact = 2.0 * keys.iter().filter(|other| **other == id).count() as f32;
                let found = sketch.count(hash(id));
                prop_assert!(found <= exact && (id >= 10 || found >= exact), "{id}: {found}, {exact}");
            }
        }
    }

    #[test]
    fn a_key_that_is_used_no_more_loses_its_counter_after_as_many_uses_of_another() {
        let (old, new) = (key(1, 1, 1), key(1, 1, 2));
        for seed in 0..100 {
            let (mut sketch, mut chance) = (Sketch::new(), Chance::new(seed));
            let mut add =
                |key, times| (0..times).fold(0.0, |_, _| sketch.add(key, 1.0, &mut chance));
            add(old, 4);
            assert!(add(new, 3) <= 0.0);
            assert!(add(new, 20) >= 1.0);
            assert!(sketch.count(old) <= 0.0);
        }
    }

    #[test]
    fn a_key_as_frequent_as_all_others_of_its_counter_keeps_it() {
        let (mut sketch, mut chance) = (Sketch::new(), Chance::new(1));
        for turn in 0..10_000 {
            let id = if turn % 2 == 0 { 0 } else { turn };
            sketch.add(key(1, 1, id), 1.0, &mut chance);
        }
        let found = sketch.count(key(1, 1, 0));
        assert!((4_900.0..=5_000.0).contains(&found), "{found}");
    }

    #[test]
    fn of_two_threads_the_more_frequent_key_keeps_the_counter() {
        let [mut one, mut other] = [Sketch::new(), Sketch::new()];
        let (rare, frequent, both) = (key(1, 1, 1), key(1, 1, 2), key(2, 2, 3));
        let mut chance = Chance::new(1);
        for _ in 0..3 {
            one.add(rare, 1.0, &mut chance);
            one.add(both, 1.0, &mut chance);
            other.add(frequent, 1.0, &mut chance);
            other.add(both, 1.0, &mut chance);
        }
        one.merge(&other, 2.0);
        let counts = [rare, frequent, both].map(|hash| one.count(hash) as u32);
        assert_eq!(counts, [0, 6, 9]);
    }
}
