//! How many entries each slot holds, so that a random *entry's* slot can be drawn.
//!
//! The number of each slot is its weight in a Fenwick tree of atomics: drawing reads 14 of them, and takes no lock. Weights
//! follow the numbers of entries by halves, so that most writes change none.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::SLOTS;

/// The weights of all slots.
pub(crate) struct Weights {
    /// Place `i` holds the sum of the weights of the slots `i - lowest bit of i` to `i - 1`; place 0 holds none.
    sums: Box<[AtomicU64]>,
}

// The way down the tree halves the slots until one is left.
const _: () = assert!(SLOTS.is_power_of_two());

impl Weights {
    /// No slot has weight.
    pub(crate) fn new() -> Self {
        Self { sums: (0..=SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// True if a slot with this weight should get another one for its number of entries: if they differ by more than half
    /// of the weight, and so always when the slot has got its first entry or has lost its last one.
    pub(crate) fn is_off(weight: u32, entries: u32) -> bool {
        weight.abs_diff(entries) > weight / 2
    }

    /// Changes the weight of a slot. The caller holds the slot's lock, so that the changes of a slot come one by one.
    pub(crate) fn replace(&self, slot: u16, before: u32, after: u32) {
        // Wraps where the weight falls: the sum does not.
        let change = u64::from(after).wrapping_sub(u64::from(before));
        let mut place = usize::from(slot) + 1;
        while let Some(sum) = self.sums.get(place) {
            sum.fetch_add(change, Relaxed);
            place += place & place.wrapping_neg();
        }
    }

    /// The slot of the entry that `random` points at, every entry as likely as every other; `None` if no slot has weight. A
    /// slot that loses its entries at this moment may be drawn as well.
    pub(crate) fn draw(&self, random: u64) -> Option<u16> {
        let all = self.sum(usize::from(SLOTS));
        if all == 0 {
            return None;
        }
        let mut left = ((u128::from(random) * u128::from(all)) >> u64::BITS) as u64;
        let (mut slot, mut step) = (0, usize::from(SLOTS) / 2);
        while step > 0 {
            let sum = self.sum(slot + step);
            if sum <= left {
                left -= sum;
                slot += step;
            }
            step /= 2;
        }
        Some(slot as u16)
    }

    fn sum(&self, place: usize) -> u64 {
        self.sums[place].load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_as_likely_to_be_drawn_as_every_other() {
        let weights = Weights::new();
        assert_eq!(weights.draw(0), None);
        assert_eq!(weights.draw(u64::MAX), None);
        let drawn = || (0..4).map(|quarter| weights.draw(quarter << 62)).collect::<Vec<_>>();
        weights.replace(5, 0, 9);
        weights.replace(SLOTS - 1, 0, 1);
        weights.replace(0, 0, 1);
        weights.replace(5, 9, 2);
        assert_eq!(drawn(), [Some(0), Some(5), Some(5), Some(SLOTS - 1)]);
        assert_eq!(weights.draw(u64::MAX), Some(SLOTS - 1));
        weights.replace(0, 1, 0);
        weights.replace(SLOTS - 1, 1, 0);
        assert_eq!(drawn(), [Some(5); 4]);
        weights.replace(5, 2, 0);
        assert_eq!(drawn(), [None; 4]);
    }

    #[test]
    fn a_slot_is_drawn_by_as_many_numbers_as_it_has_weight() {
        let weights = Weights::new();
        let weight = |slot: u16| u32::from(slot) * 7919 % 5;
        (0..SLOTS).for_each(|slot| weights.replace(slot, 0, weight(slot)));
        let all: u64 = (0..SLOTS).map(|slot| u64::from(weight(slot))).sum();
        // The middle of each entry's part of all numbers.
        let part = u64::MAX / all;
        let drawn: Vec<u16> = (0..all).filter_map(|n| weights.draw(n * part + part / 2)).collect();
        let expected: Vec<u16> =
            (0..SLOTS).flat_map(|slot| std::iter::repeat_n(slot, weight(slot) as usize)).collect();
        assert!(drawn == expected);
    }

    #[test]
    fn a_weight_is_off_by_more_than_half_of_it_and_when_a_slot_empties_or_fills() {
        for (weight, entries, is_off) in [
            (0, 0, false),
            (0, 1, true),
            (1, 0, true),
            (2, 0, true),
            (2, 3, false),
            (2, 4, true),
            (100, 150, false),
            (100, 151, true),
            (100, 50, false),
            (100, 49, true),
            (u32::MAX, 0, true),
        ] {
            assert_eq!(Weights::is_off(weight, entries), is_off, "{weight} for {entries} entries");
        }
    }
}
