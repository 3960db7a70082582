//! `SlotSet` against a `BTreeSet`, and at its bounds.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use proptest::prelude::*;
use ringcache_ring::{SLOTS, SlotSet};

/// Slots that often share a word or stand at its edge, and numbers that are no slots.
fn slot() -> impl Strategy<Value = u16> {
    prop_oneof![0..200_u16, 0..SLOTS, SLOTS - 70..SLOTS, SLOTS..=u16::MAX]
}

fn ranges() -> impl Strategy<Value = Vec<RangeInclusive<u16>>> {
    let range = (slot(), 0..300_u16).prop_map(|(start, more)| start..=start.saturating_add(more));
    prop::collection::vec(range, 0..8)
}

fn twin(ranges: &[RangeInclusive<u16>]) -> BTreeSet<u16> {
    ranges.iter().cloned().flatten().filter(|&slot| slot < SLOTS).collect()
}

fn agree(set: &SlotSet, twin: &BTreeSet<u16>) -> Result<(), TestCaseError> {
    prop_assert!(set.iter().eq(twin.iter().copied()));
    prop_assert_eq!(set.len(), twin.len());
    prop_assert_eq!(set.is_empty(), twin.is_empty());
    Ok(())
}

proptest! {
    #[test]
    fn single_slots_come_and_go_as_in_a_tree(
        steps in prop::collection::vec((any::<bool>(), slot()), 0..200)
    ) {
        let (mut set, mut tree) = (SlotSet::new(), BTreeSet::new());
        for (insert, slot) in steps {
            if insert {
                prop_assert_eq!(set.insert(slot), slot < SLOTS && tree.insert(slot));
            } else {
                prop_assert_eq!(set.remove(slot), tree.remove(&slot));
            }
            prop_assert_eq!(set.contains(slot), tree.contains(&slot));
        }
        agree(&set, &tree)?;
    }

    #[test]
    fn set_operations_are_those_of_a_tree(a in ranges(), b in ranges()) {
        let (set_a, set_b) = (SlotSet::from_ranges(a.clone()), SlotSet::from_ranges(b.clone()));
        let (tree_a, tree_b) = (twin(&a), twin(&b));
        agree(&set_a, &tree_a)?;
        agree(&set_a.union(&set_b), &(&tree_a | &tree_b))?;
        agree(&set_a.intersection(&set_b), &(&tree_a & &tree_b))?;
        agree(&set_a.difference(&set_b), &(&tree_a - &tree_b))?;
        prop_assert_eq!(set_a == set_b, tree_a == tree_b);
    }

    #[test]
    fn ranges_are_ascending_apart_and_lead_back_to_the_set(ranges in ranges()) {
        let set = SlotSet::from_ranges(ranges);
        let written: Vec<_> = set.ranges().collect();
        for pair in written.windows(2) {
            prop_assert!(pair[0].end() + 1 < *pair[1].start(), "{pair:?} touch or overlap");
        }
        prop_assert!(written.iter().cloned().flatten().eq(set.iter()));
        prop_assert_eq!(written.into_iter().collect::<SlotSet>(), set);
    }
}

#[test]
fn the_set_of_all_slots_is_one_range() {
    let all = SlotSet::all();
    assert_eq!(all.len(), usize::from(SLOTS));
    assert_eq!(all.ranges().collect::<Vec<_>>(), vec![0..=SLOTS - 1]);
    assert_eq!(all, SlotSet::from_ranges([0..=u16::MAX]));
    assert_eq!(all.iter().last(), Some(SLOTS - 1));
    assert!(SlotSet::all().difference(&all).is_empty());
}

#[test]
fn the_last_slot_is_a_member_and_the_number_after_it_never() {
    let mut set = SlotSet::default();
    assert!(set.insert(SLOTS - 1));
    assert!(!set.insert(SLOTS - 1));
    assert!(!set.insert(SLOTS));
    assert!(!set.contains(SLOTS) && !set.remove(SLOTS));
    assert_eq!(set.len(), 1);
}

#[test]
fn an_inverted_range_is_empty() {
    let inverted = RangeInclusive::new(9, 3);
    assert!(SlotSet::from_ranges([inverted]).is_empty());
}

#[test]
fn debug_prints_ranges() {
    assert_eq!(format!("{:?}", SlotSet::from_ranges([3..=4, 7..=7])), "{3..=4, 7..=7}");
}
