//! The byte budget: what goes, and that enough goes.

mod common;

use common::{START, assert_conserved, store, unlimited};
use proptest::prelude::*;
use ringcache_store::{GROUPS, SLOTS};

proptest! {
    // A tenth of `PROPTEST_CASES`: every case is hundreds of writes, each with a look at the whole store.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 10,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_budget_holds_after_every_reclaim(
        budget_bytes in 0..400_000_usize,
        sizes in proptest::collection::vec((0..SLOTS, 0..5000_usize), 1..600),
    ) {
        let store = store(budget_bytes);
        for (n, (slot, len)) in sizes.iter().enumerate() {
            let now = START + n as u64 * 10;
            store.lock(*slot).set(&n.to_le_bytes(), &vec![0; *len], None, now);
            prop_assert!(store.reclaim(now, usize::MAX));
            prop_assert!(store.used_bytes() <= budget_bytes);
        }
        let stats = assert_conserved(&store);
        prop_assert_eq!(stats.evicted + stats.entries, sizes.len() as u64);
        prop_assert_eq!(stats.budget_bytes, budget_bytes);
    }
}

#[test]
fn the_coldest_entry_of_a_slot_goes_first() {
    let store = unlimited();
    for n in 0..100_u32 {
        store.lock(77).set(&n.to_le_bytes(), &[0; 100], None, START);
    }
    for n in 0..50_u32 {
        assert!(store.lock(77).get(&n.to_le_bytes(), START).is_some());
        assert!(store.lock(77).peek(&(99 - n % 50).to_le_bytes(), START).is_some());
    }
    store.set_budget(store.used_bytes() / 2);
    assert!(store.reclaim(START, usize::MAX));
    let left: Vec<u32> =
        (0..100).filter(|n: &u32| store.lock(77).peek(&n.to_le_bytes(), START).is_some()).collect();
    assert!(!left.is_empty() && left.len() <= 50, "{left:?}");
    // Those read went last, in the order in which they were read; a peek keeps nothing.
    assert_eq!(left, (50 - left.len() as u32..50).collect::<Vec<u32>>());
}

#[test]
fn entries_read_lately_outlive_the_others_in_all_slots() {
    let store = unlimited();
    let key = |n: u32| (n.to_le_bytes(), (n * 7 % u32::from(SLOTS)) as u16);
    for n in 0..40_000 {
        let (key, slot) = key(n);
        store.lock(slot).set(&key, &[0; 50], None, START + u64::from(n));
    }
    for n in (0..40_000).step_by(4) {
        let (key, slot) = key(n);
        store.lock(slot).get(&key, START + 100_000 + u64::from(n));
    }
    let now = START + 200_000;
    store.set_budget(store.used_bytes() / 2);
    assert!(store.reclaim(now, usize::MAX));
    let alive = |n: &u32| {
        let (key, slot) = key(*n);
        store.lock(slot).peek(&key, now).is_some()
    };
    let read = (0..40_000).step_by(4).filter(alive).count();
    let young = (30_000..40_000).filter(|n| n % 4 != 0).filter(alive).count();
    let old = (0..10_000).filter(|n| n % 4 != 0).filter(alive).count();
    assert!(read >= 9_900, "{read} of 10000 entries read lately are left");
    assert!(young >= 5_000 && old <= 750, "{young} young and {old} old ones of 7500 are left");
}

#[test]
fn reclaim_evicts_no_more_entries_than_it_was_allowed() {
    let store = unlimited();
    for n in 0..100_u32 {
        store.lock(n as u16 * 100).set(&n.to_le_bytes(), &[0; 100], None, START);
    }
    store.set_budget(0);
    assert!(!store.reclaim(START, 0));
    assert_eq!(store.stats().evicted, 0);
    assert!(!store.reclaim(START, 7));
    assert_eq!(store.stats().evicted, 7);
    assert!(!store.reclaim(START, 92));
    assert!(store.reclaim(START, 1));
    assert_eq!((store.stats().evicted, store.used_bytes()), (100, 0));
    assert!(store.reclaim(START, usize::MAX), "an empty store is within any budget");
}

#[test]
fn a_single_entry_anywhere_is_found_by_the_eviction() {
    let store = store(0);
    for slot in [0, 1, 4711, SLOTS - 1] {
        store.lock(slot).set(b"k", b"v", None, START);
        assert!(store.reclaim(START, 1), "the entry of slot {slot} was not found");
    }
}

#[test]
fn a_dead_entry_that_the_eviction_meets_counts_as_expired() {
    let store = store(0);
    store.lock(1).set(b"k", b"v", Some(START + 1), START);
    assert!(store.reclaim(START + 1, 1));
    let stats = assert_conserved(&store);
    assert_eq!((stats.expired, stats.evicted), (1, 0));
}

#[test]
fn a_journal_counts_against_the_budget() {
    let store = unlimited();
    let mut guard = store.lock(1);
    guard.journal_start();
    guard.set(b"k", &[0; 10_000], None, START);
    assert!(store.used_bytes() >= guard.bytes() + 10_000);
    drop(guard.journal_take(usize::MAX));
    guard.journal_stop();
    assert_eq!(store.used_bytes(), guard.bytes());
}

#[test]
fn the_sweep_frees_what_has_expired_and_nothing_else() {
    let store = unlimited();
    for n in 0..20_000_u32 {
        let deadline = (n % 2 == 0).then_some(START + 1000 + u64::from(n));
        store.lock((n % 10_000) as u16).set(&n.to_le_bytes(), &[0; 50], deadline, START);
    }
    let pass =
        |now| -> usize { (0..GROUPS).map(|group| store.sweep(group, now, 100).visited).sum() };
    assert_eq!(pass(START + 999), 0, "nothing is looked at before the first deadline");
    assert!(pass(START + 11_000) > 0);
    assert_eq!(assert_conserved(&store).expired, 5_001);
    assert!(pass(START + 21_000) > 0);
    assert_eq!(assert_conserved(&store).expired, 10_000);
    assert_eq!(pass(START + 1_000_000), 0, "what has no deadline is never looked at again");
}
