//! Several threads on one store: nobody waits for ever, and the books are right afterwards.

mod common;

use common::{START, assert_conserved, unlimited};
use ringcache_store::{GROUPS, Store};

const BUDGET_BYTES: usize = 2_000_000;
const ROUNDS: u64 = 60_000;

/// A different walk through slots and keys for each thread.
fn hammer(store: &Store, thread: u64) {
    let mut random = thread.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for round in 0..ROUNDS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (slot, key) = ((random % 300) as u16 * 50, (random >> 20) as u16 % 100);
        let (key, now) = (key.to_le_bytes(), START + round);
        match random >> 60 {
            0..8 => {
                let deadline = (random & 1 == 0).then_some(now + 500);
                store.lock(slot).set(&key, &vec![1; (random >> 30) as usize % 900], deadline, now);
                store.reclaim(now, 8);
            }
            8..12 => drop(store.lock(slot).get(&key, now)),
            12 => drop(store.lock(slot).remove(&key, now)),
            13 => drop(store.sweep((random % u64::from(GROUPS)) as u16, now, 50)),
            14 => {
                let mut guard = store.lock(slot);
                guard.journal_start();
                guard.journal_copy(500, now);
                drop(guard.journal_take(500));
                guard.journal_stop();
            }
            _ => {
                let mut guard = store.lock(slot);
                if random & 0x70 == 0 {
                    let cleared = guard.clear();
                    drop(guard);
                    drop(cleared);
                }
            }
        }
    }
}

#[test]
fn threads_neither_deadlock_nor_lose_a_byte() {
    let store = unlimited();
    store.set_budget(BUDGET_BYTES);
    std::thread::scope(|scope| {
        for thread in 1..=4 {
            let store = &store;
            scope.spawn(move || hammer(store, thread));
        }
    });
    assert!(store.reclaim(START + ROUNDS, usize::MAX));
    let stats = assert_conserved(&store);
    assert!(stats.used_bytes <= BUDGET_BYTES);
    assert!(stats.evicted > 0 && stats.expired > 0 && stats.hits > 0, "{stats:?}");
    store.set_budget(0);
    assert!(store.reclaim(START + ROUNDS, usize::MAX), "the eviction does not find every entry");
}
