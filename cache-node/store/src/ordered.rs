//! The places of a large slot's entries in the order of their positions, so that a walk over the slot finds its next keys
//! without looking at all the others.
//!
//! A row of leaves of bounded size: whatever is added or removed changes one or two of them.

use std::collections::BTreeMap;

use crate::item::Item;
use crate::size_class::allocated_bytes;

/// Places in a leaf, unless more entries have the same position.
const LEAF: usize = 128;
/// Two neighbours with no more places than this become one leaf.
const FEW: usize = LEAF / 2;

/// The order of the entries of one slab, whose places it holds.
pub(crate) struct Ordered {
    /// By the lowest position that a leaf may hold; the first leaf begins at 0. Entries of one position are in one leaf.
    leaves: BTreeMap<u64, Vec<u32>>,
}

impl Ordered {
    /// The order of all entries of a slab.
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut ordered = Self { leaves: BTreeMap::from([(0, Vec::with_capacity(LEAF))]) };
        for at in 0..items.len() as u32 {
            ordered.insert(items, at);
        }
        ordered
    }

    /// Adds the entry at a place of the slab.
    pub(crate) fn insert(&mut self, items: &[Item], at: u32) {
        let position = |at: u32| items[at as usize].position();
        let Some(leaf) = self.leaf(position(at)) else { return };
        leaf.push(at);
        if leaf.len() < LEAF {
            return;
        }
        leaf.sort_unstable_by_key(|&at| position(at));
        let middle = position(leaf[leaf.len() / 2]);
        let mut split = leaf.partition_point(|&at| position(at) < middle);
        if split == 0 {
            split = leaf.partition_point(|&at| position(at) <= middle);
        }
        if let Some(&at) = leaf.get(split) {
            let mut upper = Vec::with_capacity(LEAF);
            upper.extend(leaf.drain(split..));
            self.leaves.insert(position(at), upper);
        }
    }

    /// Forgets the entry of this position at a place.
    pub(crate) fn remove(&mut self, position: u64, at: u32) {
        let Some((&first, leaf)) = self.leaves.range_mut(..=position).next_back() else { return };
        if let Some(index) = leaf.iter().position(|&place| place == at) {
            leaf.swap_remove(index);
        }
        if leaf.len() > FEW / 2 {
            return;
        }
        let above = self.leaves.range(first + 1..).next().map(|(first, _)| *first);
        self.join_below(first);
        if let Some(above) = above {
            self.join_below(above);
        }
    }

    /// Makes the leaf that begins at `first` and the one below it one, if they are small.
    fn join_below(&mut self, first: u64) {
        let len = |leaf: Option<(&u64, &Vec<u32>)>| leaf.map_or(LEAF, |(_, leaf)| leaf.len());
        let below = len(self.leaves.range(..first).next_back());
        if below + len(self.leaves.range(first..).next()) <= FEW
            && let Some(few) = self.leaves.remove(&first)
            && let Some(leaf) = self.leaf(first)
        {
            leaf.extend(few);
        }
    }

    /// The entry of this position has moved within the slab.
    pub(crate) fn moved(&mut self, position: u64, from: u32, to: u32) {
        let leaf = self.leaf(position);
        if let Some(place) = leaf.and_then(|leaf| leaf.iter_mut().find(|at| **at == from)) {
            *place = to;
        }
    }

    /// The places of all entries from a position on, leaf by leaf in order: the first may hold entries before it as well, and
    /// within a leaf there is no order.
    pub(crate) fn leaves_from(&self, position: u64) -> impl Iterator<Item = &[u32]> {
        let first = self.leaves.range(..=position).next_back().map_or(0, |(first, _)| *first);
        self.leaves.range(first..).map(|(_, leaf)| &leaf[..])
    }

    fn leaf(&mut self, position: u64) -> Option<&mut Vec<u32>> {
        self.leaves.range_mut(..=position).next_back().map(|(_, leaf)| leaf)
    }

    /// What the allocator takes, about: the row itself is as full as such a tree is on average.
    pub(crate) fn bytes(&self) -> usize {
        let row = size_of::<(u64, Vec<u32>)>() * 3 / 2;
        self.leaves.len() * (allocated_bytes(LEAF * size_of::<u32>()) + row)
    }
}

#[cfg(test)]
mod tests;
