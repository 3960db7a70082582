//! What the store tells whoever measures how its keys are used.
//!
//! Of some keys everything is told: of those whose hash lies below a threshold. Of all others only a sample of the operations, what they
//! miss and what they write, so that measuring costs most requests two comparisons.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::Millis;
use crate::guard::SlotGuard;
use crate::recency::Stamp;
use crate::store::Store;

/// Who measures. Called while a slot is locked: it must be quick, and must not lock slots. What is told of followed keys gives the hash
/// below which keys are followed from now on.
pub trait Meter: Send + Sync {
    /// A followed key was asked for, and this entry was found, if any.
    fn read(&self, hash: u64, found: Option<Written>, now: Millis) -> u64;

    /// An entry of a followed key was written, or got another deadline.
    fn write(&self, hash: u64, written: Written, now: Millis) -> u64;

    /// A client removed an entry of a followed key.
    fn delete(&self, hash: u64) -> u64;

    /// All entries of a slot were removed.
    fn clear(&self, slot: u16) -> u64;

    /// One of the operations of clients, and after how many others under the same lock one more is wanted.
    fn operation(&self, operation: &Operation<'_>, now: Millis) -> u32;

    /// A client asked for a key, and there was no entry. Clients have numbers, see [`SlotGuard::set_client`].
    fn miss(&self, hash: u64, client: u64, now: Millis);

    /// A client stored an entry.
    fn stored(&self, hash: u64);

    /// An entry ended that no client removed.
    fn ended(&self, ended: Ended);
}

/// An operation on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// Hash of the key.
    pub hash: u64,
    /// The key.
    pub key: &'a [u8],
    /// Its slot.
    pub slot: u16,
    /// Whether the entry was written or removed, and not only read.
    pub is_write: bool,
    /// Bytes of the value that was read or written.
    pub bytes: usize,
}

/// The end of an entry that no client removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its time was over; otherwise it was evicted for want of memory.
    pub has_expired: bool,
    /// Milliseconds since it was last used, exact to 64 of them.
    pub unused_ms: u64,
}

/// An entry as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Slot of its key.
    pub slot: u16,
    /// Bytes that it takes, its share of slab and index included.
    pub bytes: usize,
    /// The first millisecond at which it is dead; `None`: it does not expire.
    pub deadline: Option<Millis>,
    /// When it was last used, if it came from another node.
    pub last_access: Option<Millis>,
}

impl Store {
    /// From now on the meter is told. Only the first call counts.
    pub fn enable_metering(&self, meter: Arc<dyn Meter>) {
        if self.meter.set(meter).is_ok() {
            self.follow(u64::MAX);
        }
    }

    /// From now on the meter is told everything of the keys whose hash is below this.
    pub fn follow(&self, below: u64) {
        self.followed.store(below, Relaxed);
    }

    /// Whether the meter wants to be told of a key with this hash.
    #[inline]
    pub(crate) fn is_followed(&self, hash: u64) -> bool {
        hash < self.followed.load(Relaxed)
    }

    /// Tells the meter of a key that it follows, if there is one.
    #[cold]
    pub(crate) fn tell_followed(&self, tell: impl FnOnce(&dyn Meter) -> u64) {
        if let Some(below) = self.tell(tell) {
            self.follow(below);
        }
    }

    /// Tells the meter, if there is one.
    pub(crate) fn tell<R>(&self, tell: impl FnOnce(&dyn Meter) -> R) -> Option<R> {
        self.meter.get().map(|meter| tell(&**meter))
    }

    /// Tells the meter of an entry that is about to be removed.
    pub(crate) fn tell_ended(&self, has_expired: bool, stamp: Stamp, now: Millis) {
        let unused_ms = now.saturating_sub(stamp.time(now));
        self.tell(|meter| meter.ended(Ended { has_expired, unused_ms }));
    }
}

impl SlotGuard<'_> {
    /// Counts an operation of a client down to the next one that the meter is told of.
    #[inline]
    pub(crate) fn operate(&mut self, operation: &Operation<'_>, now: Millis) {
        match self.gap().checked_sub(1) {
            Some(left) => *self.gap() = left,
            None => self.tell_operation(operation, now),
        }
    }

    #[cold]
    fn tell_operation(&mut self, operation: &Operation<'_>, now: Millis) {
        let gap = self.store().tell(|meter| meter.operation(operation, now));
        *self.gap() = gap.unwrap_or(u32::MAX);
    }
}
