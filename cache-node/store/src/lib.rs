//! The store of a cache node: 16384 slots of entries with deadlines, in LRU order, under one byte
//! budget.
//!
//! Slots are striped over 1024 groups of 16 neighbours, each group under a lock of its own.
//! [`Store::lock`] gives a [`SlotGuard`], through which one slot is read, written, enumerated and
//! handed over. Nothing here reads a clock or draws a random number: time and seed are arguments.
//!
//! The store does not decide *whether* a request may run on a slot; it only keeps the answer
//! ([`Access`]) next to the data, so that both are read under the same lock.

pub mod allocator;
mod guard;
mod handover;
mod item;
mod journal;
mod meter;
mod ordered;
mod recency;
mod reclaim;
mod record;
mod scan;
mod size_class;
mod slot;
mod stats;
mod store;
mod sweep;
mod tracking;
mod weights;

pub use guard::{Entry, SlotGuard};
pub use meter::{Ended, Meter, Operation, Written};
pub use record::BadRecord;
pub use scan::SCAN_POSITION_BITS;
pub use slot::{Access, Cleared};
pub use stats::Stats;
pub use store::{Config, Store};
pub use sweep::Swept;
pub use tracking::{Observer, Tracking};

/// A point in time: milliseconds since the Unix epoch.
pub type Millis = u64;

/// Number of hash slots of a cluster; slots are numbered `0..SLOTS`.
pub const SLOTS: u16 = 16384;

/// Slots that share a lock: slot `s` belongs to group `s / SLOTS_PER_GROUP`.
pub const SLOTS_PER_GROUP: u16 = 16;

/// Number of slot groups, the unit of [`Store::sweep`].
pub const GROUPS: u16 = SLOTS / SLOTS_PER_GROUP;

/// Longest key, in bytes. The shortest key is empty.
pub const MAX_KEY_BYTES: usize = 1024;

/// Longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;
