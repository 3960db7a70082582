//! The data of a simulated node: maps, and a journal that is as obvious as can be.

use std::collections::BTreeMap;

use crate::slots::Slots;

/// Whether clients may touch a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Closed,
    Open,
    Parked,
}

#[derive(Debug)]
struct SlotData {
    access: Access,
    entries: BTreeMap<u8, u32>,
    journal: Option<Journal>,
}

#[derive(Debug, Default)]
struct Journal {
    /// Keys still to be copied.
    snapshot: Vec<u8>,
    /// Records: key, value; 0 = removed.
    records: Vec<(u8, u32)>,
}

/// Bytes of a record on the wire.
const RECORD: usize = 5;

#[derive(Debug)]
pub(crate) struct SimStore {
    slots: Vec<SlotData>,
    /// Switched off to see that the simulation notices.
    pub(super) stream_writes: bool,
}

impl SimStore {
    pub(crate) fn new(slots: u16) -> Self {
        let slot = || SlotData { access: Access::Closed, entries: BTreeMap::new(), journal: None };
        Self { slots: (0..slots).map(|_| slot()).collect(), stream_writes: true }
    }

    pub(super) fn access(&self, slot: u16) -> Access {
        self.slots[usize::from(slot)].access
    }

    pub(crate) fn read(&self, slot: u16, key: u8) -> Option<u32> {
        self.slots[usize::from(slot)].entries.get(&key).copied()
    }

    /// Writes a value, or removes the key with 0.
    pub(crate) fn write(&mut self, slot: u16, key: u8, value: u32) {
        let stream = self.stream_writes;
        let data = &mut self.slots[usize::from(slot)];
        put(&mut data.entries, key, value);
        if let Some(journal) = data.journal.as_mut().filter(|_| stream) {
            journal.records.push((key, value));
        }
    }

    fn at(&mut self, slot: u16) -> &mut SlotData {
        &mut self.slots[usize::from(slot)]
    }
}

fn put(entries: &mut BTreeMap<u8, u32>, key: u8, value: u32) {
    if value == 0 {
        entries.remove(&key);
    } else {
        entries.insert(key, value);
    }
}

impl Slots for SimStore {
    fn open(&mut self, slot: u16) {
        self.at(slot).access = Access::Open;
    }
    fn park(&mut self, slot: u16) {
        self.at(slot).access = Access::Parked;
    }
    fn seal(&mut self, _slot: u16) {}
    fn away(&mut self, slot: u16) {
        self.at(slot).access = Access::Closed;
    }
    fn close(&mut self, slot: u16) {
        self.at(slot).access = Access::Closed;
        self.clear(slot);
    }
    fn clear(&mut self, slot: u16) {
        self.at(slot).entries.clear();
    }
    fn journal_start(&mut self, slot: u16) {
        let data = self.at(slot);
        let snapshot = data.entries.keys().copied().collect();
        data.journal = Some(Journal { snapshot, records: Vec::new() });
    }
    fn journal_copy(&mut self, slot: u16, max_bytes: usize) -> bool {
        let data = self.at(slot);
        let Some(journal) = data.journal.as_mut() else { return true };
        for _ in 0..max_bytes.div_ceil(RECORD) {
            let Some(key) = journal.snapshot.pop() else { break };
            if let Some(value) = data.entries.get(&key) {
                journal.records.push((key, *value));
            }
        }
        journal.snapshot.is_empty()
    }
    fn journal_take(&mut self, slot: u16, max_bytes: usize) -> Vec<u8> {
        let Some(journal) = self.at(slot).journal.as_mut() else { return Vec::new() };
        let count = max_bytes.div_ceil(RECORD).min(journal.records.len());
        let encode = |(key, value): (u8, u32)| [vec![key], value.to_be_bytes().to_vec()].concat();
        journal.records.drain(..count).flat_map(encode).collect()
    }
    fn journal_len(&self, slot: u16) -> usize {
        self.slots[usize::from(slot)].journal.as_ref().map_or(0, |j| j.records.len() * RECORD)
    }
    fn journal_stop(&mut self, slot: u16) {
        self.at(slot).journal = None;
    }
    fn apply(&mut self, slot: u16, records: &[u8]) -> bool {
        let data = self.at(slot);
        for record in records.chunks_exact(RECORD) {
            let value = u32::from_be_bytes([record[1], record[2], record[3], record[4]]);
            put(&mut data.entries, record[0], value);
        }
        records.len().is_multiple_of(RECORD)
    }
}
