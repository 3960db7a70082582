//! The order of a slab against the slab itself.

use proptest::prelude::*;

use super::{LEAF, Ordered};
use crate::item::{Content, Item, NEVER};
use crate::recency::Stamp;

impl Ordered {
    /// Checks what must hold between operations: every entry is in the one leaf of its position, and no leaf is larger than
    /// it may be, nor are there more of them than their entries need.
    pub(crate) fn check(&self, items: &[Item]) {
        let mut places = Vec::new();
        for (first, leaf) in &self.leaves {
            let end = self.leaves.range(first + 1..).next().map_or(u64::MAX, |(end, _)| *end);
            let positions: Vec<u64> =
                leaf.iter().map(|&at| items[at as usize].position()).collect();
            assert!(positions.iter().all(|position| (*first..end).contains(position)));
            let is_of_one_position = positions.iter().all(|position| *position == positions[0]);
            assert!(leaf.len() < LEAF || is_of_one_position, "{} in a leaf", leaf.len());
            places.extend_from_slice(leaf);
        }
        places.sort_unstable();
        assert!(places.iter().copied().eq(0..items.len() as u32), "not each place once");
    }
}

fn item(position: u64) -> Item {
    Item::new(Content {
        hash: position << 26,
        key: b"",
        value: b"",
        deadline: NEVER,
        stamp: Stamp::at(0),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_order_is_that_of_the_slab_after_any_changes(
        spread in prop_oneof![Just(3_u64), Just(100), Just(1 << 38)],
        mut positions in proptest::collection::vec(0..u64::MAX, 0..1500),
        removed in proptest::collection::vec(any::<prop::sample::Index>(), 0..3000),
    ) {
        for position in &mut positions {
            *position %= spread;
        }
        let mut items: Vec<Item> = positions.iter().map(|position| item(*position)).collect();
        let mut ordered = Ordered::of(&items);
        ordered.check(&items);
        let full = ordered.leaves.len();
        for (n, index) in removed.into_iter().enumerate().take(positions.len()) {
            let (at, last) = (index.index(items.len()) as u32, items.len() as u32 - 1);
            let moved = items[last as usize].position();
            let gone = items.swap_remove(at as usize);
            ordered.remove(gone.position(), at);
            ordered.moved(moved, last, at);
            if n % 64 == 0 {
                ordered.check(&items);
            }
        }
        ordered.check(&items);
        prop_assert!(ordered.leaves.len() <= full.min(1 + items.len() / 8), "{} of {full}", ordered.leaves.len());
    }
}
