//! One entry as it lies in its slot's slab: a block with key and value, and fixed-size fields.

use crate::recency::{Links, Stamp};
use crate::scan::SCAN_POSITION_BITS;
use crate::size_class::allocated_bytes;
use crate::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Millis};

/// The deadline of an entry that never expires.
pub(crate) const NEVER: Millis = Millis::MAX;

/// An entry. Key and value share one allocation of exactly their size, so that an entry costs one
/// block of the allocator and one slab place.
pub(crate) struct Item {
    block: Box<[u8]>,
    /// Hash of the key: rehashing, walking and comparing need not touch the block.
    pub(crate) hash: u64,
    /// First millisecond at which the entry is dead; [`NEVER`] if it has no deadline.
    pub(crate) deadline: Millis,
    pub(crate) links: Links,
    pub(crate) stamp: Stamp,
    key_len: u16,
}

// The overhead of an entry is planned with this figure.
const _: () = assert!(size_of::<Item>() <= 48);

/// Panics on a key or value above the limits: a caller that forgot to check would otherwise
/// corrupt the entry (key lengths are kept in 16 bits).
pub(crate) fn assert_limits(key: &[u8], value: &[u8]) {
    assert!(key.len() <= MAX_KEY_BYTES, "a key of {} bytes is above the limit", key.len());
    assert!(value.len() <= MAX_VALUE_BYTES, "a value of {} bytes is above the limit", value.len());
}

/// What an entry is made of, or overwritten with.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) hash: u64,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) deadline: Millis,
    pub(crate) stamp: Stamp,
}

impl Item {
    /// An entry that is in no LRU list yet.
    pub(crate) fn new(content: Content<'_>) -> Self {
        let Content { hash, key, value, deadline, stamp } = content;
        let links = Links::default();
        Self { block: block(key, value), hash, deadline, links, stamp, key_len: key.len() as u16 }
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.block[..usize::from(self.key_len)]
    }

    pub(crate) fn value(&self) -> &[u8] {
        &self.block[usize::from(self.key_len)..]
    }

    /// Bytes of the value; does not touch the block.
    pub(crate) fn value_len(&self) -> usize {
        self.block.len() - usize::from(self.key_len)
    }

    /// Replaces all but the key; the value in place if its length stays the same.
    pub(crate) fn overwrite(&mut self, content: Content<'_>) {
        let Content { hash: _, key: _, value, deadline, stamp } = content;
        self.deadline = deadline;
        self.stamp = stamp;
        let key_len = usize::from(self.key_len);
        if self.block.len() - key_len == value.len() {
            self.block[key_len..].copy_from_slice(value);
        } else {
            self.block = block(self.key(), value);
        }
    }

    /// What the allocator takes for the block.
    pub(crate) fn block_bytes(&self) -> usize {
        allocated_bytes(self.block.len())
    }

    /// Where walks over the slot meet the entry. Positions begin at 1, so that a cursor of 0 can mean the beginning.
    pub(crate) fn position(&self) -> u64 {
        (self.hash >> (u64::BITS - SCAN_POSITION_BITS)).max(1)
    }

    pub(crate) fn is_dead(&self, now: Millis) -> bool {
        self.deadline <= now
    }
}

fn block(key: &[u8], value: &[u8]) -> Box<[u8]> {
    [key, value].concat().into_boxed_slice()
}

/// The deadline as the API shows it.
pub(crate) fn shown_deadline(deadline: Millis) -> Option<Millis> {
    (deadline != NEVER).then_some(deadline)
}
