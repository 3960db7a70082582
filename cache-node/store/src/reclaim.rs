//! Keeping within the byte budget: evicting from the slot whose coldest entry is the oldest of a
//! few slots sampled at random.
//!
//! A slot is as likely to be sampled as it has entries ([`Weights`](crate::weights::Weights)). If all
//! slots were alike, a slot with many entries would keep its cold ones, and a slot with few would
//! lose its hot ones. The best slot that a search leaves behind is a sample of the next search:
//! without it, old entries in few slots would outlive younger ones until chance finds them.
//!
//! So misses are close to those of one LRU list over all entries, while no writer ever holds two
//! locks.

use std::sync::atomic::Ordering::Relaxed;

use crate::slot::MAX_FREED_BYTES;
use crate::store::Store;
use crate::{Millis, SLOTS};

/// Slots compared for a victim, the remembered one aside.
const SAMPLES: u64 = 9;

/// A slot whose coldest entry may go.
#[derive(Clone, Copy)]
struct Candidate {
    slot: u16,
    /// Age of its coldest entry, in stamp units.
    age: u32,
}

/// The two candidates with the oldest entries.
#[derive(Default)]
struct Best {
    first: Option<Candidate>,
    second: Option<Candidate>,
}

impl Best {
    fn add(&mut self, other: Candidate) {
        match self.first {
            Some(first) if first.slot == other.slot => {}
            Some(first) if first.age >= other.age => {
                if self.second.is_none_or(|second| second.age < other.age) {
                    self.second = Some(other);
                }
            }
            first => {
                self.first = Some(other);
                self.second = first;
            }
        }
    }
}

impl Store {
    /// Evicts the coldest entries until the store is within its budget, or `max_entries` were
    /// evicted (a bound for the time one writer spends). True if the store is within its budget.
    /// The caller must not hold a guard.
    pub fn reclaim(&self, now: Millis, max_entries: usize) -> bool {
        let mut left = max_entries;
        while left > 0 && !self.is_within_budget() {
            let Some(Best { first, second }) = self.search(now) else { break };
            // Other threads may have emptied the slots meanwhile: the attempt counts, or two
            // threads could spin here.
            left -= first.map_or(0, |victim| self.evict(victim, second, now, left)).max(1);
        }
        self.is_within_budget()
    }

    /// The best two of the sampled slots; `None` if the store is empty.
    fn search(&self, now: Millis) -> Option<Best> {
        let mut best = Best::default();
        // Taken out, so that no other thread compares it meanwhile: both would find the same oldest entry, and the second
        // would evict a younger one in its place.
        let remembered = self.remembered.swap(SLOTS, Relaxed);
        if remembered < SLOTS
            && let Some(candidate) = self.candidate(remembered, now)
        {
            best.add(candidate);
        }
        let first = self.samples.fetch_add(SAMPLES, Relaxed);
        for n in first..first + SAMPLES {
            let slot = self.weights.draw(self.hash(&n.to_le_bytes()))?;
            if let Some(candidate) = self.candidate(slot, now) {
                best.add(candidate);
            }
        }
        Some(best)
    }

    /// The slot as a candidate; `None` if it has lost its entries since it was drawn.
    fn candidate(&self, slot: u16, now: Millis) -> Option<Candidate> {
        let guard = self.lock(slot);
        let age = guard.slot().item(guard.slot().coldest()?).stamp.age(now);
        Some(Candidate { slot, age })
    }

    /// Evicts the victim's coldest entry, and further ones while they are no younger than that of the
    /// runner-up, at most `max_entries` and [`MAX_FREED_BYTES`]. Gives the number of entries removed, and remembers which
    /// of the two slots is the better one now.
    fn evict(
        &self,
        victim: Candidate,
        runner_up: Option<Candidate>,
        now: Millis,
        max_entries: usize,
    ) -> usize {
        let runner_up_age = runner_up.map_or(0, |runner_up| runner_up.age);
        let mut guard = self.lock(victim.slot);
        let enough = guard.bytes().saturating_sub(MAX_FREED_BYTES);
        let mut removed = 0;
        let mut better = runner_up.map(|runner_up| runner_up.slot);
        while let Some(at) = guard.slot().coldest() {
            let item = guard.slot().item(at);
            if removed > 0 && item.stamp.age(now) < runner_up_age {
                break;
            }
            if removed == max_entries || guard.bytes() < enough || self.is_within_budget() {
                better = Some(victim.slot);
                break;
            }
            let dead = item.is_dead(now);
            self.tell_ended(dead, item.stamp, now);
            guard.change(|slot, counters| {
                slot.remove(at);
                counters.expired += u64::from(dead);
                counters.evicted += u64::from(!dead);
            });
            removed += 1;
        }
        self.remembered.store(better.unwrap_or(SLOTS), Relaxed);
        removed
    }
}
