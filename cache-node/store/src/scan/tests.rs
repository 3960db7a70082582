//! Walks over keys whose hashes are chosen here.

use proptest::prelude::*;

use super::scan;
use crate::item::{Content, NEVER};
use crate::recency::Stamp;
use crate::slot::Slot;

/// A slot with entries of these hashes, keys and deadlines.
fn slot(entries: impl Iterator<Item = (u64, Vec<u8>, u64)>) -> Slot {
    let mut slot = Slot::default();
    for (hash, key, deadline) in entries {
        let content = Content { hash, key: &key, value: b"v", deadline, stamp: Stamp::at(0) };
        slot.put(None, content);
    }
    slot
}

/// The keys of each call of a whole walk.
fn walk(slot: &Slot, count: usize, now: u64) -> Vec<Vec<Vec<u8>>> {
    let (mut calls, mut after) = (Vec::new(), None);
    loop {
        let mut keys = Vec::new();
        after = scan(slot, after, count, now, &mut |_, key| keys.push(key.to_vec()));
        calls.push(keys);
        if after.is_none() {
            return calls;
        }
    }
}

proptest! {
    #[test]
    fn a_walk_reports_every_live_key_once_whatever_the_count(
        hashes in proptest::collection::vec(0..30_u64, 0..200),
        count in 0..40_usize,
    ) {
        let slot = slot(hashes.iter().enumerate().map(|(n, hash)| {
            let deadline = if n % 5 == 0 { 100 } else { NEVER };
            (hash << 26, n.to_le_bytes().to_vec(), deadline)
        }));
        let mut seen: Vec<Vec<u8>> = walk(&slot, count, 100).concat();
        seen.sort_unstable();
        let mut expected: Vec<Vec<u8>> = (0..hashes.len())
            .filter(|n| n % 5 != 0)
            .map(|n| n.to_le_bytes().to_vec())
            .collect();
        expected.sort_unstable();
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn keys_of_equal_position_are_never_split() {
    let slot = slot((0..10_u8).map(|key| (u64::from(1 + key / 5) << 26, vec![key], NEVER)));
    let sizes: Vec<usize> = walk(&slot, 2, 0).iter().map(Vec::len).collect();
    assert_eq!(sizes, [5, 5]);
}

#[test]
fn positions_fit_in_fifty_bits_and_none_is_zero() {
    let mut positions = Vec::new();
    let hashes = [0, 1 << 26, 1 << 40, u64::MAX - (1 << 20), u64::MAX];
    let slot = slot(hashes.into_iter().enumerate().map(|(n, hash)| (hash, vec![n as u8], NEVER)));
    let mut after = None;
    while let Some(next) = scan(&slot, after, 1, 0, &mut |_, _| ()) {
        positions.push(next);
        after = Some(next);
    }
    assert_eq!(positions.first(), Some(&1));
    assert!(positions.is_sorted() && positions.iter().all(|&at| at < 1 << 50), "{positions:?}");
}

#[test]
fn a_large_slot_is_walked_in_steps_of_the_asked_count() {
    let hash = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let slot = slot((0..100_000_u64).map(|n| (hash(n), n.to_le_bytes().to_vec(), NEVER)));
    let calls = walk(&slot, 10, 0);
    assert!(calls.iter().all(|keys| keys.len() <= 11), "a step is larger than asked for");
    let mut keys = calls.concat();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!((keys.len(), calls.concat().len()), (100_000, 100_000));
    // It looks at no more than what it passes and two leaves of the order.
    assert!((1..5000).all(|n| slot.at_or_behind(hash(n) >> 26, 10).0.len() <= 256));
}

#[test]
fn keys_of_equal_position_do_not_end_a_walk_over_a_large_slot() {
    let slot = slot((0..3000_u64).map(|n| ((1 + n / 2) << 26, n.to_le_bytes().to_vec(), NEVER)));
    for count in [1, 3, 63] {
        let mut keys = walk(&slot, count, 0).concat();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 3000, "{count} at a time");
    }
}
