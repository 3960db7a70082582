//! `WATCH`: one number for all keys that a connection watches, by which the store tracks them, and whether one of them has
//! changed. The connection keeps no keys: the store's tables do, and these are bounded.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use ringcache_store::{Millis, SlotGuard};

/// Watches are numbered from here on, clients below: the store tracks keys for both.
const FIRST: u64 = 1 << 63;

/// The watches of all connections.
#[derive(Default)]
pub(super) struct Watches {
    /// A number is never given again: what the tables still hold of an ended watch must not change another one.
    begun: AtomicU64,
    /// Whether a key has changed, for each watch that has not ended.
    changed: Mutex<HashMap<u64, Arc<AtomicBool>>>,
}

impl Watches {
    /// Begins to watch keys of this slot, none so far.
    pub(super) fn begin(self: &Arc<Self>, slot: u16) -> Watch {
        let number = FIRST | self.begun.fetch_add(1, Ordering::Relaxed);
        let changed = Arc::<AtomicBool>::default();
        self.changed.lock().insert(number, Arc::clone(&changed));
        let watches = Arc::clone(self);
        Watch { slot, keys: 0, expires: None, number, changed, watches }
    }

    /// A key has changed that these watches look at.
    pub(super) fn change(&self, numbers: &[u64]) {
        if numbers.is_empty() {
            return;
        }
        let live = self.changed.lock();
        for changed in numbers.iter().filter_map(|number| live.get(number)) {
            changed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the watch would be changed by a change of its keys.
    pub(super) fn is_live(&self, number: u64) -> bool {
        let live = self.changed.lock();
        live.get(&number).is_some_and(|changed| !changed.load(Ordering::Relaxed))
    }
}

/// Parts numbers that the store tracks a key for, in ascending order, into those of clients and of watches.
pub(super) fn split(numbers: &[u64]) -> (&[u64], &[u64]) {
    numbers.split_at(numbers.partition_point(|number| *number < FIRST))
}

/// Whether the number is a watch's, not a client's.
pub(super) fn is_watch(number: u64) -> bool {
    number >= FIRST
}

/// What a connection watches. It ends when it is dropped.
pub(super) struct Watch {
    /// The slot of all keys.
    pub(super) slot: u16,
    /// How many they are.
    pub(super) keys: usize,
    /// When the first of them expires, which need not be noticed by anybody.
    expires: Option<Millis>,
    number: u64,
    /// Set under the slot's lock, and read under it: no ordering is needed.
    changed: Arc<AtomicBool>,
    watches: Arc<Watches>,
}

impl Watch {
    /// Watches a key of the slot, which is locked.
    pub(super) fn add(&mut self, slot: &mut SlotGuard<'_>, key: &[u8], now: Millis) {
        // A dead entry is removed by this, and will not be a change.
        let expires = slot.peek(key, now).and_then(|entry| entry.deadline);
        if slot.track(key, self.number) {
            self.keys += 1;
            self.expires = self.expires.into_iter().chain(expires).min();
        }
    }

    /// Whether a key has changed, expired, been given up, or may have changed elsewhere. To be asked under the slot's lock.
    pub(super) fn is_changed(&self, now: Millis) -> bool {
        self.changed.load(Ordering::Relaxed) || self.expires.is_some_and(|expires| expires <= now)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watches.changed.lock().remove(&self.number);
    }
}
