//! The busy share of a thread.

use proptest::prelude::*;
use ringcache_heat::Busy;

use crate::loads::left_after;

#[test]
fn a_thread_that_did_nothing_is_idle() {
    assert!(Busy::new(7).share(7) <= 0.0);
    assert!(Busy::new(7).share(10_000_000) <= 0.0);
}

#[test]
fn a_batch_that_does_not_end_is_busy() {
    let mut busy = Busy::new(0);
    busy.begin(0);
    assert!(busy.share(1) >= 1.0);
    busy.end(1);
    busy.begin(10_000_000);
    // As long idle as busy, and what was later counts more.
    let share = busy.share(20_000_000);
    assert!((share - 0.731).abs() < 0.001, "{share}");
}

#[test]
fn a_quarter_of_the_time_is_a_quarter_whatever_the_batches_are() {
    for batch_us in [10, 1_000, 250_000] {
        let (mut busy, mut now_us) = (Busy::new(0), 0);
        while now_us < 60_000_000 {
            busy.begin(now_us);
            busy.end(now_us + batch_us);
            now_us += 4 * batch_us;
        }
        let share = busy.share(now_us);
        assert!((share - 0.25).abs() < 0.01, "{batch_us}: {share}");
    }
}

#[test]
fn the_end_of_a_load_is_seen_after_ten_seconds_and_gone_after_a_minute() {
    let mut busy = Busy::new(0);
    busy.begin(0);
    busy.end(100_000_000);
    let share = busy.share(110_000_000);
    assert!((share - (-1.0_f64).exp()).abs() < 0.001, "{share}");
    assert!(busy.share(160_000_000) < 0.01);
}

proptest! {
    #[test]
    fn the_share_is_the_decayed_sum_of_the_milliseconds_that_were_busy(
        batches in prop::collection::vec((0_u64..2_000, 0_u64..2_000), 1..50),
        idle_ms in 0_u64..5_000,
    ) {
        let (mut busy, mut milliseconds) = (Busy::new(0), Vec::new());
        for (pause_ms, batch_ms) in batches {
            milliseconds.extend((0..pause_ms).map(|_| 0.0));
            busy.begin(milliseconds.len() as u64 * 1_000);
            milliseconds.extend((0..batch_ms).map(|_| 1.0));
            busy.end(milliseconds.len() as u64 * 1_000);
        }
        milliseconds.extend((0..idle_ms).map(|_| 0.0));
        let now_ms = milliseconds.len() as u64;
        let left = |at: usize| left_after(now_ms - at as u64);
        let sum: f64 = milliseconds.iter().enumerate().map(|(at, busy)| busy * left(at)).sum();
        let weight: f64 = (0..milliseconds.len()).map(left).sum();
        let exact = if weight > 0.0 { sum / weight } else { 0.0 };
        let share = busy.share(now_ms * 1_000);
        prop_assert!((share - exact).abs() < 0.02, "{share}, {exact}");
    }
}
