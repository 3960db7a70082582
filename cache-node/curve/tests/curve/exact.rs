//! The slow and obvious twins: an LRU cache of whole objects, and the same curve without samples.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use ringcache_curve::{Sampler, Write};

/// A hash of a key, as a node makes one: from a secret seed (`SplitMix64`, Steele, Lea, Flood, OOPSLA'14).
pub(crate) fn hash(key: u64, seed: u64) -> u64 {
    let mixed = |mut x: u64| {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    mixed(key.wrapping_add(mixed(seed.wrapping_add(0x9e37_79b9_7f4a_7c15))))
}

/// A cache that evicts what was used least recently.
pub(crate) struct Lru {
    limit: u64,
    bytes: u64,
    turn: u64,
    /// When each object was used last, and its bytes.
    objects: HashMap<u64, (u64, u32)>,
    order: BTreeMap<u64, u64>,
}

impl Lru {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, bytes: 0, turn: 0, objects: HashMap::new(), order: BTreeMap::new() }
    }

    /// Whether it is there.
    pub(crate) fn read(&mut self, key: u64) -> bool {
        let Some((used, bytes)) = self.objects.get(&key).copied() else { return false };
        self.order.remove(&used);
        self.put(key, bytes);
        true
    }

    pub(crate) fn write(&mut self, key: u64, bytes: u32) {
        if u64::from(bytes) > self.limit {
            return;
        }
        if let Some((used, bytes)) = self.objects.remove(&key) {
            self.order.remove(&used);
            self.bytes -= u64::from(bytes);
        }
        self.bytes += u64::from(bytes);
        self.put(key, bytes);
        while self.bytes > self.limit {
            let (_, victim) = self.order.pop_first().unwrap();
            self.bytes -= u64::from(self.objects.remove(&victim).unwrap().1);
        }
    }

    fn put(&mut self, key: u64, bytes: u32) {
        self.turn += 1;
        self.order.insert(self.turn, key);
        self.objects.insert(key, (self.turn, bytes));
    }
}

/// Every key in a list, the one used last at its end.
#[derive(Default)]
struct Twin {
    list: Vec<(u64, u32, u64)>,
    expired: Vec<(u64, u64)>,
    depths: Vec<u64>,
    counts: [usize; 2],
}

impl Twin {
    fn advance(&mut self, now_ms: u64) {
        let expired = |&&(_, _, deadline): &&(u64, u32, u64)| deadline <= now_ms;
        let gone: Vec<_> = self.list.iter().filter(expired).map(|&(k, _, d)| (k, d)).collect();
        self.list.retain(|&(_, _, deadline)| deadline > now_ms);
        self.expired.extend(gone);
        self.expired.retain(|(_, deadline)| deadline + 60_000 > now_ms);
    }

    fn read(&mut self, key: u64) {
        if let Some(at) = self.list.iter().position(|(other, ..)| *other == key) {
            self.depths.push(self.list[at..].iter().map(|(_, bytes, _)| u64::from(*bytes)).sum());
            let entry = self.list.remove(at);
            self.list.push(entry);
        } else {
            let is_expired = self.expired.iter().any(|(other, _)| *other == key);
            self.counts[usize::from(is_expired)] += 1;
        }
    }

    fn delete(&mut self, key: u64) {
        self.list.retain(|(other, ..)| *other != key);
        self.expired.retain(|(other, _)| *other != key);
    }
}

#[derive(Clone, Debug)]
enum Act {
    Read(u64),
    Write(u64, u32, Option<u64>),
    Delete(u64),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let key = 0..30_u64;
    prop_oneof![
        6 => key.clone().prop_map(Act::Read),
        4 => (key.clone(), 0..5000_u32, proptest::option::of(1..20_u64))
            .prop_map(|(key, bytes, ttl)| Act::Write(key, bytes, ttl.map(|ttl| ttl * 1000))),
        1 => key.prop_map(Act::Delete),
        1 => (0..50_u64).prop_map(|seconds| Act::Wait(seconds * 1000)),
    ]
}

proptest! {
    #[test]
    fn a_curve_of_keys_that_are_all_followed_is_exact(acts in prop::collection::vec(act(), 1..300)) {
        // So few places that all are given anew now and then.
        let mut sampler = Sampler::new(32, u64::MAX);
        let (mut twin, mut now_ms, mut reads) = (Twin::default(), 0, 0_u32);
        for act in acts {
            twin.advance(now_ms);
            match act {
                Act::Read(key) => {
                    reads += 1;
                    sampler.count(1, 0);
                    sampler.read(hash(key, 1), None, now_ms);
                    twin.read(key);
                }
                Act::Write(key, bytes, ttl) => {
                    let deadline_ms = ttl.map_or(u64::MAX, |ttl| now_ms + ttl);
                    sampler.write(hash(key, 1), Write { slot: 7, bytes, deadline_ms }, now_ms);
                    twin.delete(key);
                    twin.list.push((key, bytes.max(1), deadline_ms));
                }
                Act::Delete(key) => {
                    sampler.delete(hash(key, 1));
                    twin.delete(key);
                }
                Act::Wait(ms) => now_ms += ms,
            }
        }
        let curve = sampler.curve();
        for size in [1, 10, 100, 1000, 3000, 10_000, 100_000, u64::MAX] {
            // A bucket is a sixteenth wide.
            let count = |size: u64| twin.depths.iter().filter(|depth| **depth <= size).count() as f64;
            let hits = curve.hit_ratio(size).unwrap_or_default() * f64::from(reads);
            let (least, most) = (count(size - size / 16 - 1), count(size.saturating_add(size / 16)));
            prop_assert!((least - 1e-6..=most + 1e-6).contains(&hits), "{size}: {hits}, {least} to {most}");
        }
        let expired = curve.expired().unwrap_or_default() * f64::from(reads);
        prop_assert!((expired - twin.counts[1] as f64).abs() < 1e-6, "{expired}: {:?}", twin.counts);
        let reachable = curve.reachable().unwrap_or_default() * f64::from(reads);
        prop_assert!((reachable - twin.depths.len() as f64).abs() < 1e-6);
    }
}
