//! Enumerating a slot's keys with a cursor that needs no state in the store.

use crate::Millis;
use crate::slot::Slot;

/// Bits of a position. With the 14 bits of a slot they make a cursor below 2^53: some clients keep cursors in signed or
/// floating-point numbers, and scan for ever when one comes back as another.
pub const SCAN_POSITION_BITS: u32 = 38;

/// See [`crate::SlotGuard::scan`].
pub(crate) fn scan(
    slot: &Slot,
    after: Option<u64>,
    count: usize,
    now: Millis,
    visit: &mut dyn FnMut(u64, &[u8]),
) -> Option<u64> {
    let count = count.max(1);
    let (mut ahead, are_all) = slot.at_or_behind(after.map_or(0, |after| after + 1), count + 1);
    let mut next = None;
    if ahead.len() > count {
        let (_, last, _) = ahead.select_nth_unstable_by_key(count - 1, |item| item.position());
        let (last, all) = (last.position(), ahead.len());
        ahead.retain(|item| item.position() <= last);
        // Those that were looked at may all have one position, and others come behind it.
        next = (ahead.len() < all || !are_all).then_some(last);
    }
    ahead.sort_unstable_by_key(|item| item.position());
    for item in ahead.into_iter().filter(|item| !item.is_dead(now)) {
        visit(item.position(), item.key());
    }
    next
}

#[cfg(test)]
mod tests;
