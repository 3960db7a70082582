//! The store: slot groups behind their locks, and the byte budget over all of them.

use std::hash::Hasher as _;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use parking_lot::{Mutex, MutexGuard};

use crate::guard::SlotGuard;
use crate::meter::Meter;
use crate::slot::Slot;
use crate::stats::{Counters, Stats};
use crate::tracking::Tracking;
use crate::weights::Weights;
use crate::{GROUPS, SLOTS, SLOTS_PER_GROUP};

/// Tracked keys given up under one lock: others wait for its slots.
const MAX_TRACKED_ENDED: usize = 64;

/// What a store is made with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes for entries, slabs, indexes, journals and tracked keys. The 2 MiB of empty slots and the 128 KiB of their
    /// weights come on top.
    pub budget_bytes: usize,
    /// Seed of the key hash and of the sampling for eviction. Secret and random in production, or
    /// clients could choose keys that collide.
    pub hash_seed: u64,
}

/// All slots of a node. Shared by threads; see [`Store::lock`].
pub struct Store {
    groups: Box<[Mutex<Group>]>,
    used_bytes: AtomicUsize,
    budget_bytes: AtomicUsize,
    hash_seed: u64,
    shared_seed: SharedSeed,
    /// Samples drawn so far for eviction: the counter behind the random slots.
    pub(crate) samples: AtomicU64,
    pub(crate) weights: Weights,
    /// The slot that the last search for a victim leaves to the next one; [`SLOTS`] if there is none.
    pub(crate) remembered: AtomicU16,
    pub(crate) meter: OnceLock<Arc<dyn Meter>>,
    /// The meter is told of keys whose hash is below this.
    pub(crate) followed: AtomicU64,
    tracking: OnceLock<Tracking>,
    /// Bytes of the tables of tracked keys.
    tracked_bytes: AtomicUsize,
    /// The group at which [`Store::reclaim_tracked`] goes on.
    tracked_hand: AtomicU16,
}

/// The slots under one lock.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) slots: [Slot; SLOTS_PER_GROUP as usize],
    pub(crate) counters: Counters,
    /// Operations until the meter is told of one.
    pub(crate) gap: u32,
    /// The slot at which the next sweep goes on.
    pub(crate) sweep_at: u16,
}

impl Store {
    /// An empty store: all slots [`crate::Access::Closed`].
    pub fn new(config: Config) -> Self {
        let Config { budget_bytes, hash_seed } = config;
        Self {
            groups: (0..GROUPS).map(|_| Mutex::default()).collect(),
            used_bytes: AtomicUsize::new(0),
            budget_bytes: AtomicUsize::new(budget_bytes),
            hash_seed,
            shared_seed: SharedSeed::from_u64(hash_seed),
            samples: AtomicU64::new(0),
            weights: Weights::new(),
            remembered: AtomicU16::new(SLOTS),
            meter: OnceLock::new(),
            followed: AtomicU64::new(0),
            tracking: OnceLock::new(),
            tracked_bytes: AtomicUsize::new(0),
            tracked_hand: AtomicU16::new(0),
        }
    }

    /// From now on keys can be tracked; see [`SlotGuard::track`]. Only the first call counts.
    pub fn enable_tracking(&self, tracking: Tracking) {
        let _ = self.tracking.set(tracking); // fails only when it is enabled already
    }

    /// Locks the slot, and with it the 15 others of its group. The holder must be quick, must not
    /// wait for anything (no `.await`), and must not lock another slot or call [`Store::reclaim`],
    /// [`Store::sweep`] or [`Store::stats`]: the group's lock is not reentrant.
    ///
    /// # Panics
    /// If `slot` is not below [`SLOTS`].
    pub fn lock(&self, slot: u16) -> SlotGuard<'_> {
        SlotGuard::new(self, self.lock_group(slot / SLOTS_PER_GROUP), slot)
    }

    /// Changes the budget. A lower one takes effect with the next [`Store::reclaim`].
    pub fn set_budget(&self, bytes: usize) {
        self.budget_bytes.store(bytes, Relaxed);
    }

    /// Bytes that it may use now.
    pub fn budget(&self) -> usize {
        self.budget_bytes.load(Relaxed)
    }

    /// Bytes the allocator takes for entries, slabs, indexes, journals and tracked keys.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.load(Relaxed)
    }

    /// Sums up all groups, one lock after the other: tens of microseconds, not for each request. The
    /// groups are not stopped together; only a store at rest gives figures of one moment.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            used_bytes: self.used_bytes(),
            budget_bytes: self.budget_bytes.load(Relaxed),
            ..Stats::default()
        };
        for group in 0..GROUPS {
            stats.add(&self.lock_group(group).counters);
        }
        stats
    }

    pub(crate) fn lock_group(&self, group: u16) -> MutexGuard<'_, Group> {
        self.groups[usize::from(group)].lock()
    }

    /// Whether nothing has to be evicted.
    pub fn is_within_budget(&self) -> bool {
        self.used_bytes() <= self.budget_bytes.load(Relaxed)
    }

    /// Changes a slot, tells those who track what has changed (`writer` knows already), and accounts for its bytes and its
    /// weight. Every change of entries, journal or tracked keys goes through here.
    pub(crate) fn change<R>(
        &self,
        number: u16,
        slot: &mut Slot,
        writer: Option<u64>,
        change: impl FnOnce(&mut Slot) -> R,
    ) -> R {
        let before = slot.footprint();
        let result = change(slot);
        self.report(slot, writer);
        self.charge(before, slot.footprint());
        let entries = slot.items().len() as u32;
        if Weights::is_off(slot.weight, entries) {
            self.weights.replace(number, slot.weight, entries);
            slot.weight = entries;
        }
        result
    }

    /// Accounts for a slot whose footprint changed.
    fn charge(&self, before: usize, after: usize) {
        if after > before {
            self.used_bytes.fetch_add(after - before, Relaxed);
        } else if after < before {
            self.used_bytes.fetch_sub(before - after, Relaxed);
        }
    }

    pub(crate) fn tracking(&self) -> Option<&Tracking> {
        self.tracking.get()
    }

    /// Gives up tracked keys until their tables are within their bound. It goes round all groups, so that a key that was
    /// registered just now stays for about a round: given up where it was added, in a slot with few others, it would be
    /// given up every time. The caller must not hold a guard.
    pub fn reclaim_tracked(&self) {
        let mut without_any = 0;
        while self.tracks_too_much() && without_any < GROUPS {
            let number = self.tracked_hand.fetch_add(1, Relaxed) % GROUPS;
            let ended = self.end_tracked_of(number);
            without_any = if ended { 0 } else { without_any + 1 };
        }
    }

    /// Gives up tracked keys of one group, a bounded number; false if it has none.
    fn end_tracked_of(&self, number: u16) -> bool {
        let mut group = self.lock_group(number);
        let mut ended = 0;
        for (slot, index) in group.slots.iter_mut().zip(0..) {
            let number = number * SLOTS_PER_GROUP + index;
            while ended < MAX_TRACKED_ENDED && self.tracks_too_much() {
                let end = |slot: &mut Slot| {
                    slot.tracked.as_mut().is_some_and(|tracked| tracked.end_oldest(None))
                };
                if !self.change(number, slot, None, end) {
                    break;
                }
                ended += 1;
            }
        }
        ended > 0
    }

    fn tracks_too_much(&self) -> bool {
        let max_bytes = self.tracking().map_or(0, |tracking| tracking.max_bytes);
        self.tracked_bytes.load(Relaxed) > max_bytes
    }

    /// Whether a single request has registered more than can wait for [`Store::reclaim_tracked`].
    pub(crate) fn tracks_far_too_much(&self) -> bool {
        let max_bytes = self.tracking().map_or(0, |tracking| tracking.max_bytes);
        self.tracked_bytes.load(Relaxed) > max_bytes.saturating_add(max_bytes / 8)
    }

    /// Tells who tracks the keys whose entries have just changed; `writer` knows already.
    fn report(&self, slot: &mut Slot, writer: Option<u64>) {
        let Some(tracked) = &mut slot.tracked else { return };
        let Some(tracking) = self.tracking() else { return };
        tracked.report(&*tracking.observer, writer);
        let (before, after) = (tracked.counted, tracked.footprint());
        tracked.counted = after;
        // Wraps where it shrinks: the sum over all slots does not.
        self.tracked_bytes.fetch_add(after.wrapping_sub(before), Relaxed);
        if after == 0 {
            slot.tracked = None;
        }
    }

    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.hash_seed, &self.shared_seed);
        hasher.write(key);
        hasher.finish()
    }
}
