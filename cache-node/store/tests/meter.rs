//! Measuring: whoever measures is told what happens to the keys that it follows, and of no others.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{START, assert_conserved, unlimited};
use parking_lot::Mutex;
use ringcache_store::{Access, Ended, Meter, Millis, Operation, Store, Written};

const SLOT: u16 = 9000;

/// Writes down what it is told, and follows the hashes below a number.
struct Log {
    below: u64,
    told: Mutex<Vec<(u64, String)>>,
    /// Of all keys: samples, taken after so many others, misses, writes and ends.
    heat: Mutex<Vec<String>>,
    gap: u32,
}

impl Log {
    fn note(&self, hash: u64, what: String) -> u64 {
        self.told.lock().push((hash, what));
        self.below
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock()).into_iter().map(|(_, what)| what).collect()
    }

    fn take_heat(&self) -> Vec<String> {
        std::mem::take(&mut *self.heat.lock())
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

    fn operation(&self, operation: &Operation<'_>, now: Millis) -> u32 {
        let Operation { key, slot, is_write, bytes, .. } = *operation;
        let (key, at) = (String::from_utf8_lossy(key).into_owned(), now - START);
        self.heat.lock().push(format!("{key} of {slot}: write {is_write}, {bytes} bytes, at {at}"));
        self.gap
    }

    fn miss(&self, _: u64, client: u64, now: Millis) {
        self.heat.lock().push(format!("missed by {client} at {}", now - START));
    }

    fn stored(&self, _: u64) {
        self.heat.lock().push("stored".to_owned());
    }

    fn ended(&self, ended: Ended) {
        self.heat.lock().push(format!("{ended:?}"));
    }
}

fn measured(below: u64) -> (Store, Arc<Log>) {
    let store = unlimited();
    let log = Arc::new(Log { below, told: Mutex::default(), heat: Mutex::default(), gap: 0 });
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

#[test]
fn operations_misses_and_writes_of_clients_are_told_of_every_key() {
    let (store, log) = measured(0);
    let mut slot = store.lock(SLOT);
    slot.set_client(7, true);
    slot.get(b"k", START);
    slot.set(b"k", &[0; 100], None, START + 1);
    slot.get(b"k", START + 2);
    slot.peek(b"k", START + 2);
    slot.remove(b"k", START + 3);
    let told = |what: &str| format!("k of {SLOT}: {what}");
    let expected = [
        told("write false, 0 bytes, at 0"),
        "missed by 7 at 0".to_owned(),
        "stored".to_owned(),
        told("write true, 100 bytes, at 1"),
        told("write false, 100 bytes, at 2"),
        told("write true, 0 bytes, at 3"),
    ];
    assert_eq!(log.take_heat(), expected);
}

#[test]
fn after_an_operation_that_is_told_as_many_are_passed_over_as_the_meter_says() {
    let store = unlimited();
    let (told, heat) = (Mutex::default(), Mutex::default());
    let log = Arc::new(Log { below: 0, told, heat, gap: 2 });
    store.enable_metering(Arc::<Log>::clone(&log));
    store.lock(SLOT).set_access(Access::Open);
    for at in 0..7 {
        store.lock(SLOT).remove(b"k", START + at);
    }
    let told = |at: u64| format!("k of {SLOT}: write true, 0 bytes, at {at}");
    assert_eq!(log.take_heat(), [told(0), told(3), told(6)]);
}

#[test]
fn an_entry_that_no_client_removed_tells_how_long_it_was_unused() {
    let (store, log) = measured(0);
    let ended = |has_expired, unused_ms| [format!("{:?}", Ended { has_expired, unused_ms })];
    let set = |deadline: Option<u64>| {
        let deadline = deadline.map(|deadline| START + deadline);
        store.lock(SLOT).set(b"k", &[0; 100], deadline, START);
        log.take_heat();
    };
    set(Some(640));
    store.lock(SLOT).peek(b"k", START + 640);
    assert_eq!(log.take_heat(), ended(true, 640), "somebody asked for it");
    set(Some(640));
    store.sweep(SLOT / 16, START + 1280, 9);
    assert_eq!(log.take_heat(), ended(true, 1280), "nobody did");
    set(None);
    store.set_budget(0);
    store.reclaim(START + 6400, 1);
    assert_eq!(log.take_heat(), ended(false, 6400));
    store.lock(SLOT).set(b"k", &[0; 100], Some(START + 640), START);
    log.take_heat();
    store.reclaim(START + 6400, 1);
    assert_eq!(log.take_heat(), ended(true, 6400), "it was dead when it was evicted");
}
