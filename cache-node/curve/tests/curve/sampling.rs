//! What bounds the samples.

use ringcache_curve::{Sampler, Write};

use crate::exact::hash;

const ENTRY: Write = Write { slot: 0, bytes: 100, deadline_ms: u64::MAX };

fn followed(sampler: &mut Sampler) -> usize {
    sampler.clone().take(ENTRY.slot, u64::MAX - 1).len()
}

#[test]
fn fewer_keys_are_followed_when_there_are_more() {
    let mut sampler = Sampler::new(100, u64::MAX);
    for key in 0..100 {
        sampler.write(hash(key, 1), ENTRY, key);
    }
    assert_eq!((followed(&mut sampler), sampler.threshold()), (100, u64::MAX));
    for key in 100..100_000 {
        sampler.write(hash(key, 1), ENTRY, key);
    }
    assert_eq!(followed(&mut sampler), 100);
    let rate = sampler.threshold() as f64 / u64::MAX as f64;
    assert!((0.0005..0.002).contains(&rate), "{rate}");
}

#[test]
fn keys_that_no_cluster_in_question_would_have_still_make_room() {
    // Up to 1,000 entries are asked for: a scan over a million is forgotten.
    let mut sampler = Sampler::new(200, 1_000 * 100);
    for key in 0..1_000_000 {
        sampler.write(hash(key, 1), ENTRY, key);
    }
    let rate = sampler.threshold() as f64 / u64::MAX as f64;
    assert!(rate > 0.1, "{rate}");
}

#[test]
fn old_reads_count_less_and_less() {
    let mut sampler = Sampler::new(10, u64::MAX);
    sampler.write(1, ENTRY, 0);
    let mut round = |hash| {
        for _ in 0..10 {
            sampler.count(1, 0);
            sampler.read(hash, None, 1);
        }
        sampler.curve().hit_ratio(1000).unwrap()
    };
    assert_eq!((round(1), round(2)), (1.0, 0.5));
    sampler.fade(0.0);
    assert_eq!((sampler.curve().hit_ratio(1000), sampler.curve().reads()), (None, 0.0));
}

#[test]
fn the_working_set_holds_the_hits_that_are_asked_for() {
    let mut sampler = Sampler::new(10, u64::MAX);
    assert_eq!(sampler.curve().working_set(0.99), 0);
    for hash in 1..=4 {
        sampler.write(hash, ENTRY, 0);
    }
    // 98 reads of the key used last, and two of the one used longest ago.
    for hash in [4; 98].into_iter().chain([1, 2]) {
        sampler.count(1, 0);
        sampler.read(hash, None, 0);
    }
    let curve = sampler.curve();
    let about = |size: u64| size..=size + size / 16;
    assert!(about(100).contains(&curve.working_set(0.98)), "{}", curve.working_set(0.98));
    assert!(about(400).contains(&curve.working_set(0.99)), "{}", curve.working_set(0.99));
    assert_eq!(curve.reachable(), Some(1.0));
}

#[test]
fn keys_that_are_followed_only_later_are_no_misses() {
    let mut sampler = Sampler::new(1_000, u64::MAX);
    let entry = Write { slot: 0, bytes: 100, deadline_ms: u64::MAX };
    let hashes: Vec<u64> = (1..=200_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    for hash in &hashes {
        sampler.write(*hash, entry, 0);
    }
    sampler.follow_fewer();
    assert_eq!(sampler.threshold(), u64::MAX / 2);
    sampler.follow_more();
    assert!(sampler.threshold() > u64::MAX - 2, "as many as in the beginning");
    for round in 1..=2 {
        sampler.count(200, 0);
        for hash in &hashes {
            sampler.read(*hash, Some(entry), round);
        }
        assert_eq!(sampler.curve().hit_ratio(1 << 20), Some(1.0), "round {round}");
    }
    sampler.count(1, 0);
    sampler.read(7, None, 3);
    assert!(sampler.curve().hit_ratio(1 << 20) < Some(1.0), "one that was not there is one");
}

#[test]
fn some_keys_are_followed_whatever_it_costs() {
    let mut sampler = Sampler::new(1_000, u64::MAX);
    let entry = Write { slot: 0, bytes: 100, deadline_ms: u64::MAX };
    for n in 1..=1_000_u64 {
        sampler.write(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), entry, 0);
    }
    (0..100).for_each(|_| sampler.follow_fewer());
    let followed = sampler.take(0, 1).len();
    assert!((32..64).contains(&followed), "{followed}");
}
