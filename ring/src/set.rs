//! A set of slots as a bitmap.

use std::fmt;
use std::ops::RangeInclusive;

use crate::SLOTS;

const WORDS: usize = SLOTS as usize / 64;

/// A set of slots: a bitmap of 2 KiB on the heap, whatever it contains.
///
/// Numbers from [`SLOTS`] on are not slots: they are never members, and inserting one does nothing.
/// A reader of foreign input that must tell the difference checks the bound itself.
///
/// Written out as [ranges](Self::ranges), read back by collecting or inserting them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SlotSet {
    words: Box<[u64; WORDS]>,
}

impl SlotSet {
    /// The empty set.
    pub fn new() -> Self {
        Self { words: Box::new([0; WORDS]) }
    }

    /// The set of all slots.
    pub fn all() -> Self {
        Self { words: Box::new([u64::MAX; WORDS]) }
    }

    /// The set of the slots in any of `ranges`.
    pub fn from_ranges(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        ranges.into_iter().collect()
    }

    /// Adds `slot`; true if it was not in the set.
    pub fn insert(&mut self, slot: u16) -> bool {
        let Some(word) = self.words.get_mut(usize::from(slot / 64)) else { return false };
        let before = *word;
        *word |= bit(slot);
        *word != before
    }

    /// Adds every slot of `range`, a word at a time.
    pub fn insert_range(&mut self, range: RangeInclusive<u16>) {
        let (start, end) = (*range.start(), *range.end().min(&(SLOTS - 1)));
        if start > end {
            return;
        }
        let (first, last) = (usize::from(start / 64), usize::from(end / 64));
        for (index, word) in self.words.iter_mut().enumerate().take(last + 1).skip(first) {
            let from = if index == first { u64::MAX << (start % 64) } else { u64::MAX };
            let to = if index == last { u64::MAX >> (63 - end % 64) } else { u64::MAX };
            *word |= from & to;
        }
    }

    /// Removes `slot`; true if it was in the set.
    pub fn remove(&mut self, slot: u16) -> bool {
        let Some(word) = self.words.get_mut(usize::from(slot / 64)) else { return false };
        let before = *word;
        *word &= !bit(slot);
        *word != before
    }

    /// Whether `slot` is in the set.
    pub fn contains(&self, slot: u16) -> bool {
        self.words.get(usize::from(slot / 64)).is_some_and(|word| word & bit(slot) != 0)
    }

    /// Number of slots in the set.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no slot is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// The slots in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        let mut next = self.next_where(0, true);
        std::iter::from_fn(move || {
            let slot = next?;
            next = self.next_where(slot + 1, true);
            Some(slot)
        })
    }

    /// The slots as ascending ranges, as few and as long as possible.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u16>> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let start = self.next_where(from, true)?;
            from = self.next_where(start + 1, false).unwrap_or(SLOTS);
            Some(start..=from - 1)
        })
    }

    /// The slots in this set or in `other`.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    /// The slots in this set and in `other`.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    /// The slots in this set that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    fn zip(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let mut result = self.clone();
        for (word, &other) in result.words.iter_mut().zip(other.words.iter()) {
            *word = combine(*word, other);
        }
        result
    }

    /// The first slot from `from` on whose membership is `member`, a word at a time.
    fn next_where(&self, from: u16, member: bool) -> Option<u16> {
        let first = usize::from(from / 64);
        let mut mask = u64::MAX << (from % 64);
        for (index, &word) in self.words.iter().enumerate().skip(first) {
            let wanted = (if member { word } else { !word }) & mask;
            if wanted != 0 {
                return Some(index as u16 * 64 + wanted.trailing_zeros() as u16);
            }
            mask = u64::MAX;
        }
        None
    }
}

fn bit(slot: u16) -> u64 {
    1 << (slot % 64)
}

impl Default for SlotSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.ranges()).finish()
    }
}

impl Extend<u16> for SlotSet {
    fn extend<I: IntoIterator<Item = u16>>(&mut self, slots: I) {
        for slot in slots {
            self.insert(slot);
        }
    }
}

impl Extend<RangeInclusive<u16>> for SlotSet {
    fn extend<I: IntoIterator<Item = RangeInclusive<u16>>>(&mut self, ranges: I) {
        for range in ranges {
            self.insert_range(range);
        }
    }
}

impl<T> FromIterator<T> for SlotSet
where
    Self: Extend<T>,
{
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut set = Self::new();
        set.extend(items);
        set
    }
}
