//! Keys that clients keep copies of, and whom to tell when the entry of such a key changes or ends.
//!
//! A slot keeps its table of tracked keys beside its entries: registering a key is atomic with reading it, so that no
//! write can slip in between and leave an old value in a client for ever.

use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::size_class::allocated_bytes;

/// Who is told. Called while a slot is locked: it must be quick, and must not lock slots.
pub trait Observer: Send + Sync {
    /// What these clients (ascending numbers) know about the key is no longer true, and none of them tracks it any more.
    fn invalidate(&self, key: &[u8], clients: &[u64]);

    /// The store forgets a key that these clients track, on behalf of a caller that tells clients by other means.
    fn forget(&self, clients: &[u64]);

    /// False if the client need not be told anything any more: its number is dropped.
    fn is_tracking(&self, client: u64) -> bool;
}

/// How a store tracks keys.
pub struct Tracking {
    /// Bytes of the tables of all slots; see [`Store::reclaim_tracked`](crate::Store::reclaim_tracked). To stay below it,
    /// keys are declared invalid though they have not changed.
    pub max_bytes: usize,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
}

/// Keys compared for the oldest one to give up.
const SAMPLES: usize = 8;

/// The tracked keys of one slot.
#[derive(Default)]
pub(crate) struct Tracked {
    keys: HashTable<TrackedKey>,
    /// Registrations so far, the clock of [`TrackedKey::registered`].
    registrations: u32,
    /// Sum of [`TrackedKey::block_bytes`].
    block_bytes: usize,
    /// Keys that are no longer tracked, and whose clients are to be told before the slot is unlocked.
    ended: Vec<TrackedKey>,
    /// The footprint as the store last added it up.
    pub(crate) counted: usize,
}

struct TrackedKey {
    hash: u64,
    /// When a client last registered for it, in registrations of the slot.
    registered: u32,
    key: Box<[u8]>,
    /// Ascending: numbers of clients rise, so that most come last.
    clients: Vec<u64>,
}

impl TrackedKey {
    fn block_bytes(&self) -> usize {
        allocated_bytes(self.key.len())
            + allocated_bytes(self.clients.capacity() * size_of::<u64>())
    }

    /// Adds a client; false if it was there. Those that are gone make room first: a key that never changes would collect
    /// them for ever.
    fn add(&mut self, client: u64, observer: &dyn Observer) -> bool {
        if self.clients.binary_search(&client).is_ok() {
            return false;
        }
        if self.clients.len() == self.clients.capacity() {
            self.clients.retain(|client| observer.is_tracking(*client));
            // Half of it free, or the next few clients would make it look through all others again.
            if self.clients.len() * 2 >= self.clients.capacity() {
                self.clients.reserve_exact(self.clients.len().max(1));
            }
        }
        let at = self.clients.partition_point(|other| *other < client);
        self.clients.insert(at, client);
        true
    }
}

impl Tracked {
    /// Registers a client for a key; false if it is registered already.
    pub(crate) fn add(
        &mut self,
        hash: u64,
        key: &[u8],
        client: u64,
        observer: &dyn Observer,
    ) -> bool {
        self.registrations = self.registrations.wrapping_add(1);
        let registered = self.registrations;
        let is_key = |tracked: &TrackedKey| tracked.hash == hash && *tracked.key == *key;
        let tracked = match self.keys.entry(hash, is_key, |tracked| tracked.hash) {
            Entry::Occupied(entry) => {
                let tracked = entry.into_mut();
                self.block_bytes -= tracked.block_bytes();
                tracked
            }
            Entry::Vacant(entry) => {
                let new = TrackedKey { hash, registered, key: key.into(), clients: Vec::new() };
                entry.insert(new).into_mut()
            }
        };
        tracked.registered = registered;
        let is_new = tracked.add(client, observer);
        self.block_bytes += tracked.block_bytes();
        is_new
    }

    /// The entry of the key changes or ends.
    pub(crate) fn end(&mut self, hash: u64, key: &[u8]) {
        self.end_where(hash, |tracked| tracked.hash == hash && *tracked.key == *key);
    }

    /// Declares one key invalid, of a few the one whose last registration is the oldest: a key that was registered just now
    /// must not always be the one that goes. Never one with the hash `spared`. False if there is none.
    pub(crate) fn end_oldest(&mut self, spared: Option<u64>) -> bool {
        let others = self.keys.iter().filter(|tracked| Some(tracked.hash) != spared);
        let age = |tracked: &&TrackedKey| self.registrations.wrapping_sub(tracked.registered);
        let Some(hash) = others.take(SAMPLES).max_by_key(age).map(|tracked| tracked.hash) else {
            return false;
        };
        self.end_where(hash, |tracked| tracked.hash == hash);
        true
    }

    fn end_where(&mut self, hash: u64, is_key: impl FnMut(&TrackedKey) -> bool) {
        if let Ok(entry) = self.keys.find_entry(hash, is_key) {
            let (tracked, _) = entry.remove();
            self.block_bytes -= tracked.block_bytes();
            self.ended.push(tracked);
        }
    }

    /// Declares all keys invalid.
    pub(crate) fn end_all(&mut self) {
        self.block_bytes = 0;
        self.ended.extend(self.keys.drain());
    }

    /// Forgets all keys, for a caller that tells clients by other means.
    pub(crate) fn forget(&mut self, observer: &dyn Observer) {
        self.block_bytes = 0;
        for tracked in std::mem::take(&mut self.keys) {
            observer.forget(&tracked.clients);
        }
    }

    /// Tells the clients of the keys that have ended; `writer` knows already.
    pub(crate) fn report(&mut self, observer: &dyn Observer, writer: Option<u64>) {
        for mut ended in std::mem::take(&mut self.ended) {
            ended.clients.retain(|client| Some(*client) != writer);
            if !ended.clients.is_empty() {
                observer.invalidate(&ended.key, &ended.clients);
            }
        }
        if self.keys.capacity() > 16 && self.keys.capacity() / 4 > self.keys.len() {
            self.keys.shrink_to(self.keys.len() * 2, |tracked| tracked.hash);
        }
    }

    /// What the allocator takes for the table; 0 if no key is tracked: it is about to be dropped.
    pub(crate) fn footprint(&self) -> usize {
        if self.keys.is_empty() {
            return 0;
        }
        allocated_bytes(size_of::<Self>())
            + allocated_bytes(self.keys.allocation_size())
            + self.block_bytes
    }
}
