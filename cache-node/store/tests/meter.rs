//! Measuring: whoever measures is told what happens to the keys that it follows, and of no others.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{START, assert_conserved, unlimited};
use parking_lot::Mutex;
use ringcache_store::{Access, Meter, Millis, Store, Written};

const SLOT: u16 = 9000;

/// Writes down what it is told, and follows the hashes below a number.
struct Log {
    below: u64,
    told: Mutex<Vec<(u64, String)>>,
}

impl Log {
    fn note(&self, hash: u64, what: String) -> u64 {
        self.told.lock().push((hash, what));
        self.below
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock()).into_iter().map(|(_, what)| what).collect()
    }
}

impl Meter for Log {
    fn read(&self, hash: u64, found: Option<Written>, now: Millis) -> u64 {
        let what = if found.is_some() { "found" } else { "missed" };
        self.note(hash, format!("{what} at {}", now - START))
    }

    fn write(&self, hash: u64, written: Written, now: Millis) -> u64 {
        let Written { slot, bytes, deadline, last_access } = written;
        let [deadline, used] = [deadline, last_access].map(|at| at.map(|at| at - START));
        assert!((100..1_000).contains(&bytes), "{bytes}");
        self.note(hash, format!("{slot}: until {deadline:?}, used {used:?}, at {}", now - START))
    }

    fn delete(&self, hash: u64) -> u64 {
        self.note(hash, "deleted".to_owned())
    }

    fn clear(&self, slot: u16) -> u64 {
        self.note(0, format!("{slot}: cleared"))
    }
}

fn measured(below: u64) -> (Store, Arc<Log>) {
    let store = unlimited();
    let log = Arc::new(Log { below, told: Mutex::default() });
    store.enable_metering(Arc::<Log>::clone(&log));
    store.lock(SLOT).set_access(Access::Open);
    (store, log)
}

#[test]
fn reads_writes_and_deletions_are_told_and_looks_and_evictions_are_not() {
    let (store, log) = measured(u64::MAX);
    let mut slot = store.lock(SLOT);
    slot.get(b"k", START);
    assert_eq!(log.take(), ["missed at 0"]);
    slot.set(b"k", &[0; 100], None, START + 1);
    slot.set(b"k", &[0; 100], Some(START + 9), START + 2);
    slot.set_deadline(b"k", Some(START + 7), START + 3);
    let written = |until: &str, at: u64| format!("{SLOT}: until {until}, used None, at {at}");
    assert_eq!(log.take(), [written("None", 1), written("Some(9)", 2), written("Some(7)", 3)]);
    slot.get(b"k", START + 4);
    assert_eq!(log.take(), ["found at 4"]);
    assert!(slot.peek(b"k", START + 4).is_some());
    slot.get(b"k", START + 8);
    assert_eq!(log.take(), ["missed at 8"], "that it has expired is known from its deadline");
    slot.set(b"k", &[0; 100], None, START + 9);
    log.take();
    slot.remove(b"k", START + 9);
    drop(slot.clear());
    assert_eq!(log.take(), ["deleted".to_owned(), format!("{SLOT}: cleared")]);
    slot.set(b"k", &[0; 100], None, START + 9);
    drop(slot);
    log.take();
    store.set_budget(0);
    store.reclaim(START + 10, 10);
    assert_eq!(log.take(), Vec::<String>::new(), "a larger cache would have it");
    assert_eq!(assert_conserved(&store).evicted, 1);
}

#[test]
fn what_comes_from_another_node_was_used_there() {
    let (source, _) = measured(u64::MAX);
    source.lock(SLOT).set(b"k", &[0; 100], None, START);
    let mut from = source.lock(SLOT);
    from.journal_start();
    from.journal_copy(usize::MAX, START + 6_400);
    from.set(b"new", &[0; 100], None, START + 6_400);
    let records = from.journal_take(usize::MAX);
    let (target, log) = measured(u64::MAX);
    target.lock(SLOT).set_access(Access::Closed);
    target.lock(SLOT).apply(&records, START + 7_000).unwrap();
    let told = |used: &str| format!("{SLOT}: until None, used {used}, at 7000");
    assert_eq!(log.take(), [told("Some(0)"), told("None")]);
}

#[test]
fn keys_that_are_not_followed_are_not_told() {
    let (store, log) = measured(u64::MAX / 4);
    let mut slot = store.lock(SLOT);
    // It says what it follows when it is told for the first time.
    slot.get(b"first", START);
    log.take();
    for key in 0..4_000_u32 {
        slot.get(&key.to_le_bytes(), START);
        slot.get(&key.to_le_bytes(), START);
    }
    let told = std::mem::take(&mut *log.told.lock());
    assert!(told.iter().all(|(hash, _)| *hash < u64::MAX / 4));
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for (hash, _) in &told {
        *times.entry(*hash).or_default() += 1;
    }
    assert!((900..1_100).contains(&times.len()), "a quarter: {}", times.len());
    assert!(times.values().all(|times| *times == 2));
}
