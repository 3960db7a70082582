//! What the tests of the store share.

use ringcache_store::{Config, SLOTS, Stats, Store};

/// A point in time to begin at: some day in 2027.
pub(crate) const START: u64 = 1_800_000_000_000;

pub(crate) fn store(budget_bytes: usize) -> Store {
    Store::new(Config { budget_bytes, hash_seed: 0x00C0_FFEE })
}

pub(crate) fn unlimited() -> Store {
    store(usize::MAX)
}

/// Asserts what holds whenever no journal runs: bytes and entries are those of a full walk, and every
/// entry ever stored is accounted for.
pub(crate) fn assert_conserved(store: &Store) -> Stats {
    let stats = store.stats();
    let (mut entries, mut bytes) = (0, 0);
    for slot in 0..SLOTS {
        let guard = store.lock(slot);
        entries += guard.len() as u64;
        bytes += guard.bytes();
        assert_eq!(guard.is_empty(), guard.bytes() == 0, "slot {slot}");
    }
    assert_eq!(stats.entries, entries);
    assert_eq!(stats.used_bytes, bytes);
    assert_eq!(
        stats.sets + stats.applied,
        entries + stats.replaced + stats.deletes + stats.evicted + stats.expired + stats.cleared,
        "{stats:?}",
    );
    stats
}
