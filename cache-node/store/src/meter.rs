//! What the store tells whoever measures how its keys are used.
//!
//! Only keys whose hash lies below a threshold are told of, so that measuring costs other requests a comparison.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::Millis;
use crate::store::Store;

/// Who measures. Called while a slot is locked: it must be quick, and must not lock slots. Each call gives the hash below which it
/// wants to be told of keys from now on.
pub trait Meter: Send + Sync {
    /// A key was asked for, and this entry was found, if any.
    fn read(&self, hash: u64, found: Option<Written>, now: Millis) -> u64;

    /// An entry was written, or got another deadline.
    fn write(&self, hash: u64, written: Written, now: Millis) -> u64;

    /// A client removed an entry.
    fn delete(&self, hash: u64) -> u64;

    /// All entries of a slot were removed.
    fn clear(&self, slot: u16) -> u64;
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
            self.followed.store(u64::MAX, Relaxed);
        }
    }

    /// Whether the meter wants to be told of a key with this hash.
    #[inline]
    pub(crate) fn is_followed(&self, hash: u64) -> bool {
        hash < self.followed.load(Relaxed)
    }

    /// Tells the meter, if there is one.
    #[cold]
    pub(crate) fn tell(&self, tell: impl FnOnce(&dyn Meter) -> u64) {
        if let Some(meter) = self.meter.get() {
            self.followed.store(tell(&**meter), Relaxed);
        }
    }
}
