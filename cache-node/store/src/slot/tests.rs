//! A slot against a slow twin: a vector in LRU order. Hashes are few, so that keys collide.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{LARGE, Slot};
use crate::Millis;
use crate::item::{Content, Item, NEVER};
use crate::recency::{MAX_WALK, Stamp};
use crate::size_class::allocated_bytes;

impl Slot {
    /// Checks what must hold between operations: index, list and bytes agree with the slab.
    fn check(&self) {
        assert_eq!(self.index.len(), self.items.len());
        for (at, item) in self.items.iter().enumerate() {
            assert_eq!(self.find(item.hash, item.key()), Some(at as u32));
        }
        let hottest_first: Vec<u32> = self.recency.iter(&self.items).collect();
        assert_eq!(hottest_first.len(), self.items.len());
        assert_eq!(hottest_first.first().copied().unwrap_or(u32::MAX), self.recency.hottest());
        assert_eq!(hottest_first.last().copied().unwrap_or(u32::MAX), self.recency.coldest());
        assert_eq!(hottest_first.iter().collect::<BTreeSet<_>>().len(), self.items.len());

        let blocks: usize = self
            .items
            .iter()
            .map(|item| allocated_bytes(item.key().len() + item.value().len()))
            .sum();
        let slab = allocated_bytes(self.items.capacity() * size_of::<Item>());
        let index = allocated_bytes(self.index.allocation_size());
        let order = self.ordered.as_ref().map_or(0, |ordered| ordered.bytes());
        assert_eq!(self.bytes(), blocks + slab + index + order);
        assert!(self.ordered.is_some() || self.items.len() <= LARGE);
        if let Some(ordered) = &self.ordered {
            ordered.check(&self.items);
        }
        let room = self.items.len().max(4) * 4 + 3;
        assert!(self.items.capacity() <= room, "slab of {} kept", self.items.capacity());
        if self.items.is_empty() {
            assert_eq!(self.footprint(), 0);
        }
    }

    fn keys_hottest_first(&self) -> Vec<Vec<u8>> {
        self.recency.iter(&self.items).map(|at| self.item(at).key().to_vec()).collect()
    }
}

/// Four hashes for all keys: most lookups meet other keys of the same hash.
fn colliding_hash(key: u8) -> u64 {
    u64::from(key % 4) << 60
}

fn put(slot: &mut Slot, key: u8, value: &[u8], deadline: Millis, now: Millis) {
    let (hash, stamp) = (colliding_hash(key), Stamp::at(now));
    let at = slot.find(hash, &[key]);
    slot.put(at, Content { hash, key: &[key], value, deadline, stamp });
}

#[derive(Clone, Debug)]
enum Op {
    Put { key: u8, len: usize, ttl: Millis },
    Touch { key: u8 },
    Remove { key: u8 },
    EvictColdest,
    SetDeadline { key: u8, ttl: Millis },
    Sweep { budget: usize },
    Take,
    Pass { time: Millis },
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..80_u8;
    let ttl = || prop_oneof![Just(NEVER), 1..2000_u64];
    prop_oneof![
        12 => (key(), 0..300_usize, ttl()).prop_map(|(key, len, ttl)| Op::Put { key, len, ttl }),
        4 => key().prop_map(|key| Op::Touch { key }),
        4 => key().prop_map(|key| Op::Remove { key }),
        3 => Just(Op::EvictColdest),
        2 => (key(), ttl()).prop_map(|(key, ttl)| Op::SetDeadline { key, ttl }),
        3 => (1..40_usize).prop_map(|budget| Op::Sweep { budget }),
        1 => Just(Op::Take),
        3 => (1..500_u64).prop_map(|time| Op::Pass { time }),
    ]
}

/// Key, value and deadline of each entry, hottest first.
#[derive(Default)]
struct Twin(Vec<(u8, Vec<u8>, Millis)>);

impl Twin {
    fn take(&mut self, key: u8) -> Option<(u8, Vec<u8>, Millis)> {
        let at = self.0.iter().position(|entry| entry.0 == key)?;
        Some(self.0.remove(at))
    }
}

fn apply(slot: &mut Slot, twin: &mut Twin, op: &Op, now: &mut Millis) {
    let find = |slot: &Slot, key: u8| slot.find(colliding_hash(key), &[key]);
    match *op {
        Op::Put { key, len, ttl } => {
            let deadline = now.saturating_add(ttl);
            put(slot, key, &vec![key; len], deadline, *now);
            twin.take(key);
            twin.0.insert(0, (key, vec![key; len], deadline));
        }
        Op::Touch { key } => {
            if let Some(at) = find(slot, key) {
                slot.touch(at, Stamp::at(*now));
            }
            if let Some(entry) = twin.take(key) {
                twin.0.insert(0, entry);
            }
        }
        Op::Remove { key } => {
            if let Some(at) = find(slot, key) {
                slot.remove(at);
            }
            twin.take(key);
        }
        Op::EvictColdest => {
            if let Some(at) = slot.coldest() {
                slot.remove(at);
            }
            twin.0.pop();
        }
        Op::SetDeadline { key, ttl } => {
            if let Some(at) = find(slot, key) {
                slot.set_deadline(at, now.saturating_add(ttl));
            }
            if let Some(entry) = twin.0.iter_mut().find(|entry| entry.0 == key) {
                entry.2 = now.saturating_add(ttl);
            }
        }
        Op::Sweep { budget } => {
            let (visited, expired, _) = slot.sweep(*now, budget, |_| {});
            assert!(visited <= budget && expired <= visited);
            // A bounded sweep chooses which dead entries go; that all go in the end is below.
            twin.0.retain(|entry| entry.2 > *now || find(slot, entry.0).is_some());
        }
        Op::Take => {
            drop(slot.take());
            twin.0.clear();
        }
        Op::Pass { time } => *now += time,
    }
}

proptest! {
    #[test]
    fn a_slot_is_what_its_twin_is_after_any_operations(
        ops in proptest::collection::vec(op(), 1..300),
    ) {
        let (mut slot, mut twin, mut now) = (Slot::default(), Twin::default(), 1_000_000);
        for op in &ops {
            apply(&mut slot, &mut twin, op, &mut now);
            slot.check();
            let keys: Vec<Vec<u8>> = twin.0.iter().map(|entry| vec![entry.0]).collect();
            prop_assert_eq!(slot.keys_hottest_first(), keys);
            for (key, value, deadline) in &twin.0 {
                let at = slot.find(colliding_hash(*key), &[*key]).expect("in the twin");
                prop_assert_eq!((slot.item(at).value(), slot.item(at).deadline), (&value[..], *deadline));
            }
        }
        // The pass under way may have gone by an entry before it died; the next one finds it.
        for _ in 0..40 {
            slot.sweep(now, 7, |_| {});
        }
        prop_assert!(slot.items().iter().all(|item| !item.is_dead(now)));
        prop_assert_eq!(slot.items().len(), twin.0.iter().filter(|entry| entry.2 > now).count());
    }

    #[test]
    fn a_stream_in_order_of_recency_restores_the_lru_order_among_newer_writes(
        ages in proptest::collection::btree_set(10..60_000_u64, 1..120),
        newer in 0..300_usize,
    ) {
        let now = 1 << 40;
        let mut slot = Slot::default();
        // Writes at the target's end of the list that came while the copy was on its way.
        for n in 0..newer {
            let key = n.to_le_bytes();
            slot.put(None, Content { hash: n as u64, key: &key, value: b"", deadline: NEVER, stamp: Stamp::at(now) });
        }
        let coldest_first: Vec<Millis> = ages.iter().rev().map(|age| now - (age << 6)).collect();
        for (n, &time) in coldest_first.iter().enumerate() {
            let (key, stamp) = ([b"old", &n.to_le_bytes()[..]].concat(), Stamp::reported(time, now));
            slot.put_copied(None, Content { hash: n as u64, key: &key, value: b"", deadline: NEVER, stamp });
        }
        slot.check();
        let copied: Vec<Millis> = slot.recency.iter(&slot.items)
            .map(|at| slot.item(at).stamp.time(now))
            .filter(|&time| time < now)
            .collect();
        let hottest_first: Vec<Millis> = coldest_first.iter().rev().copied().collect();
        prop_assert_eq!(copied, hottest_first);
        if newer < MAX_WALK {
            let times: Vec<Millis> = slot.recency.iter(&slot.items).map(|at| slot.item(at).stamp.time(now)).collect();
            prop_assert!(times.is_sorted_by(|hotter, colder| hotter >= colder));
        }
    }
}

#[test]
fn a_slot_that_lost_most_entries_gives_its_memory_back() {
    let mut slot = Slot::default();
    let key_of = |n: u32| n.to_le_bytes();
    for n in 0..10_000 {
        let content = Content {
            hash: u64::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            key: &key_of(n),
            value: b"",
            deadline: NEVER,
            stamp: Stamp::at(0),
        };
        slot.put(None, content);
    }
    let full = slot.bytes();
    while slot.items().len() > 100 {
        slot.remove(slot.coldest().expect("not empty"));
        if slot.items().len().is_multiple_of(499) {
            slot.check();
        }
    }
    slot.check();
    assert!(slot.bytes() < full / 20, "{} of {full} bytes are still held", slot.bytes());
    while let Some(at) = slot.coldest() {
        slot.remove(at);
    }
    assert_eq!(slot.footprint(), 0);
}

#[test]
fn a_sweep_interrupted_by_removals_misses_no_dead_entry() {
    let (born, dead) = (1000, 5000);
    let mut slot = Slot::default();
    for key in 0..100 {
        put(&mut slot, key, b"v", dead, born);
    }
    assert!(!slot.is_sweep_due(dead - 1));
    let mut expired = 0;
    for key in 0..20 {
        expired += slot.sweep(dead, 3, |_| {}).1;
        if let Some(at) = slot.find(colliding_hash(key), &[key]) {
            slot.remove(at);
            expired += 1;
        }
    }
    for _ in 0..40 {
        expired += slot.sweep(dead, 3, |_| {}).1;
    }
    assert_eq!((expired, slot.items().len()), (100, 0));
    assert!(!slot.is_sweep_due(dead));
}

#[test]
fn a_sweep_frees_no_more_than_a_megabyte_at_a_time() {
    let (born, dead) = (1000, 5000);
    let mut slot = Slot::default();
    for key in 0..64 {
        put(&mut slot, key, &vec![key; 100 << 10], dead, born);
    }
    let mut expired = 0;
    for _ in 0..6 {
        let swept = slot.sweep(dead, 64, |_| {});
        assert!(swept.1 <= 11, "{} entries of 100 KiB", swept.1);
        expired += swept.1;
    }
    assert_eq!((expired, slot.items().len()), (64, 0));
}
