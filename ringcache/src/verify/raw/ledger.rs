//! What all raw clients share: which changes were sent and acknowledged, and how much was judged.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::layout::Layout;
use super::short_lived::Deadlines;
use crate::stock::RESPONSE_TIMEOUT;
use crate::verify::load::Load;

/// What holds for all operations of a run.
#[derive(Clone, Debug)]
pub(in crate::verify) struct Terms {
    /// Times to live of short-lived keys, in milliseconds.
    pub(super) lifetimes_ms: RangeInclusive<u64>,
    /// A node that takes longer to answer a batch has failed.
    pub(super) patience: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { lifetimes_ms: 1000..=5000, patience: RESPONSE_TIMEOUT }
    }
}

/// The books of a run.
#[derive(Debug)]
pub(in crate::verify) struct Ledger {
    /// What clients of any kind share; its history is that of all keys with versions.
    pub(super) load: Arc<Load>,
    /// The keys.
    pub(super) layout: Layout,
    /// What holds for all operations.
    pub(super) terms: Terms,
    /// When short-lived keys end.
    pub(super) deadlines: Deadlines,
    /// Increments of each counter.
    pub(super) counters: Vec<Changes>,
    /// Amounts that each account's first key has gained and its second has lost.
    pub(super) accounts: Vec<Changes>,
    /// How much was judged.
    pub(super) tally: Tally,
}

impl Ledger {
    /// Empty books for these keys.
    pub(in crate::verify) fn new(load: Arc<Load>, layout: Layout, terms: Terms) -> Self {
        let changes = |number: u64| (0..number).map(|_| Changes::default()).collect();
        Self {
            load,
            layout,
            terms,
            deadlines: Deadlines::new(layout.short_lived),
            counters: changes(layout.counters),
            accounts: changes(layout.accounts),
            tally: Tally::default(),
        }
    }

    /// How much has been judged.
    pub(in crate::verify) fn judged(&self) -> Judged {
        self.tally.judged()
    }
}

/// Changes of a number by all clients.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// How many were sent.
    pub(super) sent: AtomicU64,
    /// The sum of those that were acknowledged.
    pub(super) sum: AtomicI64,
    /// How many may have happened or not.
    pub(super) unknown: AtomicU64,
}

/// Running numbers of [`Judged`].
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) reads: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) expiries: AtomicU64,
    pub(super) increments: AtomicU64,
    pub(super) pairs: AtomicU64,
    pub(super) transfers: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) moved: AtomicU64,
    pub(super) departed: AtomicU64,
}

impl Tally {
    /// Reads the numbers.
    fn judged(&self) -> Judged {
        let Self {
            reads,
            misses,
            expiries,
            increments,
            pairs,
            transfers,
            conflicts,
            moved,
            departed,
        } = self;
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Judged {
            reads: read(reads),
            misses: read(misses),
            expiries: read(expiries),
            increments: read(increments),
            pairs: read(pairs),
            transfers: read(transfers),
            conflicts: read(conflicts),
            moved: read(moved),
            departed: read(departed),
        }
    }
}

/// Adds one.
pub(super) fn count(number: &AtomicU64) {
    number.fetch_add(1, Ordering::Relaxed);
}

/// How much the raw clients have judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::verify) struct Judged {
    /// Reads of values.
    pub(in crate::verify) reads: u64,
    /// Those that rightly found nothing.
    pub(in crate::verify) misses: u64,
    /// Those of them that found nothing because of a deadline.
    pub(in crate::verify) expiries: u64,
    /// Acknowledged increments.
    pub(in crate::verify) increments: u64,
    /// Reads of two keys that are only written together.
    pub(in crate::verify) pairs: u64,
    /// Guarded transfers that were carried out.
    pub(in crate::verify) transfers: u64,
    /// Those that were not, because somebody else was faster or the keys moved.
    pub(in crate::verify) conflicts: u64,
    /// `MOVED` replies that were followed.
    pub(in crate::verify) moved: u64,
    /// Connections that were closed by nodes that own nothing.
    pub(in crate::verify) departed: u64,
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reads,
            misses,
            expiries,
            increments,
            pairs,
            transfers,
            conflicts,
            moved,
            departed,
        } = self;
        write!(
            f,
            "judged: {reads} reads ({misses} right misses, {expiries} of them after a deadline), {increments} increments, \
             {pairs} reads of pairs, {transfers} transfers and {conflicts} conflicts; \
             {moved} times MOVED, {departed} connections closed by nodes that had left"
        )
    }
}
