//! The state machine's view of the store: every call takes the slot's lock, changes it, and wakes those who wait.

use ringcache_cluster::Slots;
use ringcache_store::Access;

use crate::node::Node;

/// The node's slots, at one moment.
pub struct NodeSlots<'a> {
    node: &'a Node,
    now: u64,
}

impl<'a> NodeSlots<'a> {
    /// The slots as of now: time is read once for all calls.
    pub fn new(node: &'a Node) -> Self {
        Self { node, now: node.clock.unix_ms() }
    }

    fn set(&self, slot: u16, access: Access) {
        self.node.store.lock(slot).set_access(access);
        self.node.wake(slot);
    }
}

impl Slots for NodeSlots<'_> {
    fn open(&mut self, slot: u16) {
        self.set(slot, Access::Open);
    }

    fn park(&mut self, slot: u16) {
        self.set(slot, Access::Parked);
    }

    fn seal(&mut self, slot: u16) {
        self.node.store.lock(slot).end_tracked();
    }

    fn away(&mut self, slot: u16) {
        self.node.departed(slot);
        self.set(slot, Access::Away);
    }

    fn close(&mut self, slot: u16) {
        self.set(slot, Access::Closed);
        self.clear(slot);
    }

    fn clear(&mut self, slot: u16) {
        // Two statements: the memory is freed after the lock is released.
        let cleared = self.node.store.lock(slot).clear();
        drop(cleared);
    }

    fn journal_start(&mut self, slot: u16) {
        self.node.store.lock(slot).journal_start();
    }

    fn journal_copy(&mut self, slot: u16, max_bytes: usize) -> bool {
        self.node.store.lock(slot).journal_copy(max_bytes, self.now)
    }

    fn journal_take(&mut self, slot: u16, max_bytes: usize) -> Vec<u8> {
        let records = self.node.store.lock(slot).journal_take(max_bytes);
        if !records.is_empty() {
            self.node.wake(slot); // a writer may be waiting for room in the journal
        }
        records
    }

    fn journal_len(&self, slot: u16) -> usize {
        self.node.store.lock(slot).journal_len()
    }

    fn journal_stop(&mut self, slot: u16) {
        self.node.store.lock(slot).journal_stop();
        self.node.wake(slot);
    }

    fn apply(&mut self, slot: u16, records: &[u8]) -> bool {
        let applied = self.node.store.lock(slot).apply(records, self.now).is_ok();
        // Received entries count like any others: the coldest give way, here or there.
        self.node.store.reclaim(self.now, 64);
        applied
    }
}
