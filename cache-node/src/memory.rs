//! Keeps the process within its memory limit, whatever the allocator makes of the store's bytes.

use std::fs;

/// Bytes that a node takes with an empty store: program, threads, runtimes, and the 2 MiB of empty slots.
const FIXED_BYTES: u64 = 12 << 20;
/// Of the rest, the store may use so many percent. The others are for what clients make the node hold besides (9, see
/// [`crate::account`]), the allocator's slack (10), and changes in flight during handovers.
const STORE_PERCENT: u64 = 78;

/// Resident memory above this percentage of the limit lowers the budget, and below [`ROOM_PERCENT`] lets it rise.
const TARGET_PERCENT: u64 = 93;
const ROOM_PERCENT: u64 = 90;
/// Above this percentage writers wait, so that the fastest of them cannot outrun the allocator.
const TIGHT_PERCENT: u64 = 103;
/// Bytes by which the budget falls for each byte of excess: entries lie scattered over the allocator's pages, and a page
/// is given back only when its last one goes. With 1, values that suddenly become larger pushed a node 30 % over its limit.
const GAIN: u64 = 2;
/// The budget rises by this share of its full size in one step, 1 in so many: from nothing to full in about 20 s.
const RISE: u64 = 2000;
/// Steps that a lowered budget is given to show: without, the same excess would be subtracted again and again.
const SETTLE_STEPS: u32 = 3;
/// Of what clients hold, this share of the limit may come on top of the target, 1 in so many: it is bounded, and given back soon,
/// so entries are not evicted for it. With the percentage of the target it stays below [`TIGHT_PERCENT`].
const HELD_SHARE: u64 = 16;
/// The budget never falls below this share of its full size, 1 in so many: then it is not the store that takes the memory.
const FLOOR: u64 = 8;

/// What of a node's memory limit its store may use, in bytes: 78 % of what the limit leaves above 12 MiB, and never less
/// than a sixteenth of the limit.
pub fn budget(limit_bytes: u64) -> usize {
    let share = limit_bytes.saturating_sub(FIXED_BYTES) / 100 * STORE_PERCENT;
    usize::try_from(share.max(limit_bytes / 16)).unwrap_or(usize::MAX)
}

/// Resident memory of this process in bytes; `None` where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    // `status` counts in kB whatever the page size is, unlike `statm`.
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Decides the store's budget from what the process really takes.
#[derive(Debug)]
pub struct Controller {
    limit_bytes: u64,
    full_bytes: u64,
    budget_bytes: u64,
    /// Resident memory that the last lowering was decided by.
    seen_bytes: u64,
    settling: u32,
}

impl Controller {
    /// A controller for a node with this limit, whose store has [`budget`].
    pub fn new(limit_bytes: u64) -> Self {
        let full_bytes = budget(limit_bytes) as u64;
        Self { limit_bytes, full_bytes, budget_bytes: full_bytes, seen_bytes: 0, settling: 0 }
    }

    /// The resident memory that the budget is decided by, if clients hold `held_bytes` of it (see [`crate::account`]).
    pub fn counted(&self, resident_bytes: u64, held_bytes: u64) -> u64 {
        resident_bytes.saturating_sub(held_bytes.min(self.limit_bytes / HELD_SHARE))
    }

    /// Whether so much resident memory makes the budget fall.
    pub fn is_above_target(&self, resident_bytes: u64) -> bool {
        resident_bytes > self.target_bytes()
    }

    /// Whether writers must wait: entries are being given up, and resident memory rises all the same. Not when the budget
    /// is at its floor, for then it is not the entries that take the memory.
    pub fn is_tight(&self, resident_bytes: u64) -> bool {
        resident_bytes > self.limit_bytes / 100 * TIGHT_PERCENT
            && self.budget_bytes > self.full_bytes / FLOOR
    }

    fn target_bytes(&self) -> u64 {
        self.limit_bytes / 100 * TARGET_PERCENT
    }

    /// One step, to be taken every 10 ms: the budget for resident memory and used bytes of the store as they are now.
    pub fn step(&mut self, resident_bytes: u64, used_bytes: u64) -> usize {
        let target = self.target_bytes();
        self.settling = self.settling.saturating_sub(1);
        if resident_bytes > target {
            // While a lowering settles only what has come on top of it counts.
            let known = if self.settling > 0 { self.seen_bytes.max(target) } else { target };
            let excess = resident_bytes.saturating_sub(known);
            if excess > 0 {
                // From what is used: a budget that the store has not reached would be lowered without effect.
                let lowered = self.budget_bytes.min(used_bytes).saturating_sub(excess * GAIN);
                self.budget_bytes = lowered.max(self.full_bytes / FLOOR).min(self.budget_bytes);
                self.seen_bytes = resident_bytes;
                self.settling = SETTLE_STEPS;
            }
        } else if resident_bytes < self.limit_bytes / 100 * ROOM_PERCENT {
            self.budget_bytes = (self.budget_bytes + self.full_bytes / RISE).min(self.full_bytes);
        }
        usize::try_from(self.budget_bytes).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const LIMIT: u64 = 1000 * MIB;

    fn full() -> usize {
        budget(LIMIT)
    }

    #[test]
    fn the_smallest_node_has_more_than_half_of_its_limit_for_data() {
        assert!(budget(64 * MIB) as u64 > 32 * MIB);
        assert!((budget(64 * MIB) as u64) < 64 * MIB - FIXED_BYTES);
    }

    #[test]
    fn the_page_about_sizes_says_which_part_of_the_memory_holds_entries() {
        let page = include_str!("../../docs/sizing.md").replace('\n', " ");
        for (name, limit) in [("64Mi", 64), ("128Mi", 128), ("256Mi", 256), ("1Gi", 1024)] {
            let percent = (budget(limit * MIB) as u64 * 200 / (limit * MIB)).div_ceil(2);
            assert!(page.contains(&format!("{percent} % of {name}")), "{percent} % of {name}");
        }
    }

    #[test]
    fn a_limit_below_the_fixed_part_still_leaves_a_budget() {
        assert_eq!(budget(8 * MIB), (8 * MIB / 16) as usize);
    }

    const TARGET: u64 = LIMIT / 100 * TARGET_PERCENT;

    #[test]
    fn at_the_target_nothing_happens_and_one_byte_above_the_budget_falls_by_twice_that() {
        let used = full() as u64;
        assert_eq!(Controller::new(LIMIT).step(TARGET, used), full());
        assert_eq!(Controller::new(LIMIT).step(TARGET + 1, used), full() - 2);
    }

    #[test]
    fn what_clients_hold_costs_no_entries_up_to_a_sixteenth_of_the_limit() {
        let controller = Controller::new(LIMIT);
        let share = LIMIT / HELD_SHARE;
        assert_eq!(controller.counted(TARGET + share, share), TARGET);
        assert_eq!(controller.counted(TARGET + share + 1, share + 1), TARGET + 1);
        assert!(!controller.is_tight(TARGET + share));
    }

    #[test]
    fn a_store_below_its_budget_is_lowered_from_what_it_uses() {
        let mut controller = Controller::new(LIMIT);
        let used = 500 * MIB;
        assert_eq!(controller.step(TARGET + 100 * MIB, used), (300 * MIB) as usize);
    }

    #[test]
    fn the_same_excess_is_not_subtracted_again_until_it_had_time_to_show() {
        let mut controller = Controller::new(LIMIT);
        let high = TARGET + 30 * MIB;
        let lowered = controller.step(high, full() as u64);
        for _ in 1..SETTLE_STEPS {
            assert_eq!(controller.step(high, lowered as u64), lowered);
        }
        assert_eq!(controller.step(high, lowered as u64), lowered - (60 * MIB) as usize);
    }

    #[test]
    fn writers_wait_above_the_limit_but_not_for_memory_that_entries_do_not_take() {
        let mut controller = Controller::new(LIMIT);
        let at = LIMIT / 100 * TIGHT_PERCENT;
        assert!(!controller.is_tight(at));
        assert!(controller.is_tight(at + 1));
        controller.step(20 * LIMIT, full() as u64);
        assert!(!controller.is_tight(at + 1), "the budget is at its floor");
    }

    #[test]
    fn what_comes_on_top_while_a_lowering_settles_counts_at_once() {
        let mut controller = Controller::new(LIMIT);
        let lowered = controller.step(TARGET + 30 * MIB, full() as u64);
        let lower = controller.step(TARGET + 50 * MIB, lowered as u64);
        assert_eq!(lower, lowered - (40 * MIB) as usize);
    }

    #[test]
    fn the_budget_never_falls_below_its_floor() {
        let mut controller = Controller::new(LIMIT);
        let mut lowest = full();
        for _ in 0..100 {
            lowest = controller.step(LIMIT * 2, lowest as u64);
        }
        assert_eq!(lowest as u64, full() as u64 / FLOOR);
    }

    #[test]
    fn the_budget_rises_slowly_to_its_full_size_and_no_further() {
        let mut controller = Controller::new(LIMIT);
        let lowered = controller.step(TARGET + 200 * MIB, full() as u64);
        let mut last = lowered;
        for _ in 0..RISE {
            let next = controller.step(LIMIT / 2, last as u64);
            assert!(next >= last && next - last <= full() / RISE as usize);
            last = next;
        }
        assert!(lowered < full());
        assert_eq!(last, full());
    }

    #[test]
    fn between_room_and_target_the_budget_stays() {
        let mut controller = Controller::new(LIMIT);
        let lowered = controller.step(TARGET + 200 * MIB, full() as u64);
        assert_eq!(controller.step(TARGET, lowered as u64), lowered);
        assert_eq!(controller.step(LIMIT / 100 * ROOM_PERCENT, lowered as u64), lowered);
    }

    #[test]
    fn resident_memory_of_this_process_is_plausible() {
        let resident = resident_bytes().unwrap();
        assert!((MIB..10_000 * MIB).contains(&resident), "{resident}");
    }
}
