//! Samples that change nodes.

use ringcache_curve::{Moved, Sampler, Write};

use crate::exact::hash;
use crate::traces::{footprint, load, names};

/// Slots of these clusters, and those that change nodes.
const SLOTS: u16 = 1024;
const MOVED: std::ops::Range<u16> = 0..400;

fn slot(key: u64) -> u16 {
    (hash(key, 99) % u64::from(SLOTS)) as u16
}

fn serve(sampler: &mut Sampler, (key, bytes): (u64, u32), now_ms: u64) {
    sampler.count(1, 0);
    sampler.read(hash(key, 1), None, now_ms);
    let entry = Write { slot: slot(key), bytes, deadline_ms: u64::MAX };
    sampler.write(hash(key, 1), entry, now_ms);
}

#[test]
fn a_handover_changes_no_curve() {
    for name in names() {
        let trace = load(&name);
        let (footprint, _) = footprint(&trace);
        let mut alone = Sampler::new(Sampler::LIMIT, u64::MAX);
        let mut nodes =
            [Sampler::new(Sampler::LIMIT, u64::MAX), Sampler::new(Sampler::LIMIT, u64::MAX)];
        for (turn, request) in trace.iter().enumerate() {
            let now_ms = turn as u64;
            if turn == trace.len() / 2 {
                hand_over(&mut nodes, now_ms);
            }
            let moved = turn >= trace.len() / 2 && MOVED.contains(&slot(request.0));
            serve(&mut nodes[usize::from(moved)], *request, now_ms);
            serve(&mut alone, *request, now_ms);
        }
        let mut merged = nodes[0].curve().clone();
        merged.merge(nodes[1].curve());
        for part in [1, 5, 10, 30, 100] {
            let bytes = footprint * part / 100;
            let [one, two] = [alone.curve(), &merged].map(|curve| curve.hit_ratio(bytes).unwrap());
            assert!((one - two).abs() <= 0.02, "{name}, {part} %: {one:.4} and {two:.4}");
        }
    }
}

/// The clock of the second node is another one.
fn hand_over([source, target]: &mut [Sampler; 2], now_ms: u64) {
    for slot in MOVED {
        let samples = source.take(slot, now_ms);
        target.put(slot, &samples, source.threshold(), now_ms);
    }
    source.set_share(usize::from(SLOTS) - MOVED.len(), usize::from(SLOTS));
    target.set_share(MOVED.len(), usize::from(SLOTS));
}

#[test]
fn samples_keep_their_order_their_age_and_their_deadlines() {
    let [mut source, mut target] = [0, 1].map(|_| Sampler::new(10, u64::MAX));
    let entry = |slot, deadline_ms| Write { slot, bytes: 100, deadline_ms };
    source.write(1, entry(5, 5_000), 1_000);
    source.write(2, entry(5, u64::MAX), 2_000);
    source.write(3, entry(6, u64::MAX), 3_000);
    let moved = source.take(5, 4_000);
    let sample = |hash, unused_ms, ttl_ms| Moved { hash, bytes: 100, unused_ms, ttl_ms };
    assert_eq!(moved, [sample(1, 3_000, 1_000), sample(2, 2_000, u64::MAX)]);
    assert_eq!(source.take(5, 4_000), []);
    // Its own key was used between the two.
    target.write(4, entry(7, u64::MAX), 71_500);
    target.put(5, &moved, u64::MAX, 74_000);
    let depth = |target: &Sampler, hash, now_ms| {
        let mut target = target.clone();
        target.count(1, 0);
        target.read(hash, None, now_ms);
        (1..=4).map(|n| n * 100).find(|size| target.curve().hit_ratio(*size + 10) > Some(0.9))
    };
    assert_eq!([2, 4, 1].map(|hash| depth(&target, hash, 74_999)), [100, 200, 300].map(Some));
    assert_eq!([2, 4, 1].map(|hash| depth(&target, hash, 75_000)), [Some(100), Some(200), None]);
}

#[test]
fn samples_that_come_twice_or_are_too_many_do_no_harm() {
    let mut target = Sampler::new(10, u64::MAX);
    let sample = |hash| Moved { hash, bytes: 0, unused_ms: 0, ttl_ms: u64::MAX };
    let many: Vec<Moved> = (0..100).map(|n| sample(n % 20)).collect();
    target.put(3, &many, u64::MAX, 0);
    target.put(3, &many, 5, 0);
    target.put(3, &many, 5, 0);
    assert_eq!((target.take(3, 0).len(), target.threshold()), (5, 5));
}

#[test]
fn entries_that_are_copied_take_their_place_by_their_last_use() {
    let mut target = Sampler::new(10, u64::MAX);
    let entry = Write { slot: 5, bytes: 100, deadline_ms: u64::MAX };
    target.write(1, entry, 10_000);
    target.copy(2, entry, 5_000, 20_000);
    target.copy(3, entry, 15_000, 20_000);
    // Within a second of the copy.
    target.read(4, None, 21_000);
    let depth = |hash| {
        let mut target = target.clone();
        target.count(2, 0);
        target.read(hash, None, 21_000);
        (1..=3).map(|n| n * 100).find(|size| target.curve().hit_ratio(*size + 10) > Some(0.4))
    };
    assert_eq!([3, 1, 2].map(depth), [100, 200, 300].map(Some));
}

#[test]
fn of_a_slot_that_was_cleared_nothing_is_left() {
    let mut sampler = Sampler::new(10, u64::MAX);
    let entry = |slot| Write { slot, bytes: 100, deadline_ms: u64::MAX };
    (1..=4).for_each(|hash| sampler.write(hash, entry(5), 1_000));
    sampler.write(5, entry(6), 1_000);
    sampler.clear(5);
    assert_eq!((sampler.take(5, 1_000).len(), sampler.take(6, 1_000).len()), (0, 1));
    sampler.clear(5);
    sampler.clear(u16::MAX);
}
