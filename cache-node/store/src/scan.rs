//! Enumerating a slot's keys with a cursor that needs no state in the store.

use crate::Millis;
use crate::item::Item;

/// A walk takes at most this many calls, whatever `count` says: each call looks at all entries, and
/// a slot of a million entries walked ten at a time would never end.
const MAX_CALLS: usize = 256;

/// Bits of a position. With the 14 bits of a slot they make a cursor below 2^53: some clients keep cursors in signed or
/// floating-point numbers, and scan for ever when one comes back as another.
pub const SCAN_POSITION_BITS: u32 = 38;

/// Positions begin at 1, so that a cursor of 0 can mean the beginning.
fn position(item: &Item) -> u64 {
    (item.hash >> (u64::BITS - SCAN_POSITION_BITS)).max(1)
}

/// See [`crate::SlotGuard::scan`].
pub(crate) fn scan(
    items: &[Item],
    after: Option<u64>,
    count: usize,
    now: Millis,
    visit: &mut dyn FnMut(&[u8]),
) -> Option<u64> {
    let mut ahead: Vec<(u64, &Item)> = items
        .iter()
        .map(|item| (position(item), item))
        .filter(|&(position, item)| {
            after.is_none_or(|after| position > after) && !item.is_dead(now)
        })
        .collect();
    let count = count.max(items.len() / MAX_CALLS).max(1);
    let mut next = None;
    if ahead.len() > count {
        let (_, &mut (last, _), _) = ahead.select_nth_unstable_by_key(count - 1, |&(at, _)| at);
        let all = ahead.len();
        ahead.retain(|&(position, _)| position <= last);
        next = (ahead.len() < all).then_some(last);
    }
    ahead.sort_unstable_by_key(|&(position, _)| position);
    for (_, item) in ahead {
        visit(item.key());
    }
    next
}

#[cfg(test)]
mod tests;
