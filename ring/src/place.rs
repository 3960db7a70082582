//! Which slots move, once it is known how many: those that keep ranges long.
//!
//! Clients read the map as ranges, so every needless cut makes each of their refreshes longer.
//! Moving a whole range makes no cut, and moving slots next to the receiver's own removes one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::RangeInclusive;

use crate::{Holders, Target};

/// The owner of each slot, when target `i` ends with `quotas[i]` slots, of which it keeps all that
/// it holds now or gets none: `quotas` must add up to the number of slots.
pub(crate) fn place(current: &Holders, targets: &[Target<'_>], quotas: &[usize]) -> Box<[u16]> {
    let mut board = Board::new(current, targets.len(), quotas);
    let mut by_name: Vec<usize> = (0..targets.len()).collect();
    by_name.sort_unstable_by_key(|&target| targets[target].name);
    for &target in &by_name {
        board.release_surplus(target);
    }
    board.grant_to_neighbours();
    board.grant_longest_runs(&by_name);
    board.holders.into_iter().flatten().collect()
}

/// Ascending runs of equal neighbours in a table by slot.
pub(crate) fn runs<T: PartialEq>(table: &[T]) -> impl Iterator<Item = (RangeInclusive<u16>, &T)> {
    let mut start = 0;
    table.chunk_by(T::eq).map(move |run| {
        let first = start;
        start += run.len() as u16;
        (first..=start - 1, &run[0])
    })
}

struct Board<'a> {
    /// By slot; `None` = free for the taking.
    holders: Vec<Option<u16>>,
    quotas: &'a [usize],
    held: Vec<usize>,
    /// By target, the ranges it held at first.
    ranges: Vec<Vec<RangeInclusive<u16>>>,
}

impl<'a> Board<'a> {
    fn new(current: &Holders, targets: usize, quotas: &'a [usize]) -> Self {
        let mut ranges = vec![Vec::new(); targets];
        let mut held = vec![0; targets];
        for (range, holder) in runs(current) {
            if let Some(holder) = holder.map(usize::from) {
                held[holder] += range.len();
                ranges[holder].push(range);
            }
        }
        Self { holders: current.to_vec(), quotas, held, ranges }
    }

    fn holder(&self, slot: u16) -> Option<u16> {
        self.holders.get(usize::from(slot)).copied().flatten()
    }

    fn deficit(&self, target: usize) -> usize {
        self.quotas[target].saturating_sub(self.held[target])
    }

    /// What `holder` may receive of `length` slots.
    fn grant(&self, holder: Option<u16>, length: u16) -> u16 {
        holder.map_or(0, |holder| self.deficit(usize::from(holder)).min(usize::from(length)) as u16)
    }

    fn free_runs(&self) -> Vec<RangeInclusive<u16>> {
        runs(&self.holders).filter(|(_, holder)| holder.is_none()).map(|(range, _)| range).collect()
    }

    fn give(&mut self, range: RangeInclusive<u16>, to: Option<u16>) {
        for slot in range {
            let from = std::mem::replace(&mut self.holders[usize::from(slot)], to);
            if let Some(from) = from {
                self.held[usize::from(from)] -= 1;
            }
            if let Some(to) = to {
                self.held[usize::from(to)] += 1;
            }
        }
    }

    /// Frees what `donor` holds above its quota: whole ranges, the shortest first, then part of
    /// one.
    fn release_surplus(&mut self, donor: usize) {
        let mut surplus = self.held[donor].saturating_sub(self.quotas[donor]);
        let mut ranges = std::mem::take(&mut self.ranges[donor]);
        ranges.sort_by_key(RangeInclusive::len);
        let mut longer = Vec::new();
        for range in ranges {
            if range.len() <= surplus {
                surplus -= range.len();
                self.give(range, None);
            } else {
                longer.push(range);
            }
        }
        if let Some(end) = self.end_to_cut(&longer, surplus as u16) {
            self.give(end, None);
        }
    }

    /// The `length` slots at an end of one of `ranges`, which are longer: at one next to slots that
    /// move too, if there is such an end.
    fn end_to_cut(
        &self,
        ranges: &[RangeInclusive<u16>],
        length: u16,
    ) -> Option<RangeInclusive<u16>> {
        if length == 0 {
            return None;
        }
        let head = |range: &RangeInclusive<u16>| *range.start()..=range.start() + length - 1;
        let tail = |range: &RangeInclusive<u16>| range.end() + 1 - length..=*range.end();
        let tails =
            ranges.iter().filter(|range| self.may_grow(range.end().checked_add(1))).map(tail);
        let heads =
            ranges.iter().filter(|range| self.may_grow(range.start().checked_sub(1))).map(head);
        tails.chain(heads).next().or_else(|| ranges.last().map(tail))
    }

    /// Whether `slot` is free or its holder receives more.
    fn may_grow(&self, slot: Option<u16>) -> bool {
        slot.and_then(|slot| self.holders.get(usize::from(slot)))
            .is_some_and(|holder| holder.is_none_or(|holder| self.deficit(usize::from(holder)) > 0))
    }

    /// Gives free slots to the holders of the slots beside them, as far as these receive any.
    fn grant_to_neighbours(&mut self) {
        for free in self.free_runs() {
            let (mut start, end) = free.into_inner();
            let left = start.checked_sub(1).and_then(|slot| self.holder(slot));
            let granted = self.grant(left, end + 1 - start);
            if granted > 0 {
                self.give(start..=start + granted - 1, left);
                start += granted;
            }
            let right = self.holder(end + 1);
            let granted = self.grant(right, end + 1 - start);
            if granted > 0 {
                self.give(end + 1 - granted..=end, right);
            }
        }
    }

    /// Gives the longest free run to whoever lacks most, until nobody lacks any.
    fn grant_longest_runs(&mut self, by_name: &[usize]) {
        let mut runs: BinaryHeap<_> =
            self.free_runs().iter().map(|run| (run.len(), Reverse(*run.start()))).collect();
        let mut receivers: BinaryHeap<_> = by_name
            .iter()
            .enumerate()
            .map(|(rank, &target)| (self.deficit(target), Reverse(rank), target))
            .filter(|&(lacks, ..)| lacks > 0)
            .collect();
        while let (Some((length, Reverse(start))), Some((lacks, rank, target))) =
            (runs.pop(), receivers.pop())
        {
            let granted = length.min(lacks);
            let next = start + granted as u16;
            self.give(start..=next - 1, Some(target as u16));
            if granted < length {
                runs.push((length - granted, Reverse(next)));
            }
            if granted < lacks {
                receivers.push((lacks - granted, rank, target));
            }
        }
    }
}
