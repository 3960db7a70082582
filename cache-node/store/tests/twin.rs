//! The store against a `BTreeMap`, over random operations with an explicit clock.

mod common;

use std::collections::BTreeMap;

use common::{START, assert_conserved, unlimited};
use proptest::prelude::*;
use ringcache_store::{Entry, GROUPS, SLOTS_PER_GROUP, Store};

/// Two slots of one group, and one of another.
const SLOTS: [u16; 3] = [0, 1, 9000];

#[derive(Clone, Debug)]
enum Op {
    Get,
    Peek,
    Set { len: usize, ttl: Option<i64> },
    Remove,
    SetDeadline { ttl: Option<i64> },
    Clear,
    Sweep { budget: usize },
    Pass { time: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    // Some deadlines lie in the past, some at this very millisecond.
    let ttl = || proptest::option::of(-2..50_i64);
    prop_oneof![
        6 => Just(Op::Get),
        2 => Just(Op::Peek),
        8 => (0..200_usize, ttl()).prop_map(|(len, ttl)| Op::Set { len, ttl }),
        3 => Just(Op::Remove),
        2 => ttl().prop_map(|ttl| Op::SetDeadline { ttl }),
        1 => Just(Op::Clear),
        2 => (1..20_usize).prop_map(|budget| Op::Sweep { budget }),
        3 => (1..10_u64).prop_map(|time| Op::Pass { time }),
    ]
}

/// Value and deadline by slot and key; dead entries are gone.
type Twin = BTreeMap<(u16, Vec<u8>), (Vec<u8>, Option<u64>)>;

fn shown(entry: Option<Entry<'_>>) -> Option<(Vec<u8>, Option<u64>)> {
    entry.map(|Entry { value, deadline }| (value.to_vec(), deadline))
}

/// Runs one operation on both; the results must be the same.
fn run(store: &Store, twin: &mut Twin, now: &mut u64, slot: u16, key: u8, op: &Op) {
    let mut guard = store.lock(slot);
    let key = &[key][..];
    let place = (slot, key.to_vec());
    let deadline = |ttl: Option<i64>| ttl.map(|ttl| now.saturating_add_signed(ttl));
    match *op {
        Op::Get => assert_eq!(shown(guard.get(key, *now)), twin.get(&place).cloned()),
        Op::Peek => assert_eq!(shown(guard.peek(key, *now)), twin.get(&place).cloned()),
        Op::Set { len, ttl } => {
            let value = vec![len as u8; len];
            guard.set(key, &value, deadline(ttl), *now);
            twin.insert(place, (value, deadline(ttl)));
        }
        Op::Remove => assert_eq!(guard.remove(key, *now), twin.remove(&place).is_some()),
        Op::SetDeadline { ttl } => {
            let entry = twin.get_mut(&place);
            assert_eq!(guard.set_deadline(key, deadline(ttl), *now), entry.is_some());
            if let Some(entry) = entry {
                entry.1 = deadline(ttl);
            }
        }
        Op::Clear => {
            let cleared = guard.clear();
            drop(guard);
            drop(cleared);
            twin.retain(|(other, _), _| *other != slot);
        }
        Op::Sweep { budget } => {
            drop(guard);
            let swept = store.sweep(slot / SLOTS_PER_GROUP, *now, budget);
            assert!(swept.expired <= swept.visited && swept.visited <= budget);
        }
        Op::Pass { time } => *now += time,
    }
    twin.retain(|_, (_, deadline)| deadline.is_none_or(|deadline| deadline > *now));
}

fn keys_by_scan(store: &Store, slot: u16, count: usize, now: u64) -> Vec<Vec<u8>> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let guard = store.lock(slot);
        after = guard.scan(after, count, now, &mut |_, key| keys.push(key.to_vec()));
        if after.is_none() {
            keys.sort_unstable();
            return keys;
        }
    }
}

proptest! {
    #[test]
    fn the_store_answers_as_a_map_does(
        ops in proptest::collection::vec((0..SLOTS.len(), 0..30_u8, op()), 1..300),
    ) {
        let (store, mut twin, mut now) = (unlimited(), Twin::new(), START);
        for (slot, key, op) in &ops {
            run(&store, &mut twin, &mut now, SLOTS[*slot], *key, op);
        }
        assert_conserved(&store);
        for slot in SLOTS {
            let expected: Vec<Vec<u8>> =
                twin.keys().filter(|(other, _)| *other == slot).map(|(_, key)| key.clone()).collect();
            prop_assert_eq!(keys_by_scan(&store, slot, 3, now), expected);
        }
        // A pass that was under way may have gone by an entry before it died; the next one finds it.
        for group in (0..GROUPS).chain(0..GROUPS) {
            while !store.sweep(group, now, 10).complete {}
        }
        prop_assert_eq!(assert_conserved(&store).entries, twin.len() as u64);
        let gets = ops.iter().filter(|(_, _, op)| matches!(op, Op::Get)).count() as u64;
        prop_assert_eq!(store.stats().hits + store.stats().misses, gets);
    }

    #[test]
    fn a_key_that_stays_is_scanned_once_while_others_come_and_go(
        staying in proptest::collection::btree_set(0..1000_u32, 1..100),
        churn in proptest::collection::vec((1000..1100_u32, any::<bool>()), 0..200),
        count in 1..20_usize,
    ) {
        let store = unlimited();
        let mut guard = store.lock(5);
        for key in &staying {
            guard.set(&key.to_le_bytes(), b"stays", None, START);
        }
        let (mut seen, mut after, mut churn) = (Vec::new(), None, churn.into_iter());
        loop {
            after = guard.scan(after, count, START, &mut |_, key| seen.push(key.to_vec()));
            for (key, insert) in churn.by_ref().take(10) {
                if insert {
                    guard.set(&key.to_le_bytes(), b"comes", None, START);
                } else {
                    guard.remove(&key.to_le_bytes(), START);
                }
            }
            if after.is_none() {
                break;
            }
        }
        seen.sort_unstable();
        prop_assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "reported twice");
        for key in staying {
            prop_assert!(seen.binary_search(&key.to_le_bytes().to_vec()).is_ok(), "{} is missing", key);
        }
    }
}

#[test]
fn a_key_that_stays_is_scanned_once_while_its_slot_becomes_large_and_small_again() {
    let store = unlimited();
    let mut guard = store.lock(5);
    let staying: Vec<Vec<u8>> = (0..400_u32).map(|key| key.to_le_bytes().to_vec()).collect();
    for key in &staying {
        guard.set(key, b"stays", None, START);
    }
    let (mut seen, mut after, mut step) = (Vec::new(), None, 0_u32);
    loop {
        after = guard.scan(after, 3, START, &mut |_, key| {
            if staying.iter().any(|staying| staying == key) {
                seen.push(key.to_vec());
            }
        });
        for key in (0..4000_u32).skip(step as usize % 13).step_by(13) {
            let key = (1000 + key).to_le_bytes();
            if step / 13 % 2 == 0 {
                guard.set(&key, b"comes", None, START);
            } else {
                guard.remove(&key, START);
            }
        }
        step += 1;
        if after.is_none() {
            break;
        }
    }
    assert!(step > 26, "it has grown and shrunk within {step} steps");
    seen.sort_unstable();
    let mut expected = staying;
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[test]
fn an_entry_is_dead_from_the_millisecond_of_its_deadline_on() {
    let store = unlimited();
    let mut guard = store.lock(7);
    guard.set(b"k", b"v", Some(START + 10), START);
    assert_eq!(guard.get(b"k", START + 9).map(|entry| entry.value), Some(&b"v"[..]));
    assert_eq!(guard.peek(b"k", START + 10), None);
    guard.set(b"k", b"v", Some(START + 10), START);
    assert!(!guard.remove(b"k", START + 10));
    guard.set(b"k", b"v", Some(START + 10), START);
    assert!(!guard.set_deadline(b"k", None, START + 10));
    assert!(guard.is_empty());
    drop(guard);
    assert_eq!(assert_conserved(&store).expired, 3);
}

#[test]
fn a_deadline_in_the_past_removes_the_entry() {
    let store = unlimited();
    let mut guard = store.lock(7);
    guard.set(b"set", b"v", None, START);
    guard.set(b"set", b"w", Some(START), START);
    assert_eq!(guard.peek(b"set", START), None);
    guard.set(b"expire", b"v", None, START);
    assert!(guard.set_deadline(b"expire", Some(START), START));
    assert_eq!(guard.peek(b"expire", START), None);
    drop(guard);
    let stats = assert_conserved(&store);
    assert_eq!((stats.sets, stats.deletes), (2, 2));
}
