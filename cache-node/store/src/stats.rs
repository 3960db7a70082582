//! What the store counts: one block of counters per group, summed when somebody asks.

/// Events of one slot group, counted under its lock: no counter is shared by two threads at once.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) sets: u64,
    pub(crate) applied: u64,
    pub(crate) replaced: u64,
    pub(crate) deletes: u64,
    pub(crate) evicted: u64,
    pub(crate) expired: u64,
    pub(crate) cleared: u64,
}

/// The state of a store and what has happened in it since it was made. Every entry ever stored is
/// accounted for: `sets + applied = entries + replaced + deletes + evicted + expired + cleared`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries stored now, dead ones that nobody has noticed yet included.
    pub entries: u64,
    /// Bytes the allocator takes for entries, slabs, indexes, journals and tracked keys.
    pub used_bytes: usize,
    /// Bytes that [`crate::Store::reclaim`] keeps the store within.
    pub budget_bytes: usize,
    /// `get`s that found a live entry.
    pub hits: u64,
    /// `get`s that did not.
    pub misses: u64,
    /// Entries written by `set`.
    pub sets: u64,
    /// Entries written by `apply`.
    pub applied: u64,
    /// Entries overwritten by `set` or `apply`.
    pub replaced: u64,
    /// Live entries removed by a request, or by its record in `apply`; a deadline in the past removes.
    pub deletes: u64,
    /// Entries removed to keep within the budget.
    pub evicted: u64,
    /// Entries removed because their deadline had passed.
    pub expired: u64,
    /// Entries removed with their whole slot.
    pub cleared: u64,
}

impl Stats {
    pub(crate) fn add(&mut self, counters: &Counters) {
        let Counters { hits, misses, sets, applied, replaced, deletes, evicted, expired, cleared } =
            counters;
        self.hits += hits;
        self.misses += misses;
        self.sets += sets;
        self.applied += applied;
        self.replaced += replaced;
        self.deletes += deletes;
        self.evicted += evicted;
        self.expired += expired;
        self.cleared += cleared;
        self.entries += sets + applied - replaced - deletes - evicted - expired - cleared;
    }
}
