//! Hot keys against exact counts.

use proptest::prelude::*;
use ringcache_heat::{HotKey, HotKeys};

use crate::loads::{Exact, Load, hash};

fn name(key: u64) -> Vec<u8> {
    format!("key:{key}").into_bytes()
}

/// Counts down to the operations of the sample.
#[derive(Clone, Default)]
struct Sample(u32);

impl Sample {
    fn takes(&mut self, hot: &mut HotKeys) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or_else(|| hot.gap());
        left.is_none()
    }
}

/// Sends keys, so many a millisecond, and samples them as a node does.
fn run(hot: &mut HotKeys, load: &mut Load, per_ms: u64, ms: u64, mut sent: impl FnMut(u64, u64)) {
    let mut sample = Sample::default();
    for now_ms in 0..ms {
        for _ in 0..per_ms {
            let key = load.draw();
            sent(key, now_ms);
            if sample.takes(hot) {
                hot.add(hash(key), &name(key), now_ms);
            }
        }
    }
}

fn share_of(hottest: &[HotKey], key: u64) -> Option<f64> {
    hottest.iter().find(|hot| *hot.shown == *name(key)).map(|hot| hot.share)
}

/// The largest error of the shares of the ten hottest keys of a Zipf load.
fn worst_of_ten(hot: &HotKeys, exact: &Exact, now_ms: u64) -> f64 {
    let hottest = hot.hottest(16, now_ms);
    let error = |key| {
        let (found, real) = (share_of(&hottest, key), exact.share(key, now_ms));
        (found.unwrap_or_else(|| panic!("{key} of {hottest:?}")) - real).abs() / real
    };
    (0..10).map(error).fold(0.0, f64::max)
}

#[test]
fn the_ten_hottest_keys_of_a_zipf_load_are_known_to_within_a_tenth() {
    for seed in 1..=4 {
        let mut hot = HotKeys::new(seed);
        let (mut exact, mut load) = (Exact::default(), Load::zipf(100_000, 0.99, seed));
        run(&mut hot, &mut load, 300, 12_000, |key, now_ms| exact.add(key, now_ms));
        let worst = worst_of_ten(&hot, &exact, 12_000);
        println!("seed {seed}: {worst:.4}");
        assert!(worst < 0.1, "{worst}");
    }
}

#[test]
fn threads_add_up_to_the_whole_load() {
    // Each thread has its own part of the clients: of all keys, or of one half of them.
    for by_key in [false, true] {
        let mut threads: Vec<HotKeys> = (1..=4).map(HotKeys::new).collect();
        let mut samples = vec![Sample::default(); threads.len()];
        let (mut exact, mut load) = (Exact::default(), Load::zipf(100_000, 0.99, 9));
        for turn in 0..3_600_000 {
            let (key, now_ms) = (load.draw(), turn / 300);
            exact.add(key, now_ms);
            let thread = if by_key { key } else { hash(turn) } as usize % threads.len();
            if samples[thread].takes(&mut threads[thread]) {
                threads[thread].add(hash(key), &name(key), now_ms);
            }
        }
        let merged = threads.into_iter().reduce(|mut all, thread| {
            all.merge(&thread);
            all
        });
        let worst = worst_of_ten(&merged.unwrap(), &exact, 12_000);
        println!("by key {by_key}: {worst:.4}");
        assert!(worst < 0.1, "{worst}");
    }
}

#[test]
fn no_key_of_many_equal_ones_is_hot() {
    for keys in [100, 300, 1_000, 10_000, 100_000] {
        for per_ms in [1, 30, 300] {
            let mut hot = HotKeys::new(keys);
            let mut load = Load::zipf(keys, 0.0, keys);
            run(&mut hot, &mut load, per_ms, 6_000, |_, _| ());
            assert_eq!(hot.hottest(10, 6_000), [], "{keys} keys, {per_ms} a millisecond");
        }
    }
}

#[test]
fn a_key_that_is_a_little_more_frequent_than_many_others_is_not_hot() {
    let mut hot = HotKeys::new(1);
    let (mut load, mut sample) = (Load::zipf(100, 0.0, 1), Sample::default());
    for turn in 0..3_000_000 {
        let key = if turn % 200 == 0 { 7 } else { load.draw() };
        if sample.takes(&mut hot) {
            hot.add(hash(key), &name(key), turn / 300);
        }
    }
    assert_eq!(hot.hottest(10, 10_000), []);
}

#[test]
fn few_samples_make_no_key_hot() {
    for seed in 0..300 {
        let mut hot = HotKeys::new(seed);
        let mut load = Load::zipf(200, 0.0, seed);
        for _ in 0..1_200 {
            let key = load.draw();
            hot.add(hash(key), &name(key), 1);
        }
        assert_eq!(hot.hottest(10, 1), [], "seed {seed}");
    }
}

#[test]
fn one_key_among_equal_ones_is_hot() {
    let mut hot = HotKeys::new(1);
    let (mut load, mut sample) = (Load::zipf(100_000, 0.0, 1), Sample::default());
    for turn in 0..1_000_000 {
        let key = if turn % 50 == 0 { 7 } else { load.draw() };
        if sample.takes(&mut hot) {
            hot.add(hash(key), &name(key), turn / 100);
        }
    }
    let hottest = hot.hottest(10, 10_000);
    assert_eq!(hottest.len(), 1);
    assert!((share_of(&hottest, 7).unwrap() - 0.02).abs() < 0.002, "{hottest:?}");
}

#[test]
fn the_only_key_has_the_whole_load_and_is_forgotten_when_that_ends() {
    let mut hot = HotKeys::new(1);
    for now_ms in 0..1_000 {
        hot.add(hash(7), b"only", now_ms);
    }
    let only = HotKey { shown: b"only".as_slice().into(), length: 4, share: 1.0 };
    assert_eq!(hot.hottest(10, 1_000), [only]);
    assert_eq!(hot.hottest(10, 60_000), []);
    assert_eq!(hot.hottest(0, 1_000), []);
}

#[test]
fn a_key_that_turns_hot_is_found_and_one_that_was_is_forgotten() {
    let mut hot = HotKeys::new(1);
    let mut load = Load::zipf(10_000, 0.0, 1);
    // An hour is longer than weights go on growing.
    for minute in 0..60 {
        for turn in 0..60_000 {
            let key = if turn % 4 == 0 { 100_000 + minute } else { load.draw() };
            hot.add(hash(key), &name(key), minute * 60_000 + turn);
        }
    }
    let hottest = hot.hottest(10, 3_600_000);
    assert_eq!(hottest.len(), 1, "{hottest:?}");
    assert!((share_of(&hottest, 100_059).unwrap() - 0.25).abs() < 0.01, "{hottest:?}");
}

#[test]
fn a_key_needs_no_more_to_be_hot_because_others_were_long_ago() {
    let mut hot = HotKeys::new(1);
    // As many candidates as fit.
    for turn in 0..100_000 {
        hot.add(hash(turn % 100), &name(turn % 100), 0);
    }
    for now_ms in 1_000_000..1_000_100 {
        hot.add(hash(7_000), &name(7_000), now_ms);
    }
    assert!(share_of(&hot.hottest(10, 1_000_100), 7_000).unwrap() > 0.999);
}

#[test]
fn one_operation_of_sixteen_is_sampled_whatever_clients_repeat() {
    let mut hot = HotKeys::new(1);
    let (mut seen, mut sample) = ([0; 16], Sample::default());
    for turn in 0..1_600_000 {
        seen[turn % 16] += u32::from(sample.takes(&mut hot));
    }
    for count in seen {
        assert!((5_900..6_600).contains(&count), "{seen:?}");
    }
}

#[test]
fn a_key_of_a_kibibyte_is_shown_whole_and_a_longer_one_in_part() {
    for (length, shown) in [(1023, 1023), (1024, 1024), (1025, 1024), (1 << 20, 1024)] {
        let mut hot = HotKeys::new(1);
        for now_ms in 0..100 {
            hot.add(hash(7), &vec![b'k'; length], now_ms);
        }
        let hottest = hot.hottest(1, 100);
        assert_eq!((hottest[0].shown.len(), hottest[0].length), (shown, length));
    }
}

proptest! {
    #[test]
    fn no_share_is_too_high_and_a_key_with_most_of_the_load_is_never_missed(
        seed: u64,
        operations in prop::collection::vec((0_u64..200, 0_u64..300), 1..2_000),
        hottest in 0_u64..200,
    ) {
        let (mut hot, mut exact, mut now_ms) = (HotKeys::new(seed), Exact::default(), 0);
        for (turn, (key, pause_ms)) in operations.into_iter().enumerate() {
            now_ms += pause_ms / 10;
            let key = if turn % 4 > 0 { hottest } else { key };
            exact.add(key, now_ms);
            hot.add(hash(key), &name(key), now_ms);
        }
        let found = hot.hottest(10, now_ms);
        for key in 0..200 {
            if let Some(share) = share_of(&found, key) {
                prop_assert!(share <= exact.share(key, now_ms) * 1.001);
            }
        }
        if exact.count(hottest, now_ms) > 100.0 {
            let share = share_of(&found, hottest).unwrap();
            prop_assert!(share > exact.share(hottest, now_ms) * 0.9);
        }
    }
}
