//! Traffic of slots against a list of all operations.

use proptest::prelude::*;
use ringcache_heat::{Slots, Traffic};

use crate::loads::left_after;

const GET: Traffic = Traffic { operations: 1.0, bytes_in: 30.0, bytes_out: 200.0 };

fn assert_near(found: f32, wanted: f64) {
    assert!((f64::from(found) - wanted).abs() <= wanted * 0.001, "{found} is not {wanted}");
}

fn traffic_of(slots: &Slots, slot: u16, now_ms: u64) -> Traffic {
    slots.iter(now_ms).find(|(other, _)| *other == slot).unwrap().1
}

#[test]
fn a_rate_is_right_from_the_first_second_on() {
    // A node that has run for long has a clock that begins anywhere.
    for start_ms in [0, 1 << 40] {
        let mut slots = Slots::new(start_ms);
        for ms in 0..100_000 {
            slots.add(5, GET, start_ms + ms);
            let now_ms = start_ms + ms + 1;
            if [1_000, 5_000, 20_000, 100_000].contains(&(ms + 1)) {
                assert_near(traffic_of(&slots, 5, now_ms).operations, 1_000.0);
                assert_near(slots.total(now_ms).bytes_out, 200_000.0);
            }
        }
    }
}

#[test]
fn a_first_operation_counts_as_one_a_second() {
    let mut slots = Slots::new(0);
    slots.add(5, GET, 1);
    assert!((1.0..1.1).contains(&slots.total(1).operations), "{:?}", slots.total(1));
}

#[test]
fn a_thread_that_began_late_does_not_raise_the_rate_of_the_others() {
    let (mut one, late) = (Slots::new(0), Slots::new(50_000));
    for ms in 0..51_000 {
        one.add(5, GET, ms);
    }
    for (first, second) in [(&one, &late), (&late, &one)] {
        let mut all = first.clone();
        all.merge(second);
        assert_near(all.total(51_000).operations, 1_000.0);
    }
}

#[test]
fn what_is_long_ago_counts_for_nothing() {
    let mut slots = Slots::new(0);
    slots.add(5, GET.times(1e9), 0);
    assert!(slots.total(100_000).operations < 1e4);
    slots.add(6, GET, 10_000_000);
    assert_eq!(slots.top(10, |traffic| traffic.operations, 10_000_000).len(), 1);
}

#[test]
fn a_time_that_goes_back_counts_as_the_latest_one() {
    let (mut back, mut same) = (Slots::new(1_000), Slots::new(1_000));
    for slot in [1, 2] {
        back.add(slot, GET, 3_000 - u64::from(slot) * 1_000);
        same.add(slot, GET, 2_000);
    }
    assert_eq!(back.total(2_000), same.total(2_000));
    assert_eq!(back.total(0), same.total(2_000));
}

#[test]
fn the_slots_with_the_most_come_first() {
    let mut slots = Slots::new(0);
    slots.add(1, GET.times(3.0), 0);
    slots.add(16_383, Traffic { bytes_in: 1e6, ..GET }, 0);
    slots.add(2, GET.times(2.0), 0);
    slots.add(16_384, GET.times(9.0), 0);
    let numbers = |most, by: fn(&Traffic) -> f32| -> Vec<u16> {
        slots.top(most, by, 1_000).into_iter().map(|(slot, _)| slot).collect()
    };
    assert_eq!(numbers(2, |traffic| traffic.operations), [1, 2]);
    assert_eq!(numbers(10, |traffic| traffic.bytes_in), [16_383, 1, 2]);
    assert_eq!(slots.iter(0).count(), 16_384);
}

proptest! {
    #[test]
    fn each_slot_has_what_is_left_of_its_operations(
        operations in prop::collection::vec((0_u16..8, 0_u64..4_000, 0_usize..2), 1..200),
        pause_ms in 0_u64..20_000,
    ) {
        // Two threads, which are added up in either order.
        let mut threads = [Slots::new(0), Slots::new(0)];
        let (mut now_ms, mut list) = (0, Vec::new());
        for (slot, since_ms, thread) in operations {
            // Some pauses are longer than weights go on growing.
            now_ms += if since_ms > 3_900 { 200_000 } else { since_ms };
            threads[thread].add(slot, GET, now_ms);
            list.push((slot, now_ms));
        }
        now_ms += pause_ms;
        let seconds = 10.0 * (1.0 - left_after(now_ms.max(1_000)));
        let exact = |slot| -> f64 {
            let own = list.iter().filter(|(other, _)| *other == slot);
            own.map(|(_, at_ms)| left_after(now_ms - at_ms)).sum::<f64>() / seconds
        };
        let [one, other] = &threads;
        for (first, second) in [(one, other), (other, one)] {
            let mut all = first.clone();
            all.merge(second);
            for slot in 0..8 {
                let wanted = exact(slot);
                let found = f64::from(traffic_of(&all, slot, now_ms).operations);
                prop_assert!((found - wanted).abs() <= wanted * 0.001 + 1e-9, "{found}, {wanted}");
            }
        }
    }
}
