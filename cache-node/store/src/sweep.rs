//! Removing dead entries that nobody asks for, in bounded steps.

use crate::store::{Group, Store};
use crate::{Millis, SLOTS_PER_GROUP};

/// What one sweep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Entries looked at.
    pub visited: usize,
    /// Dead entries removed.
    pub expired: usize,
    /// True if the group has been gone through; false if the budget ran out, and the next sweep of
    /// the group goes on where this one stopped. An entry that dies behind a pass is left to the next.
    pub complete: bool,
}

impl Store {
    /// Removes dead entries of one group, looking at no more than `budget` entries. Slots in which
    /// nothing can have expired cost nothing.
    ///
    /// # Panics
    /// If `group` is not below [`crate::GROUPS`].
    pub fn sweep(&self, group: u16, now: Millis, budget: usize) -> Swept {
        let mut swept = Swept { visited: 0, expired: 0, complete: false };
        let first = group * SLOTS_PER_GROUP;
        let mut group = self.lock_group(group);
        let Group { slots, counters, sweep_at, .. } = &mut *group;
        for _ in 0..SLOTS_PER_GROUP {
            let slot = &mut slots[usize::from(*sweep_at)];
            if slot.is_sweep_due(now) {
                let (visited, expired, done) = self.change(first + *sweep_at, slot, None, |slot| {
                    let tell = |stamp| self.tell_ended(true, stamp, now);
                    slot.sweep(now, budget - swept.visited, tell)
                });
                swept.visited += visited;
                swept.expired += expired;
                counters.expired += expired as u64;
                if !done {
                    return swept;
                }
            }
            *sweep_at = (*sweep_at + 1) % SLOTS_PER_GROUP;
        }
        swept.complete = true;
        swept
    }
}
