//! Some keys of a slot, copied while it was locked: what is done with them is done when it is not.

use ringcache_store::Access;

use crate::node::Node;

/// Keys copied under one lock: others wait for its slots.
const MAX_KEYS: usize = 64;

/// The next keys of a walk over a slot.
#[derive(Default)]
pub(super) struct Slice {
    bytes: Vec<u8>,
    /// Where each key ends in `bytes`, and its position.
    ends: Vec<(usize, u64)>,
    /// Entries that were looked at, dead ones among them.
    pub(super) passed: usize,
    /// Position to go on behind; `None` at the slot's end.
    pub(super) next: Option<u64>,
}

impl Slice {
    /// The next `count` keys behind a position, or fewer; none if the slot is another node's. `None` while it is between two
    /// owners.
    pub(super) fn of(
        node: &Node,
        slot: u16,
        after: Option<u64>,
        count: usize,
        now: u64,
    ) -> Option<Self> {
        let mut slice = Self::default();
        let guard = node.store.lock(slot);
        match guard.access() {
            Access::Open if guard.is_empty() => {}
            Access::Open => {
                let count = count.min(MAX_KEYS);
                slice.next = guard.scan(after, count, now, &mut |position, key| {
                    slice.bytes.extend_from_slice(key);
                    slice.ends.push((slice.bytes.len(), position));
                });
                slice.passed = if slice.next.is_some() { count } else { slice.ends.len() };
            }
            Access::Parked => return None,
            Access::Closed | Access::Away => {}
        }
        Some(slice)
    }

    /// The keys with their positions, in ascending order of these.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        starts.zip(&self.ends).filter_map(|(start, &(end, position))| {
            self.bytes.get(start..end).map(|key| (position, key))
        })
    }
}
