//! The heart of the store: a slot copied through its journal, under writes, equals its source.

mod common;

use std::collections::BTreeMap;

use common::{START, assert_conserved, store, unlimited};
use proptest::prelude::*;
use ringcache_store::{Access, BadRecord, Store};

const SLOT: u16 = 4242;

#[derive(Clone, Debug)]
enum Op {
    Set {
        key: u8,
        len: usize,
        ttl: Option<u64>,
    },
    Get {
        key: u8,
    },
    Remove {
        key: u8,
    },
    SetDeadline {
        key: u8,
        ttl: Option<u64>,
    },
    Clear,
    Copy {
        max_bytes: usize,
    },
    /// Takes from the journal and applies at once: the two ends keep their order, not their pace.
    Ship {
        max_bytes: usize,
    },
    Evict {
        entries: usize,
    },
    Pass {
        time: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..40_u8;
    let ttl = || proptest::option::of(0..5000_u64);
    prop_oneof![
        8 => (key(), 0..300_usize, ttl()).prop_map(|(key, len, ttl)| Op::Set { key, len, ttl }),
        2 => key().prop_map(|key| Op::Get { key }),
        4 => key().prop_map(|key| Op::Remove { key }),
        2 => (key(), ttl()).prop_map(|(key, ttl)| Op::SetDeadline { key, ttl }),
        1 => Just(Op::Clear),
        4 => (1..2000_usize).prop_map(|max_bytes| Op::Copy { max_bytes }),
        6 => (1..3000_usize).prop_map(|max_bytes| Op::Ship { max_bytes }),
        1 => (1..4_usize).prop_map(|entries| Op::Evict { entries }),
        2 => (1..1000_u64).prop_map(|time| Op::Pass { time }),
    ]
}

fn ship(source: &Store, target: &Store, max_bytes: usize, now: u64) {
    let records = source.lock(SLOT).journal_take(max_bytes);
    assert_eq!(target.lock(SLOT).apply(&records, now), Ok(()));
}

/// The last acknowledged state of each key: what no reader may ever see behind.
type Acknowledged = BTreeMap<u8, (Vec<u8>, Option<u64>)>;

fn run(source: &Store, target: &Store, acknowledged: &mut Acknowledged, now: &mut u64, op: &Op) {
    let mut guard = source.lock(SLOT);
    match *op {
        Op::Set { key, len, ttl } => {
            let deadline = ttl.map(|ttl| *now + ttl);
            let value = [&now.to_le_bytes()[..], &vec![key; len]].concat();
            guard.set(&[key], &value, deadline, *now);
            acknowledged.insert(key, (value, deadline));
        }
        Op::Get { key } => drop(guard.get(&[key], *now)),
        Op::Remove { key } => {
            guard.remove(&[key], *now);
            acknowledged.remove(&key);
        }
        Op::SetDeadline { key, ttl } => {
            let deadline = ttl.map(|ttl| *now + ttl);
            if guard.set_deadline(&[key], deadline, *now) {
                acknowledged.entry(key).and_modify(|entry| entry.1 = deadline);
            }
        }
        Op::Clear => {
            let cleared = guard.clear();
            drop(guard);
            drop(cleared);
            acknowledged.clear();
        }
        Op::Copy { max_bytes } => {
            guard.journal_copy(max_bytes, *now);
        }
        Op::Ship { max_bytes } => {
            drop(guard);
            ship(source, target, max_bytes, *now);
        }
        Op::Evict { entries } => {
            drop(guard);
            source.set_budget(0);
            source.reclaim(*now, entries);
            source.set_budget(usize::MAX);
        }
        Op::Pass { time } => *now += time,
    }
    acknowledged.retain(|_, (_, deadline)| deadline.is_none_or(|deadline| deadline > *now));
}

fn finish(source: &Store, target: &Store, now: u64) {
    while !source.lock(SLOT).journal_copy(500, now) {}
    while source.lock(SLOT).journal_len() > 0 {
        ship(source, target, 700, now);
    }
    source.lock(SLOT).journal_stop();
}

fn content(store: &Store, now: u64) -> Acknowledged {
    let mut guard = store.lock(SLOT);
    (0..40)
        .filter_map(|key| {
            let entry = guard.peek(&[key], now)?;
            Some((key, (entry.value.to_vec(), entry.deadline)))
        })
        .collect()
}

proptest! {
    #[test]
    fn the_copy_equals_the_source_whatever_is_written_meanwhile(
        before in proptest::collection::vec(op(), 0..80),
        during in proptest::collection::vec(op(), 0..200),
    ) {
        let (source, target) = (unlimited(), unlimited());
        let (mut acknowledged, mut now) = (Acknowledged::new(), START);
        let evicts = |op: &&Op| matches!(op, Op::Evict { .. });
        for op in before.iter().filter(|op| !evicts(op)) {
            run(&source, &target, &mut acknowledged, &mut now, op);
        }
        source.lock(SLOT).journal_start();
        for op in during.iter().filter(|op| !evicts(op)) {
            run(&source, &target, &mut acknowledged, &mut now, op);
        }
        finish(&source, &target, now);
        prop_assert_eq!(content(&source, now), acknowledged);
        prop_assert_eq!(content(&target, now), content(&source, now));
        assert_conserved(&source);
        assert_conserved(&target);
    }

    /// Evictions leave no record, so the target may know more than the source. It must never know
    /// something else than what was acknowledged last.
    #[test]
    fn a_copy_never_brings_back_what_was_overwritten_or_removed_while_the_source_evicts(
        before in proptest::collection::vec(op(), 0..80),
        during in proptest::collection::vec(op(), 0..200),
    ) {
        let (source, target) = (unlimited(), unlimited());
        let (mut acknowledged, mut now) = (Acknowledged::new(), START);
        for op in &before {
            run(&source, &target, &mut acknowledged, &mut now, op);
        }
        source.lock(SLOT).journal_start();
        for op in &during {
            run(&source, &target, &mut acknowledged, &mut now, op);
        }
        finish(&source, &target, now);
        let copied = content(&target, now);
        for (key, entry) in &copied {
            prop_assert_eq!(Some(entry), acknowledged.get(key), "key {}", key);
        }
        for (key, entry) in content(&source, now) {
            prop_assert_eq!(copied.get(&key), Some(&entry), "key {}", key);
        }
    }

    #[test]
    fn garbage_is_refused_or_applied_but_never_panics(
        mut records in proptest::collection::vec(any::<u8>(), 0..300),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let (source, target) = (unlimited(), unlimited());
        let mut guard = source.lock(SLOT);
        guard.journal_start();
        guard.set(b"some key", b"some value", Some(START + 9), START);
        guard.remove(b"other", START);
        guard.set_deadline(b"some key", None, START);
        records.splice(0..0, guard.journal_take(usize::MAX));
        for (at, byte) in flips {
            let at = at.index(records.len());
            records[at] ^= byte;
        }
        // Both outcomes are right; what counts is that the store stays whole.
        let _ = target.lock(SLOT).apply(&records, START);
        assert_conserved(&target);
    }
}

#[test]
fn a_delete_of_an_entry_that_was_copied_and_then_evicted_reaches_the_target() {
    let (source, target) = (unlimited(), unlimited());
    source.lock(SLOT).set(b"k", b"copied", None, START);
    source.lock(SLOT).journal_start();
    assert!(source.lock(SLOT).journal_copy(usize::MAX, START));
    ship(&source, &target, usize::MAX, START);
    assert!(target.lock(SLOT).peek(b"k", START).is_some());

    source.set_budget(0);
    source.reclaim(START, 1);
    assert!(!source.lock(SLOT).remove(b"k", START), "evicted");
    ship(&source, &target, usize::MAX, START);
    assert_eq!(target.lock(SLOT).peek(b"k", START), None);
}

#[test]
fn an_entry_that_expires_on_the_way_still_ends_the_value_before_it() {
    let (source, target) = (unlimited(), unlimited());
    let mut guard = source.lock(SLOT);
    guard.journal_start();
    for key in [b"put", b"ttl"] {
        guard.set(key, b"old", None, START);
    }
    drop(guard);
    ship(&source, &target, usize::MAX, START);
    source.lock(SLOT).set(b"put", b"new", Some(START + 5), START);
    source.lock(SLOT).set_deadline(b"ttl", Some(START + 5), START);
    ship(&source, &target, usize::MAX, START + 5);
    assert!(target.lock(SLOT).is_empty());
}

#[test]
fn an_entry_whose_deadline_was_extended_in_time_survives_a_late_journal() {
    let (source, target) = (unlimited(), unlimited());
    source.lock(SLOT).journal_start();
    source.lock(SLOT).set(b"k", b"v", Some(START + 5), START);
    assert!(source.lock(SLOT).set_deadline(b"k", Some(START + 99), START + 4));
    ship(&source, &target, usize::MAX, START + 50);
    let mut guard = target.lock(SLOT);
    assert_eq!(guard.peek(b"k", START + 50).and_then(|entry| entry.deadline), Some(START + 99));
}

#[test]
fn the_target_evicts_in_the_order_of_the_source() {
    let (source, target) = (unlimited(), unlimited());
    for n in 0..1000_u32 {
        source.lock(SLOT).set(&n.to_le_bytes(), &[0; 64], None, START + u64::from(n) * 100);
    }
    let read = |n: u32| n.is_multiple_of(3);
    for n in (0..1000).filter(|&n| read(n)) {
        let now = START + 200_000 + u64::from(n) * 100;
        assert!(source.lock(SLOT).get(&n.to_le_bytes(), now).is_some());
    }
    let now = START + 400_000;
    source.lock(SLOT).journal_start();
    let mut written = 10_000_u32;
    while !source.lock(SLOT).journal_copy(1000, now) {
        source.lock(SLOT).set(&written.to_le_bytes(), &[0; 64], None, now);
        written += 1;
        ship(&source, &target, usize::MAX, now);
    }
    ship(&source, &target, usize::MAX, now);

    source.lock(SLOT).journal_stop();
    for store in [&source, &target] {
        store.set_budget(store.used_bytes() / 2);
        assert!(store.reclaim(now, usize::MAX));
    }
    let left = |store: &Store| -> Vec<u32> {
        let mut guard = store.lock(SLOT);
        (0..written).filter(|n| guard.peek(&n.to_le_bytes(), now).is_some()).collect()
    };
    let (at_source, at_target) = (left(&source), left(&target));
    let both = at_source.iter().filter(|n| at_target.contains(n)).count();
    assert!(
        at_source.len() > 300 && at_source.iter().all(|&n| read(n) || n >= 500),
        "{at_source:?}"
    );
    assert!(
        both * 100 >= at_source.len() * 98,
        "{both} entries are left in both; {} at the source, {} at the target",
        at_source.len(),
        at_target.len(),
    );
}

#[test]
fn a_copy_slice_is_bounded_even_if_all_it_looks_for_is_gone() {
    let source = unlimited();
    for n in 0..1000_u32 {
        source.lock(SLOT).set(&n.to_le_bytes(), b"v", None, START);
    }
    source.lock(SLOT).journal_start();
    source.set_budget(0);
    source.reclaim(START, usize::MAX);
    let mut slices = 1;
    while !source.lock(SLOT).journal_copy(320, START) {
        slices += 1;
    }
    assert_eq!((slices, source.lock(SLOT).journal_len()), (100, 0));
}

#[test]
fn without_a_journal_there_is_nothing_to_copy_or_take() {
    let source = unlimited();
    source.lock(SLOT).set(b"k", b"v", None, START);
    assert!(source.lock(SLOT).journal_copy(1000, START));
    assert!(source.lock(SLOT).journal_take(1000).is_empty());
    source.lock(SLOT).journal_start();
    source.lock(SLOT).set(b"k", b"w", None, START);
    source.lock(SLOT).journal_stop();
    assert_eq!(source.lock(SLOT).journal_len(), 0);
}

#[test]
fn the_records_before_a_bad_one_are_applied_and_the_error_says_what_is_wrong() {
    let (source, target) = (unlimited(), store(0));
    source.lock(SLOT).journal_start();
    source.lock(SLOT).set(b"k", b"v", None, START);
    let mut records = source.lock(SLOT).journal_take(usize::MAX);
    records.push(99);
    target.lock(SLOT).set_access(Access::Closed);
    assert_eq!(target.lock(SLOT).apply(&records, START), Err(BadRecord::UnknownTag(99)));
    assert_eq!(target.lock(SLOT).len(), 1);
    assert_eq!(assert_conserved(&target).applied, 1);
}
