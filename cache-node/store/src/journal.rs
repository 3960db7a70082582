//! The journal of a slot that is being handed over: one ordered stream of its copied entries and of
//! every change meanwhile.

use std::collections::VecDeque;

use crate::record::Record;
use crate::size_class::allocated_bytes;

/// A chunk is closed when the next record would make it longer than this, so that taking records
/// off the front never moves more bytes than these.
const CHUNK_BYTES: usize = 64 * 1024;

/// Records not yet taken, and the entries not yet copied.
#[derive(Default)]
pub(crate) struct Journal {
    chunks: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    /// Key hashes of the entries still to be copied; the coldest is last.
    uncopied: Vec<u64>,
}

impl Journal {
    /// A journal that will copy the entries with these key hashes, from the last to the first.
    pub(crate) fn new(uncopied: Vec<u64>) -> Self {
        Self { uncopied, ..Self::default() }
    }

    pub(crate) fn append(&mut self, record: &Record<'_>) {
        if matches!(record, Record::Clear) {
            self.uncopied = Vec::new();
        }
        let len = record.encoded_len();
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() + len <= CHUNK_BYTES => record.encode(chunk),
            _ => {
                let mut chunk = Vec::with_capacity(len);
                record.encode(&mut chunk);
                self.chunks.push_back(chunk);
            }
        }
        self.waiting_bytes += len;
    }

    /// Takes whole records off the front: at most `max_bytes`, or the first record if it alone is
    /// longer. Empty only if nothing waits.
    pub(crate) fn take(&mut self, max_bytes: usize) -> Vec<u8> {
        let Some(mut chunk) = self.chunks.pop_front() else { return Vec::new() };
        if chunk.len() > max_bytes {
            let rest = chunk.split_off(whole_records(&chunk, max_bytes));
            if !rest.is_empty() {
                self.chunks.push_front(rest);
            }
        }
        self.waiting_bytes -= chunk.len();
        chunk
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// The next entry to copy.
    pub(crate) fn next_uncopied(&mut self) -> Option<u64> {
        self.uncopied.pop()
    }

    pub(crate) fn is_copied(&self) -> bool {
        self.uncopied.is_empty()
    }

    /// What the allocator takes for it, the spare room of the newest chunk aside.
    pub(crate) fn footprint(&self) -> usize {
        self.waiting_bytes + allocated_bytes(self.uncopied.capacity() * size_of::<u64>())
    }
}

/// Length of the longest prefix of whole records within `max_bytes`; at least one record.
fn whole_records(chunk: &[u8], max_bytes: usize) -> usize {
    let mut rest = chunk;
    let mut end = 0;
    while Record::decode(&mut rest).is_ok() {
        let next = chunk.len() - rest.len();
        if next > max_bytes && end > 0 {
            break;
        }
        end = next;
    }
    end
}

#[cfg(test)]
mod tests;
