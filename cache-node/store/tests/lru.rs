//! Eviction against its exact twin: one LRU list over all entries, of the same size.

mod common;

use std::collections::{BTreeMap, HashMap};

use common::{START, assert_conserved, store, unlimited};
use ringcache_store::{Access, SLOTS, Store};

const BUDGET_BYTES: usize = 2_000_000;
const VALUE: [u8; 100] = [7; 100];
/// Milliseconds in which one cold entry is written and one hot entry is read.
const STEPS: u64 = 40_000;
const HOT: u64 = 300;

/// A key: its slot and a number.
type Key = (u16, u64);

/// All entries in one list, the one accessed last at its end.
#[derive(Default)]
struct Twin {
    order: BTreeMap<(u64, u64), Key>,
    places: HashMap<Key, (u64, u64)>,
    accesses: u64,
}

impl Twin {
    /// Notes an access at that time; true if the entry was there.
    fn access(&mut self, key: Key, time: u64) -> bool {
        let was_there = self.remove(key);
        self.accesses += 1;
        self.order.insert((time, self.accesses), key);
        self.places.insert(key, (time, self.accesses));
        was_there
    }

    fn remove(&mut self, key: Key) -> bool {
        self.places.remove(&key).is_some_and(|place| self.order.remove(&place).is_some())
    }

    fn clear(&mut self, slot: u16) {
        self.order.retain(|_, key| key.0 != slot);
        self.places.retain(|key, _| key.0 != slot);
    }

    fn evict_down_to(&mut self, entries: u64) {
        while self.order.len() as u64 > entries {
            self.order.pop_first().map(|(_, key)| self.places.remove(&key));
        }
    }
}

/// A store and its twin under the same accesses.
struct Race {
    store: Store,
    twin: Twin,
    now: u64,
    reads: u64,
    /// Reads that missed.
    store_misses: u64,
    twin_misses: u64,
}

impl Race {
    fn new() -> Self {
        let (store, twin) = (store(BUDGET_BYTES), Twin::default());
        Self { store, twin, now: START, reads: 0, store_misses: 0, twin_misses: 0 }
    }

    /// Writes an entry.
    fn write(&mut self, key: Key) {
        self.store.lock(key.0).set(&key.1.to_le_bytes(), &VALUE, None, self.now);
        self.twin.access(key, self.now);
        assert!(self.store.reclaim(self.now, usize::MAX));
    }

    /// Reads an entry, and writes it where it is missing.
    fn read(&mut self, key: Key) {
        let hit = self.store.lock(key.0).get(&key.1.to_le_bytes(), self.now).is_some();
        self.reads += 1;
        self.store_misses += u64::from(!hit);
        self.twin_misses += u64::from(!self.twin.access(key, self.now));
        if !hit {
            self.write(key);
        }
    }

    fn clear(&mut self, slot: u16) {
        let cleared = self.store.lock(slot).clear();
        drop(cleared);
        self.twin.clear(slot);
    }

    /// A slot arrives from another node with entries last accessed in the past.
    fn hand_over(&mut self, slot: u16, entries: impl Iterator<Item = (u64, u64)>) {
        let source = unlimited();
        for (number, time) in entries {
            source.lock(slot).set(&number.to_le_bytes(), &VALUE, None, time);
            self.twin.access((slot, number), time);
        }
        let mut guard = source.lock(slot);
        guard.journal_start();
        assert!(guard.journal_copy(usize::MAX, self.now));
        let records = guard.journal_take(usize::MAX);
        assert_eq!(self.store.lock(slot).apply(&records, self.now), Ok(()));
        self.store.lock(slot).set_access(Access::Open);
        assert!(self.store.reclaim(self.now, usize::MAX));
    }

    /// The twin gets as much memory as the store's entries take: they are all of one size.
    fn level(&mut self) {
        self.twin.evict_down_to(self.store.stats().entries);
    }

    /// Entries of the twin that the store has lost, per thousand.
    fn lost_permille(&self) -> usize {
        let is_lost =
            |key: &&Key| self.store.lock(key.0).peek(&key.1.to_le_bytes(), self.now).is_none();
        self.twin.places.keys().filter(is_lost).count() * 1000 / self.twin.places.len()
    }

    /// Runs the steps: each a cold write, a hot read, and what `also` does.
    fn run(
        &mut self,
        hot: impl Fn(u64) -> Key,
        cold: impl Fn(u64) -> Key,
        mut also: impl FnMut(&mut Self, u64),
    ) {
        for n in 0..HOT {
            self.write(hot(n));
        }
        for step in 0..STEPS {
            self.now = START + step;
            self.write(cold(step));
            self.read(hot(step % HOT));
            also(self, step);
            if step % 64 == 0 {
                self.level();
            }
        }
        self.level();
        assert!(assert_conserved(&self.store).evicted > STEPS / 2, "memory was never short");
    }

    fn assert_like_twin(&self, what: &str) {
        let (lost, misses) = (self.lost_permille(), self.store_misses);
        println!("{what}: {misses} of {} hot reads missed, {lost} ‰ lost", self.reads);
        assert_eq!(self.twin_misses, 0, "{what}: LRU itself loses hot keys");
        assert!(misses * 1000 <= self.reads, "{what}: {misses} of {} hot reads missed", self.reads);
        assert!(lost <= 100, "{what}: {lost} per thousand of what LRU keeps was evicted");
    }
}

/// A number that looks random.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

fn hot_number(n: u64) -> u64 {
    n | 1 << 63
}

/// Spreads keys evenly over slots.
fn spread(slots: &[u16], n: u64) -> Key {
    (slots[(mix(n + 1) % slots.len() as u64) as usize], n)
}

/// That share of all slots: side by side, or as they come.
fn share(of: u16, contiguous: bool) -> Vec<u16> {
    if contiguous {
        (5000..=u16::MAX).map(|slot| slot % SLOTS).take(usize::from(SLOTS / of)).collect()
    } else {
        (0..SLOTS).filter(|slot| mix(u64::from(*slot)).is_multiple_of(u64::from(of))).collect()
    }
}

#[test]
fn hot_keys_stay_however_few_slots_hold_entries() {
    for of in [1, 3, 12, 50] {
        for contiguous in [true, false] {
            let slots = share(of, contiguous);
            let mut race = Race::new();
            race.run(|n| spread(&slots, hot_number(n)), |n| spread(&slots, n), |_, _| {});
            race.assert_like_twin(&format!("1/{of} of the slots, contiguous: {contiguous}"));
        }
    }
}

#[test]
fn hot_keys_stay_when_one_slot_holds_a_third_of_the_entries() {
    for of in [1, 12, 50] {
        let slots = share(of, false);
        let cold = |n| if mix(n) % 10 < 3 { (slots[0], n) } else { spread(&slots, n) };
        let mut race = Race::new();
        race.run(|n| spread(&slots, hot_number(n)), cold, |_, _| {});
        let large = race.store.lock(slots[0]).len() as u64;
        let all = race.store.stats().entries;
        race.assert_like_twin(&format!("one slot holds {large} of {all} entries, 1/{of}"));
        assert!((25..=35).contains(&(large * 100 / all)), "it holds {large} of {all} entries");
    }
}

#[test]
fn hot_keys_stay_where_they_are_alone_in_their_slots() {
    let (cold, hot) = (share(500, false), share(12, true));
    let mut race = Race::new();
    race.run(|n| spread(&hot, hot_number(n)), |n| spread(&cold, n), |_, _| {});
    race.assert_like_twin("hot and cold keys in different slots");
}

#[test]
fn hot_keys_stay_while_slots_come_and_go() {
    let slots = share(12, true);
    let (kept, cleared) = slots.split_at(slots.len() / 2);
    let cold = |n| if mix(n).is_multiple_of(4) { spread(cleared, n) } else { spread(kept, n) };
    let mut race = Race::new();
    race.run(
        |n| spread(kept, hot_number(n)),
        cold,
        |race, step| {
            if step % 5 == 0 {
                race.clear(cleared[(mix(step) % cleared.len() as u64) as usize]);
            }
            if step % 500 == 0 {
                let last_access = race.now - 2000;
                let entries = (0..400).map(|n| ((step << 20) + n, last_access + n * 5));
                race.hand_over((step / 500) as u16 * 7, entries);
            }
        },
    );
    race.assert_like_twin("slots come and go");
}

#[test]
fn reads_of_a_wide_distribution_miss_as_often_as_with_one_list() {
    let slots = share(12, false);
    let mut race = Race::new();
    for step in 0..STEPS * 3 {
        race.now = START + step;
        // The first of 30,000 keys are read by far the most.
        let random = (mix(step) >> 11) as f64 / (1_u64 << 53) as f64;
        race.read(spread(&slots, (random.powi(3) * 30_000.0) as u64));
        if step % 64 == 0 {
            race.level();
        }
    }
    let (misses, twin_misses) = (race.store_misses, race.twin_misses);
    println!("wide distribution: {misses} misses, {twin_misses} with one list");
    assert!(twin_misses > STEPS / 4, "memory was never short");
    assert!(misses * 100 <= twin_misses * 101, "{misses} misses, {twin_misses} with one list");
}
