//! A locked slot, and what requests do with it.

use parking_lot::MutexGuard;

use crate::item::{Content, NEVER, assert_limits, shown_deadline};
use crate::meter::{Operation, Written};
use crate::recency::Stamp;
use crate::record::Record;
use crate::slot::{Access, Cleared, Slot};
use crate::stats::Counters;
use crate::store::{Group, Store};
use crate::{Millis, SLOTS_PER_GROUP, scan};

/// A live entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its value.
    pub value: &'a [u8],
    /// The first millisecond at which it is dead; `None`: it does not expire.
    pub deadline: Option<Millis>,
}

/// A locked slot. Deadlines are exact: from the millisecond of its deadline on an entry is never
/// seen. Keys and values must be within [`crate::MAX_KEY_BYTES`] and [`crate::MAX_VALUE_BYTES`].
pub struct SlotGuard<'a> {
    store: &'a Store,
    group: MutexGuard<'a, Group>,
    number: u16,
    client: u64,
    writer: Option<u64>,
    freed_bytes: usize,
}

impl<'a> SlotGuard<'a> {
    pub(crate) fn new(store: &'a Store, group: MutexGuard<'a, Group>, number: u16) -> Self {
        Self { store, group, number, client: 0, writer: None, freed_bytes: 0 }
    }

    /// May requests run on this slot?
    pub fn access(&self) -> Access {
        self.slot().access
    }

    /// Sets whether requests may run; the entries stay. Tracked keys do not outlast the moment from which they can change
    /// elsewhere: their clients are told.
    pub fn set_access(&mut self, access: Access) {
        self.slot_mut().access = access;
        if matches!(access, Access::Closed | Access::Away) {
            self.end_tracked();
        }
    }

    /// Registers a client, by a number that is never given again, for a key that was read under this guard, whether
    /// there is an entry or not. The [`Observer`](crate::Observer) is told once when an entry of this key is written,
    /// changes, expires, is evicted or removed, when the slot is cleared or leaves, or when the tables of tracked keys
    /// outgrow their bound. False if it is registered already, or before [`Store::enable_tracking`].
    ///
    /// It may leave the tables above their bound: call [`Store::reclaim_tracked`] without a guard. Far above it, other
    /// keys of the slot are given up at once.
    pub fn track(&mut self, key: &[u8], client: u64) -> bool {
        let store = self.store;
        let Some(tracking) = store.tracking() else { return false };
        let hash = store.hash(key);
        let is_new = self.change(|slot, _| {
            let tracked = slot.tracked.get_or_insert_default();
            tracked.add(hash, key, client, &*tracking.observer)
        });
        while store.tracks_far_too_much() {
            let ended = self.change(|slot, _| {
                slot.tracked.as_mut().is_some_and(|tracked| tracked.end_oldest(Some(hash)))
            });
            if !ended {
                break;
            }
        }
        is_new
    }

    /// Whose operations come from here on, by a number that is never given again, and whether it wants to be told of its own changes.
    pub fn set_client(&mut self, client: u64, is_told: bool) {
        (self.client, self.writer) = (client, (!is_told).then_some(client));
    }

    /// Forgets the tracked keys one by one untold: for a caller that tells all clients to forget all keys. See
    /// [`Observer::forget`](crate::Observer::forget).
    pub fn forget_tracked(&mut self) {
        let Some(tracking) = self.store.tracking() else { return };
        self.change(|slot, _| {
            if let Some(tracked) = &mut slot.tracked {
                tracked.forget(&*tracking.observer);
            }
        });
    }

    /// Looks a key up for a request that reads it: counts a hit or a miss, and makes the entry the
    /// most recently used of the slot.
    pub fn get(&mut self, key: &[u8], now: Millis) -> Option<Entry<'_>> {
        let (hash, live) = self.find_live(key, now);
        if self.store.is_followed(hash) {
            let found = live.map(|at| self.written(at, None));
            self.store.tell_followed(|meter| meter.read(hash, found, now));
        }
        let bytes = live.map_or(0, |at| self.slot().item(at).value_len());
        self.operate(&Operation { hash, key, slot: self.number, is_write: false, bytes }, now);
        let Some(at) = live else {
            self.group.counters.misses += 1;
            self.store.tell(|meter| meter.miss(hash, self.client, now));
            return None;
        };
        self.group.counters.hits += 1;
        self.slot_mut().touch(at, Stamp::at(now));
        Some(self.entry(at))
    }

    /// Looks a key up without counting or touching.
    pub fn peek(&mut self, key: &[u8], now: Millis) -> Option<Entry<'_>> {
        self.live(key, now).map(|at| self.entry(at))
    }

    /// Inserts or overwrites an entry. A deadline that has passed stores nothing and removes the key.
    ///
    /// It may leave the store above its budget: call [`Store::reclaim`] without a guard.
    ///
    /// # Panics
    /// If key or value is above its limit: the caller has to check.
    pub fn set(&mut self, key: &[u8], value: &[u8], deadline: Option<Millis>, now: Millis) {
        assert_limits(key, value);
        let deadline = deadline.unwrap_or(NEVER);
        if deadline <= now {
            self.remove(key, now);
            return;
        }
        let (hash, live) = self.find_live(key, now);
        self.note_freed(live);
        let at = self.change(|slot, counters| {
            let at = slot.put(live, Content { hash, key, value, deadline, stamp: Stamp::at(now) });
            counters.sets += 1;
            counters.replaced += u64::from(live.is_some());
            slot.journal_put(at);
            at
        });
        self.tell_written(at, None, now);
        self.store.tell(|meter| meter.stored(hash));
        let bytes = value.len();
        self.operate(&Operation { hash, key, slot: self.number, is_write: true, bytes }, now);
    }

    /// Tells the meter of an entry that was written, or copied from another node.
    pub(crate) fn tell_written(&self, at: u32, last_access: Option<Millis>, now: Millis) {
        let item = self.slot().item(at);
        if self.store.is_followed(item.hash) {
            let written = self.written(at, last_access);
            self.store.tell_followed(|meter| meter.write(item.hash, written, now));
        }
    }

    /// Removes an entry; true if it was there, alive.
    pub fn remove(&mut self, key: &[u8], now: Millis) -> bool {
        let (hash, live) = self.find_live(key, now);
        self.tell_removed(hash);
        self.operate(&Operation { hash, key, slot: self.number, is_write: true, bytes: 0 }, now);
        self.note_freed(live);
        self.change(|slot, counters| {
            if let Some(at) = live {
                slot.remove(at);
                counters.deletes += 1;
            }
            // Also if nothing was there: the entry may have been evicted here after it was copied,
            // and without the record the target would bring the removed value back.
            if let Some(journal) = &mut slot.journal {
                journal.append(&Record::Remove { key });
            }
        });
        live.is_some()
    }

    fn written(&self, at: u32, last_access: Option<Millis>) -> Written {
        let bytes = self.slot().bytes_of(at);
        let deadline = shown_deadline(self.slot().item(at).deadline);
        Written { slot: self.number, bytes, deadline, last_access }
    }

    /// Tells the meter of a key whose entry, if there was one, was removed for good.
    pub(crate) fn tell_removed(&self, hash: u64) {
        if self.store.is_followed(hash) {
            self.store.tell_followed(|meter| meter.delete(hash));
        }
    }

    /// Bytes of the values that were removed or replaced under this guard. To free large ones takes time, in which others wait
    /// for the slot.
    pub fn freed_bytes(&self) -> usize {
        self.freed_bytes
    }

    fn note_freed(&mut self, live: Option<u32>) {
        self.freed_bytes += live.map_or(0, |at| self.slot().item(at).value_len());
    }

    /// Sets or, with `None`, removes the deadline of an entry, and makes it the most recently used; true
    /// if the entry was there, alive. A deadline that has passed removes the entry.
    pub fn set_deadline(&mut self, key: &[u8], deadline: Option<Millis>, now: Millis) -> bool {
        let deadline = deadline.unwrap_or(NEVER);
        if deadline <= now {
            return self.remove(key, now);
        }
        let Some(at) = self.live(key, now) else { return false };
        self.change(|slot, _| {
            slot.set_deadline(at, deadline);
            slot.touch(at, Stamp::at(now));
            slot.journal_put(at);
        });
        self.tell_written(at, None, now);
        true
    }

    /// Removes all entries at once; access and journal stay. The memory is accounted as free at
    /// once, and is freed when the result is dropped.
    pub fn clear(&mut self) -> Cleared {
        let number = self.number;
        self.store.tell_followed(|meter| meter.clear(number));
        self.change(|slot, counters| {
            counters.cleared += slot.items().len() as u64;
            if let Some(journal) = &mut slot.journal {
                journal.append(&Record::Clear);
            }
            if let Some(tracked) = &mut slot.tracked {
                tracked.end_all();
            }
            slot.take()
        })
    }

    /// Number of entries, dead ones that nobody has noticed yet included.
    pub fn len(&self) -> usize {
        self.slot().items().len()
    }

    /// True if [`SlotGuard::len`] is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes the allocator takes for the slot's entries, slab and index included.
    pub fn bytes(&self) -> usize {
        self.slot().bytes()
    }

    /// Reports live keys with their *positions* in ascending order of these. A position is a number of
    /// [`crate::SCAN_POSITION_BITS`] bits, at least 1, that a key has for as long as the store exists.
    ///
    /// `after` is the position to go on behind, `None` the beginning. The result is the next `after`,
    /// `None` at the end. A key that is there during the whole walk is reported exactly once,
    /// one that comes or goes meanwhile at most once. No more than `count` entries are passed, but that
    /// keys of equal position stay together, which are rarely two. However large the slot is, the work is
    /// in proportion to `count` and to at most 1024 entries more.
    pub fn scan(
        &self,
        after: Option<u64>,
        count: usize,
        now: Millis,
        visit: &mut dyn FnMut(u64, &[u8]),
    ) -> Option<u64> {
        scan::scan(self.slot(), after, count, now, visit)
    }

    fn index(&self) -> usize {
        usize::from(self.number % SLOTS_PER_GROUP)
    }

    pub(crate) fn store(&self) -> &'a Store {
        self.store
    }

    /// Operations under this lock until the meter is told of one.
    pub(crate) fn gap(&mut self) -> &mut u32 {
        &mut self.group.gap
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.group.slots[self.index()]
    }

    fn slot_mut(&mut self) -> &mut Slot {
        let index = self.index();
        &mut self.group.slots[index]
    }

    fn entry(&self, at: u32) -> Entry<'_> {
        let item = self.slot().item(at);
        Entry { value: item.value(), deadline: shown_deadline(item.deadline) }
    }

    /// Where the key's entry is if it is alive; a dead one is removed.
    pub(crate) fn live(&mut self, key: &[u8], now: Millis) -> Option<u32> {
        self.find_live(key, now).1
    }

    /// The key's hash, and where its entry is if it is alive; a dead one is removed.
    pub(crate) fn find_live(&mut self, key: &[u8], now: Millis) -> (u64, Option<u32>) {
        let hash = self.store.hash(key);
        let found = self.slot().find(hash, key);
        match found {
            Some(at) if self.slot().item(at).is_dead(now) => {
                self.store.tell_ended(true, self.slot().item(at).stamp, now);
                // Nobody wrote: whoever is about to is told of this as well.
                let writer = self.writer.take();
                self.change(|slot, counters| {
                    slot.remove(at);
                    counters.expired += 1;
                });
                self.writer = writer;
                (hash, None)
            }
            _ => (hash, found),
        }
    }

    /// Tells the clients of all tracked keys of the slot that what they know is no longer true.
    pub fn end_tracked(&mut self) {
        self.change(|slot, _| {
            if let Some(tracked) = &mut slot.tracked {
                tracked.end_all();
            }
        });
    }

    /// Changes the slot; see [`Store::change`].
    pub(crate) fn change<R>(&mut self, change: impl FnOnce(&mut Slot, &mut Counters) -> R) -> R {
        let index = self.index();
        let Group { slots, counters, .. } = &mut *self.group;
        self.store
            .change(self.number, &mut slots[index], self.writer, |slot| change(slot, counters))
    }
}
