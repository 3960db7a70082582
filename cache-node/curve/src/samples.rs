//! The samples by the hash of their key: a dense list, and an index of two bytes a place over it.
//!
//! A common map would hold its entries in the places of the index, of which at least an eighth is always empty, and would be twice as large
//! once keys have come and gone.

use hashbrown::HashTable;

use crate::sample::Sample;

/// All samples, at most [`Samples::MOST`].
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    list: Vec<(u64, Sample)>,
    /// The slot of each, apart: all samples of a slot are found in a microsecond.
    slots: Vec<u16>,
    /// Places in the list.
    index: HashTable<u16>,
}

impl Samples {
    /// What an index of two bytes reaches.
    pub(crate) const MOST: usize = 1 << 16;

    /// Room for so many.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            list: Vec::with_capacity(capacity),
            slots: Vec::with_capacity(capacity),
            index: HashTable::with_capacity(capacity),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Those of a slot.
    pub(crate) fn of_slot(&self, slot: u16) -> impl Iterator<Item = &(u64, Sample)> {
        let of_slot = self.slots.iter().zip(&self.list).filter(move |(of, _)| **of == slot);
        of_slot.map(|(_, sample)| sample)
    }

    pub(crate) fn get_mut(&mut self, hash: u64) -> Option<&mut Sample> {
        let Self { list, index, .. } = self;
        let at = *index.find(scattered(hash), |at| is_at(list, *at, hash))?;
        list.get_mut(usize::from(at)).map(|(_, sample)| sample)
    }

    /// A key that is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, slot: u16, sample: Sample) {
        let Self { list, slots, index } = self;
        let Ok(at) = u16::try_from(list.len()) else { return };
        list.push((hash, sample));
        slots.push(slot);
        index.insert_unique(scattered(hash), at, |at| scattered(hash_at(list, *at)));
    }

    pub(crate) fn remove(&mut self, hash: u64) -> Option<Sample> {
        let Self { list, slots, index } = self;
        let found = index.find_entry(scattered(hash), |at| is_at(list, *at, hash)).ok()?;
        let (at, _) = found.remove();
        let last = list.len() - 1;
        let (_, sample) = list.swap_remove(usize::from(at));
        slots.swap_remove(usize::from(at));
        // The last one stands there now.
        if let Some((moved, _)) = list.get(usize::from(at))
            && let Some(place) =
                index.find_mut(scattered(*moved), |place| usize::from(*place) == last)
        {
            *place = at;
        }
        Some(sample)
    }

    /// The places in the list of those that have one in the order of use, the one used first before the others.
    pub(crate) fn by_use(&self) -> Vec<u16> {
        let used = |at: u16| self.list.get(usize::from(at)).map(|(_, s)| (s.used, s.place));
        let has_place = |&at: &u16| used(at).is_some_and(|(_, place)| place.is_some());
        let mut live: Vec<u16> = (0..=u16::MAX).take(self.list.len()).filter(has_place).collect();
        live.sort_unstable_by_key(|at| used(*at));
        live
    }

    /// The one at that place in the list.
    pub(crate) fn at_mut(&mut self, at: u16) -> Option<&mut (u64, Sample)> {
        self.list.get_mut(usize::from(at))
    }

    /// Removes those that `keeps` says no to.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(u64, &mut Sample) -> bool) {
        let Self { list, slots, index } = self;
        let (mut at, mut kept) = (0, 0);
        list.retain_mut(|(hash, sample)| {
            let stays = keeps(*hash, sample);
            if stays {
                slots.swap(kept, at);
                kept += 1;
            }
            at += 1;
            stays
        });
        slots.truncate(kept);
        index.clear();
        for (at, (hash, _)) in (0..).zip(list.iter()) {
            index.insert_unique(scattered(*hash), at, |at| scattered(hash_at(list, *at)));
        }
    }
}

fn hash_at(list: &[(u64, Sample)], at: u16) -> u64 {
    list.get(usize::from(at)).map_or(0, |(hash, _)| *hash)
}

fn is_at(list: &[(u64, Sample)], at: u16, hash: u64) -> bool {
    list.get(usize::from(at)).is_some_and(|(other, _)| *other == hash)
}

/// The hashes of keys that are followed begin alike, and the index goes by their beginnings too (the multiplier is the golden ratio's:
/// Knuth, The Art of Computer Programming, 6.4).
fn scattered(hash: u64) -> u64 {
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
