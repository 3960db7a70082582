//! Stampedes against a list of all misses.

use std::collections::HashMap;

use proptest::prelude::*;
use ringcache_heat::Stampedes;

use crate::loads::hash;

/// All keys since they were written.
#[derive(Default)]
struct Twin(HashMap<u64, Key>);

#[derive(Default)]
struct Key {
    /// Connection and time.
    misses: Vec<(u64, u64)>,
    stampede_ms: Option<u64>,
}

impl Twin {
    fn miss(&mut self, hash: u64, connection: u64, now_ms: u64) -> bool {
        let Key { misses, stampede_ms } = self.0.entry(hash).or_default();
        if stampede_ms.is_some_and(|at_ms| now_ms - at_ms <= 1_000) {
            return false;
        }
        misses.push((connection, now_ms));
        let recent = || misses.iter().filter(|(_, at_ms)| now_ms - at_ms <= 1_000);
        let several = recent().any(|(other, _)| *other != connection);
        let is_stampede = recent().count() >= 8 && several;
        if is_stampede {
            misses.clear();
            *stampede_ms = Some(now_ms);
        }
        is_stampede
    }

    fn write(&mut self, hash: u64) {
        self.0.remove(&hash);
    }
}

/// How many stampedes these misses of one key are: connection and time.
fn count(misses: impl IntoIterator<Item = (u64, u64)>) -> usize {
    let mut stampedes = Stampedes::new(Stampedes::KEYS);
    misses.into_iter().filter(|(connection, now)| stampedes.miss(1, *connection, *now)).count()
}

#[test]
fn eight_misses_over_two_connections_are_a_stampede_and_seven_are_none() {
    assert_eq!(count((0..7).map(|turn| (turn % 2, 5))), 0);
    assert_eq!(count((0..8).map(|turn| (turn % 2, 5))), 1);
    assert_eq!(count((0..8).map(|turn| (u64::from(turn == 0), 5))), 1);
    assert_eq!(count((0..8).map(|turn| (u64::from(turn == 7), 5))), 1);
}

#[test]
fn one_client_alone_makes_no_stampede() {
    assert_eq!(count((0..100).map(|turn| (3, turn))), 0);
}

#[test]
fn misses_of_a_second_are_a_stampede_and_misses_of_a_longer_time_are_none() {
    assert_eq!(count((0..7).map(|turn| (turn, 0)).chain([(7, 1_000)])), 1);
    assert_eq!(count((0..7).map(|turn| (turn, 0)).chain([(7, 1_001)])), 0);
}

#[test]
fn a_miss_before_a_stampede_hides_nothing() {
    assert_eq!(count([(9, 0)].into_iter().chain((0..8).map(|turn| (turn, 600 + turn * 100)))), 1);
}

#[test]
fn a_stampede_is_counted_once_a_second() {
    assert_eq!(count((0..3_000).map(|now_ms| (now_ms % 5, now_ms))), 3);
}

#[test]
fn a_write_ends_a_stampede_and_what_might_have_become_one() {
    let mut stampedes = Stampedes::new(Stampedes::KEYS);
    let mut misses = |times: u64, written: bool| {
        if written {
            stampedes.write(1);
        }
        (0..times).filter(|turn| stampedes.miss(1, *turn, 5)).count()
    };
    assert_eq!((misses(7, false), misses(7, true)), (0, 0));
    assert_eq!((misses(1, false), misses(8, true)), (1, 1));
}

#[test]
fn the_clocks_of_threads_may_differ_a_little() {
    assert_eq!(count((0..8).map(|turn| (turn, 100 - turn))), 1);
}

#[test]
fn a_stampede_is_found_among_many_keys_that_are_missed_once() {
    let (mut stampedes, mut key, mut found) = (Stampedes::new(Stampedes::KEYS), 0, 0);
    for turn in 0..8 {
        found += u32::from(stampedes.miss(hash(0), turn, turn * 100));
        // Ten times as many as it watches, before the second miss and between any two.
        for _ in 0..if turn == 0 { 200 } else { 10_000 } {
            key += 1;
            assert!(!stampedes.miss(hash(key), key, turn * 100));
        }
    }
    assert_eq!(found, 1);
}

#[test]
fn keys_of_the_last_second_take_the_place_of_older_ones() {
    let mut stampedes = Stampedes::new(Stampedes::KEYS);
    // All places are taken by keys that had a stampede.
    for key in 0..1_024 {
        assert_eq!((0..8).filter(|turn| stampedes.miss(key, *turn, 0)).count(), 1);
    }
    let mut misses = |now_ms| (0..8).filter(|turn| stampedes.miss(1 << 20, *turn, now_ms)).count();
    assert_eq!(misses(1_001), 1, "the places are those of an earlier second");
}

#[test]
fn the_place_of_a_key_that_was_written_is_free() {
    let mut stampedes = Stampedes::new(8);
    let mut misses = |key, turns| (0..turns).filter(|turn| stampedes.miss(key, *turn, 5)).count();
    assert_eq!((1..=8).map(|key| misses(key, 7)).sum::<usize>(), 0);
    stampedes.write(8);
    stampedes.miss(9, 0, 5);
    assert_eq!((1..=7).filter(|key| stampedes.miss(*key, 9, 5)).count(), 7);
}

#[test]
fn each_of_as_many_keys_as_asked_for_is_watched() {
    for keys in [0, 1, 8, 9, 1_024] {
        let mut stampedes = Stampedes::new(keys);
        let mut misses =
            |key, turns| (0..turns).filter(|turn| stampedes.miss(key, *turn, 5)).count();
        let keys = keys as u64 + u64::from(keys == 0);
        // All are missed before any of them is missed once more.
        assert_eq!((1..=keys).map(|key| misses(key, 7)).sum::<usize>(), 0);
        assert_eq!((1..=keys).map(|key| misses(key, 1)).sum::<usize>(), keys as usize);
    }
}

#[derive(Clone, Debug)]
enum Event {
    Miss(u64, u64),
    Write(u64),
    Pause(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let key = || prop_oneof![Just(0), Just(1 << 63), Just(128), Just(7), 0_u64..4];
    let event = prop_oneof![
        30 => (key(), 0_u64..3).prop_map(|(key, connection)| Event::Miss(key, connection)),
        1 => key().prop_map(Event::Write),
        3 => (0_u64..400).prop_map(Event::Pause),
    ];
    prop::collection::vec(event, 1..400)
}

proptest! {
    #[test]
    fn what_fits_is_counted_as_with_memory_without_end(events in events()) {
        let (mut stampedes, mut twin, mut now_ms) = (Stampedes::new(Stampedes::KEYS), Twin::default(), 0);
        for event in events {
            match event {
                // The key 0 is the same as the key 1: no place is free of a key for it.
                Event::Miss(key, connection) => prop_assert_eq!(
                    stampedes.miss(key.max(1), connection, now_ms),
                    twin.miss(key.max(1), connection, now_ms)
                ),
                Event::Write(key) => {
                    stampedes.write(key.max(1));
                    twin.write(key.max(1));
                }
                Event::Pause(ms) => now_ms += ms,
            }
        }
    }
}
