//! What is predicted, against stores that have that size.

use std::sync::Arc;

use ringcache_ring::{SLOTS, key_slot};
use ringcache_store::{Access, Config, Store};

use super::*;

const KEYS: u64 = 120_000;
const TURNS: u64 = 800_000;
const TTL_MS: u64 = 30_000;

/// A number that looks random.
fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11
}

/// Keys are read the more often the lower their number is.
fn key(turn: u64) -> u64 {
    let share = mixed(turn) as f64 / (1_u64 << 53) as f64;
    (share.powi(3) * KEYS as f64) as u64
}

/// A store that is read first and filled after each miss: its hit ratio in the last quarter of its time, and the measurements of that.
fn serve(budget_bytes: usize) -> (f64, Arc<Measures>) {
    let store = Store::new(Config { budget_bytes, hash_seed: 7 });
    let start = 1_800_000_000_000;
    let measures = Arc::new(Measures::new(start));
    store.enable_metering(Arc::<Measures>::clone(&measures));
    (0..SLOTS).for_each(|slot| store.lock(slot).set_access(Access::Open));
    let memory_bytes = budget_bytes as u64;
    let (mut hits, mut reads, mut lately) = (0_u64, 0_u64, 0_u64);
    for turn in 0..TURNS {
        let now = start + turn / 4;
        if turn % 4_000 == 0 {
            let followed = measures.settle(&Second {
                now,
                monotonic_ms: now - start,
                reads: 4_000,
                hits: std::mem::take(&mut lately),
                slots: SLOTS.into(),
                memory_bytes,
            });
            store.follow(followed);
        }
        let number = key(turn);
        let key = format!("key:{number}").into_bytes();
        let mut slot = store.lock(key_slot(&key));
        let found = slot.get(&key, now).is_some();
        if !found {
            let value = vec![0; 100 + mixed(number) as usize % 800];
            let deadline = (number.is_multiple_of(3)).then_some(now + TTL_MS);
            slot.set(&key, &value, deadline, now);
        }
        drop(slot);
        store.reclaim(now, 64);
        lately += u64::from(found);
        if turn >= TURNS / 4 * 3 {
            (hits, reads) = (hits + u64::from(found), reads + 1);
        }
    }
    (hits as f64 / reads as f64, measures)
}

#[test]
fn the_curve_of_one_size_says_what_stores_of_others_do() {
    let sizes = [10, 20, 30].map(|mebibytes| mebibytes << 20);
    let runs = sizes.map(serve);
    for (size, (served, measures)) in sizes.iter().zip(&runs) {
        let curve = measures.curve();
        let measured = curve.measured().unwrap();
        assert!((measured - served).abs() <= 0.01, "with {size} bytes: {measured}, {served}");
        for (other, (hit_ratio, _)) in sizes.iter().zip(&runs) {
            let predicted = curve.hit_ratio(*other as u64).unwrap();
            let error = (predicted - hit_ratio).abs();
            println!("{size:9} {other:9}: {predicted:.3}, {hit_ratio:.3}");
            assert!(error <= 0.02, "with {size} bytes, of {other}: {predicted}, {hit_ratio}");
        }
    }
}
