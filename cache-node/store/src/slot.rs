//! One slot: its entries in a dense slab, the index over them, their LRU order, and their bytes.

use hashbrown::HashTable;

use crate::Millis;
use crate::item::{Content, Item, NEVER};
use crate::journal::Journal;
use crate::ordered::Ordered;
use crate::recency::{Recency, Stamp};
use crate::record::Record;
use crate::size_class::allocated_bytes;
use crate::tracking::Tracked;

/// A slot with more entries keeps their order: a walk over it would hold its lock for too long if it looked at all of them.
const LARGE: usize = 1024;

/// Bytes of entries that are freed under one lock when they expire or are evicted, the entry that crosses them included. For
/// each megabyte of large ones others wait a tenth of a millisecond and more.
pub(crate) const MAX_FREED_BYTES: usize = 1 << 20;

/// May requests run on a slot? Kept beside the data, so that a request reads both under one lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// The slot is not ours: requests go to its owner. Entries of a copy in progress may lie here.
    #[default]
    Closed,
    /// The slot is ours: requests run.
    Open,
    /// The slot is being sealed: requests wait.
    Parked,
    /// The slot is sealed or handed over: requests are forwarded.
    Away,
}

/// The entries of a cleared slot. Dropping it frees them, which takes a while for a large slot: do
/// it after the guard is gone.
#[must_use = "bind it, so that it is dropped after the guard"]
pub struct Cleared {
    _index: HashTable<u32>,
    _items: Vec<Item>,
    _ordered: Option<Box<Ordered>>,
}

/// An empty slot allocates nothing, and all 16384 of them fit in 2 MiB.
pub(crate) struct Slot {
    index: HashTable<u32>,
    /// Dense: removing an entry moves the last one to its place, so that a slab never has holes and
    /// gives its memory back as it shrinks.
    items: Vec<Item>,
    /// `None` while the slot is not [`LARGE`].
    ordered: Option<Box<Ordered>>,
    recency: Recency,
    /// Sum of [`Item::block_bytes`].
    block_bytes: usize,
    /// No entry dies before this time, the unswept ones aside.
    earliest: Millis,
    /// While a sweep is under way: the places below this one are still to be visited.
    unswept: u32,
    /// Where the last copied entry went; a hint, since entries move.
    last_copied: u32,
    pub(crate) journal: Option<Box<Journal>>,
    /// `None` while no key is tracked.
    pub(crate) tracked: Option<Box<Tracked>>,
    /// What the store's [`Weights`](crate::weights::Weights) have for this slot.
    pub(crate) weight: u32,
    pub(crate) access: Access,
}

const _: () = assert!(size_of::<Slot>() * crate::SLOTS as usize <= 2 * 1024 * 1024);

impl Default for Slot {
    fn default() -> Self {
        Self {
            index: HashTable::new(),
            items: Vec::new(),
            ordered: None,
            recency: Recency::default(),
            block_bytes: 0,
            earliest: NEVER,
            unswept: 0,
            last_copied: 0,
            journal: None,
            tracked: None,
            weight: 0,
            access: Access::default(),
        }
    }
}

impl Slot {
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(crate) fn item(&self, at: u32) -> &Item {
        &self.items[at as usize]
    }

    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index
            .find(hash, |&at| {
                let item = &self.items[at as usize];
                item.hash == hash && item.key() == key
            })
            .copied()
    }

    /// All entries whose key has this hash.
    pub(crate) fn with_hash(&self, hash: u64) -> impl Iterator<Item = &Item> {
        self.index
            .iter_hash(hash)
            .map(|&at| &self.items[at as usize])
            .filter(move |item| item.hash == hash)
    }

    /// Hashes of all keys, hottest entry first.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = u64> {
        self.recency.iter(&self.items).map(|at| self.items[at as usize].hash)
    }

    /// Writes an entry as the hottest one; `at` is where its key was found. Gives its place.
    pub(crate) fn put(&mut self, at: Option<u32>, content: Content<'_>) -> u32 {
        let at = self.write(at, content);
        self.recency.link_hottest(&mut self.items, at);
        at
    }

    /// Writes an entry that was copied from another node, in the order of stamps. Gives its place.
    pub(crate) fn put_copied(&mut self, at: Option<u32>, content: Content<'_>) -> u32 {
        let at = self.write(at, content);
        let hint_is_linked = self.last_copied != at && self.last_copied < self.items.len() as u32;
        let near = if hint_is_linked { self.last_copied } else { self.recency.hottest() };
        self.recency.link_by_stamp(&mut self.items, at, near);
        self.last_copied = at;
        at
    }

    /// Writes an entry without linking it into the LRU list; gives its place.
    fn write(&mut self, at: Option<u32>, content: Content<'_>) -> u32 {
        self.note_deadline(content.deadline);
        if let Some(tracked) = &mut self.tracked {
            tracked.end(content.hash, content.key);
        }
        if let Some(at) = at {
            self.recency.unlink(&mut self.items, at);
            let item = &mut self.items[at as usize];
            self.block_bytes -= item.block_bytes();
            item.overwrite(content);
            self.block_bytes += item.block_bytes();
            return at;
        }
        let item = Item::new(content);
        self.block_bytes += item.block_bytes();
        let at = self.items.len() as u32;
        if self.items.len() == self.items.capacity() {
            // A quarter at a time: slots fill evenly, so doubling would leave half of all slabs
            // empty at once.
            self.items.reserve_exact((self.items.len() / 4).max(4));
        }
        self.items.push(item);
        let items = &self.items;
        self.index.insert_unique(content.hash, at, |&at| items[at as usize].hash);
        if let Some(ordered) = &mut self.ordered {
            ordered.insert(items, at);
        } else if items.len() > LARGE {
            self.ordered = Some(Box::new(Ordered::of(items)));
        }
        at
    }

    /// Marks the entry as used now.
    pub(crate) fn touch(&mut self, at: u32, stamp: Stamp) {
        self.items[at as usize].stamp = stamp;
        if self.recency.hottest() != at {
            self.recency.unlink(&mut self.items, at);
            self.recency.link_hottest(&mut self.items, at);
        }
    }

    pub(crate) fn set_deadline(&mut self, at: u32, deadline: Millis) {
        let item = &mut self.items[at as usize];
        item.deadline = deadline;
        if let Some(tracked) = &mut self.tracked {
            tracked.end(item.hash, item.key());
        }
        self.note_deadline(deadline);
    }

    /// Appends an entry that was written just now to the journal, if there is one.
    pub(crate) fn journal_put(&mut self, at: u32) {
        if let Some(journal) = &mut self.journal {
            journal.append(&Record::put(&self.items[at as usize], None));
        }
    }

    pub(crate) fn remove(&mut self, at: u32) {
        self.unindex(at);
        self.recency.unlink(&mut self.items, at);
        let last = self.items.len() as u32 - 1;
        if at != last {
            let hash = self.items[last as usize].hash;
            if let Some(place) = self.index.find_mut(hash, |&place| place == last) {
                *place = at;
            }
        }
        let moved = self.items[last as usize].position();
        let item = self.items.swap_remove(at as usize);
        if let Some(ordered) = &mut self.ordered {
            ordered.remove(item.position(), at);
            ordered.moved(moved, last, at);
        }
        self.block_bytes -= item.block_bytes();
        if let Some(tracked) = &mut self.tracked {
            tracked.end(item.hash, item.key());
        }
        if at != last {
            self.recency.moved(&mut self.items, at);
        }
        self.shrink();
    }

    fn unindex(&mut self, at: u32) {
        let hash = self.items[at as usize].hash;
        if let Ok(entry) = self.index.find_entry(hash, |&place| place == at) {
            entry.remove();
        }
    }

    /// Gives memory back when most of it is unused; the slack left keeps this rare.
    fn shrink(&mut self) {
        let len = self.items.len();
        if len == 0 {
            drop(self.take());
        }
        // With some slack: a slot of about this size would build it again and again.
        if len < LARGE / 2 {
            self.ordered = None;
        }
        if self.items.capacity() > 16 && self.items.capacity() / 4 > len {
            self.items.shrink_to(len * 2);
        }
        if self.index.capacity() > 16 && self.index.capacity() / 4 > len {
            let items = &self.items;
            self.index.shrink_to(len * 2, |&at| items[at as usize].hash);
        }
    }

    /// Empties the slot; access, journal and tracked keys stay.
    pub(crate) fn take(&mut self) -> Cleared {
        let Self { index, items, ordered, recency, block_bytes, earliest, unswept, .. } = self;
        *recency = Recency::default();
        *block_bytes = 0;
        *earliest = NEVER;
        *unswept = 0;
        let (index, items) = (std::mem::take(index), std::mem::take(items));
        Cleared { _index: index, _items: items, _ordered: ordered.take() }
    }

    /// The entry to evict first.
    pub(crate) fn coldest(&self) -> Option<u32> {
        (!self.items.is_empty()).then(|| self.recency.coldest())
    }

    /// Entries at a position or behind it, those of the lowest positions among them: `count` or some more, if there are so many.
    /// True if there are no others behind it.
    pub(crate) fn at_or_behind(&self, position: u64, count: usize) -> (Vec<&Item>, bool) {
        let is_ahead = |item: &&Item| item.position() >= position;
        let Some(ordered) = &self.ordered else {
            return (self.items.iter().filter(is_ahead).collect(), true);
        };
        let mut ahead = Vec::new();
        let mut leaves = ordered.leaves_from(position);
        for leaf in leaves.by_ref() {
            ahead.extend(leaf.iter().map(|&at| self.item(at)).filter(is_ahead));
            if ahead.len() >= count {
                break;
            }
        }
        (ahead, leaves.next().is_none())
    }

    /// What the allocator takes for the entries, slab and index included.
    pub(crate) fn bytes(&self) -> usize {
        self.block_bytes
            + allocated_bytes(self.items.capacity() * size_of::<Item>())
            + allocated_bytes(self.index.allocation_size())
            + self.ordered.as_ref().map_or(0, |ordered| ordered.bytes())
    }

    /// What the allocator takes for one of the entries, with its share of slab and index.
    pub(crate) fn bytes_of(&self, at: u32) -> usize {
        let places = self.bytes() - self.block_bytes;
        self.item(at).block_bytes() + places / self.items.len().max(1)
    }

    /// What the allocator takes for all of the slot: entries, journal and tracked keys.
    pub(crate) fn footprint(&self) -> usize {
        self.bytes()
            + self.journal.as_ref().map_or(0, |journal| journal.footprint())
            + self.tracked.as_ref().map_or(0, |tracked| tracked.footprint())
    }

    fn note_deadline(&mut self, deadline: Millis) {
        self.earliest = self.earliest.min(deadline);
    }

    /// True if a sweep may find a dead entry, or is under way.
    pub(crate) fn is_sweep_due(&self, now: Millis) -> bool {
        self.unswept > 0 || self.earliest <= now
    }

    /// Visits at most `budget` entries and removes the dead ones, up to [`MAX_FREED_BYTES`], after telling of each when it was last used;
    /// gives the numbers of both, and true when the pass is over.
    ///
    /// It goes downwards: a removal, here or by a request in between, moves the *last* entry, which
    /// has been visited, so none is skipped.
    pub(crate) fn sweep(
        &mut self,
        now: Millis,
        budget: usize,
        tell: impl Fn(Stamp),
    ) -> (usize, usize, bool) {
        if self.unswept == 0 {
            self.unswept = self.items.len() as u32;
            self.earliest = NEVER;
        }
        self.unswept = self.unswept.min(self.items.len() as u32);
        let (mut visited, mut expired) = (0, 0);
        let enough = self.block_bytes.saturating_sub(MAX_FREED_BYTES);
        while self.unswept > 0 && visited < budget && self.block_bytes >= enough {
            self.unswept -= 1;
            visited += 1;
            let at = self.unswept;
            if self.item(at).is_dead(now) {
                tell(self.item(at).stamp);
                self.remove(at);
                expired += 1;
            } else {
                self.note_deadline(self.item(at).deadline);
            }
        }
        (visited, expired, self.unswept == 0)
    }
}

#[cfg(test)]
mod tests;
