//! Walks over keys whose hashes are chosen here.

use proptest::prelude::*;

use super::{MAX_CALLS, scan};
use crate::item::{Content, Item, NEVER};
use crate::recency::Stamp;

fn item(hash: u64, key: &[u8], deadline: u64) -> Item {
    Item::new(Content { hash, key, value: b"v", deadline, stamp: Stamp::at(0) })
}

/// The keys of each call of a whole walk.
fn walk(items: &[Item], count: usize, now: u64) -> Vec<Vec<Vec<u8>>> {
    let (mut calls, mut after) = (Vec::new(), None);
    loop {
        let mut keys = Vec::new();
        after = scan(items, after, count, now, &mut |key| keys.push(key.to_vec()));
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
        let items: Vec<Item> = hashes.iter().enumerate().map(|(n, hash)| {
            let deadline = if n % 5 == 0 { 100 } else { NEVER };
            item(hash << 26, &n.to_le_bytes(), deadline)
        }).collect();
        let mut seen: Vec<Vec<u8>> = walk(&items, count, 100).concat();
        seen.sort_unstable();
        let mut expected: Vec<Vec<u8>> = (0..items.len())
            .filter(|n| n % 5 != 0)
            .map(|n| n.to_le_bytes().to_vec())
            .collect();
        expected.sort_unstable();
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn keys_of_equal_position_are_never_split() {
    let items: Vec<Item> =
        (0..10_u8).map(|key| item(u64::from(1 + key / 5) << 26, &[key], NEVER)).collect();
    let sizes: Vec<usize> = walk(&items, 2, 0).iter().map(Vec::len).collect();
    assert_eq!(sizes, [5, 5]);
}

#[test]
fn positions_fit_in_fifty_bits_and_none_is_zero() {
    let mut positions = Vec::new();
    let items: Vec<Item> = [0, 1 << 26, 1 << 40, u64::MAX - (1 << 20), u64::MAX]
        .iter()
        .enumerate()
        .map(|(n, &hash)| item(hash, &[n as u8], NEVER))
        .collect();
    let mut after = None;
    while let Some(next) = scan(&items, after, 1, 0, &mut |_| ()) {
        positions.push(next);
        after = Some(next);
    }
    assert_eq!(positions.first(), Some(&1));
    assert!(positions.is_sorted() && positions.iter().all(|&at| at < 1 << 50), "{positions:?}");
}

#[test]
fn a_large_slot_is_walked_in_a_bounded_number_of_calls() {
    let items: Vec<Item> = (0..5000_u64).map(|n| item(n << 30, &n.to_le_bytes(), NEVER)).collect();
    let calls = walk(&items, 1, 0);
    assert!(calls.len() <= MAX_CALLS + 16, "{} calls", calls.len());
    assert_eq!(calls.concat().len(), 5000);
}
