//! The slots of a node that holds no entries: which of them it serves.

use ringcache_cluster::Slots;
use ringcache_ring::SlotSet;

/// Slots on which requests run, or wait to run here.
#[derive(Clone, Default)]
pub(crate) struct Serving {
    pub(crate) slots: SlotSet,
    /// Whether one was opened since this was set to false.
    pub(crate) opened: bool,
}

impl Slots for Serving {
    fn open(&mut self, slot: u16) {
        self.opened |= self.slots.insert(slot);
    }
    fn park(&mut self, _slot: u16) {}
    fn seal(&mut self, slot: u16) {
        self.slots.remove(slot);
    }
    fn away(&mut self, slot: u16) {
        self.slots.remove(slot);
    }
    fn close(&mut self, slot: u16) {
        self.slots.remove(slot);
    }
    fn clear(&mut self, _slot: u16) {}
    fn journal_start(&mut self, _slot: u16) {}
    fn journal_copy(&mut self, _slot: u16, _max_bytes: usize) -> bool {
        true
    }
    fn journal_take(&mut self, _slot: u16, _max_bytes: usize) -> Vec<u8> {
        Vec::new()
    }
    fn journal_len(&self, _slot: u16) -> usize {
        0
    }
    fn journal_stop(&mut self, _slot: u16) {}
    fn apply(&mut self, _slot: u16, records: &[u8]) -> bool {
        records.is_empty()
    }
}
