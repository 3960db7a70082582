//! Tracked keys: whoever registered for a key is told once when it changes or ends, however that comes about.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{START, assert_conserved, store, unlimited};
use parking_lot::Mutex;
use proptest::prelude::*;
use ringcache_store::{Access, Observer, SLOTS_PER_GROUP, Store, Tracking};

const SLOT: u16 = 9000;
/// Clients from this number on are gone.
const GONE: u64 = 1000;

type Report = (Vec<u8>, Vec<u64>);

/// Writes down what it is told, and which clients were forgotten.
#[derive(Default)]
struct Log(Mutex<Vec<Report>>, Mutex<Vec<u64>>);

impl Observer for Log {
    fn invalidate(&self, key: &[u8], clients: &[u64]) {
        self.0.lock().push((key.to_vec(), clients.to_vec()));
    }

    fn forget(&self, clients: &[u64]) {
        self.1.lock().extend_from_slice(clients);
    }

    fn is_tracking(&self, client: u64) -> bool {
        client < GONE
    }
}

impl Log {
    fn take(&self) -> Vec<Report> {
        let mut reports = std::mem::take(&mut *self.0.lock());
        reports.sort_unstable();
        reports
    }
}

fn observe(store: &Store, max_bytes: usize) -> Arc<Log> {
    let log = Arc::new(Log::default());
    store.enable_tracking(Tracking { max_bytes, observer: Arc::<Log>::clone(&log) });
    log
}

fn told(key: &[u8], clients: &[u64]) -> Report {
    (key.to_vec(), clients.to_vec())
}

#[derive(Clone, Debug)]
enum Op {
    Read { client: u64 },
    Peek,
    Set { ttl: Option<i64>, writer: Option<u64> },
    Remove { writer: Option<u64> },
    SetDeadline { ttl: Option<i64>, writer: Option<u64> },
    Clear,
    Leave,
    Forget,
    Sweep,
    Pass { time: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let ttl = || proptest::option::of(-2..50_i64);
    let writer = || proptest::option::of(0..5_u64);
    prop_oneof![
        12 => (0..5_u64).prop_map(|client| Op::Read { client }),
        2 => Just(Op::Peek),
        6 => (ttl(), writer()).prop_map(|(ttl, writer)| Op::Set { ttl, writer }),
        3 => writer().prop_map(|writer| Op::Remove { writer }),
        3 => (ttl(), writer()).prop_map(|(ttl, writer)| Op::SetDeadline { ttl, writer }),
        1 => Just(Op::Clear),
        1 => Just(Op::Leave),
        1 => Just(Op::Forget),
        2 => Just(Op::Sweep),
        4 => (1..10_u64).prop_map(|time| Op::Pass { time }),
    ]
}

/// The obvious store: deadlines, who tracks what, and who was told what.
#[derive(Default)]
struct Twin {
    deadlines: BTreeMap<Vec<u8>, Option<u64>>,
    tracked: BTreeMap<Vec<u8>, BTreeSet<u64>>,
    told: Vec<Report>,
}

impl Twin {
    fn end(&mut self, key: &[u8], writer: Option<u64>) {
        let mut clients = self.tracked.remove(key).unwrap_or_default();
        if let Some(writer) = writer {
            clients.remove(&writer);
        }
        if !clients.is_empty() {
            self.told.push((key.to_vec(), clients.into_iter().collect()));
        }
    }

    fn end_all(&mut self) {
        for key in self.tracked.keys().cloned().collect::<Vec<_>>() {
            self.end(&key, None);
        }
    }

    /// Somebody looks at the key: a dead entry is noticed. True if there is a live one.
    fn look(&mut self, key: &[u8], now: u64) -> bool {
        let Some(deadline) = self.deadlines.get(key) else { return false };
        if deadline.is_none_or(|deadline| deadline > now) {
            return true;
        }
        self.deadlines.remove(key);
        self.end(key, None);
        false
    }

    fn put(&mut self, key: &[u8], deadline: Option<u64>, now: u64, writer: Option<u64>) {
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.remove(key, writer);
        } else {
            self.end(key, writer);
            self.deadlines.insert(key.to_vec(), deadline);
        }
    }

    fn remove(&mut self, key: &[u8], writer: Option<u64>) {
        if self.deadlines.remove(key).is_some() {
            self.end(key, writer);
        }
    }
}

fn run(store: &Store, twin: &mut Twin, now: &mut u64, key: &[u8], op: &Op) {
    let mut guard = store.lock(SLOT);
    let deadline = |ttl: Option<i64>| ttl.map(|ttl| now.saturating_add_signed(ttl));
    if matches!(
        op,
        Op::Read { .. } | Op::Peek | Op::Set { .. } | Op::Remove { .. } | Op::SetDeadline { .. }
    ) {
        twin.look(key, *now);
    }
    match *op {
        Op::Read { client } => {
            guard.get(key, *now);
            guard.track(key, client);
            twin.tracked.entry(key.to_vec()).or_default().insert(client);
        }
        Op::Peek => assert_eq!(guard.peek(key, *now).is_some(), twin.deadlines.contains_key(key)),
        Op::Set { ttl, writer } => {
            guard.set_client(writer.unwrap_or(99), writer.is_none());
            guard.set(key, b"value", deadline(ttl), *now);
            twin.put(key, deadline(ttl), *now, writer);
        }
        Op::Remove { writer } => {
            guard.set_client(writer.unwrap_or(99), writer.is_none());
            guard.remove(key, *now);
            twin.remove(key, writer);
        }
        Op::SetDeadline { ttl, writer } => {
            guard.set_client(writer.unwrap_or(99), writer.is_none());
            if guard.set_deadline(key, deadline(ttl), *now) {
                twin.put(key, deadline(ttl), *now, writer);
            }
        }
        Op::Clear => {
            drop(guard.clear());
            twin.deadlines.clear();
            twin.end_all();
        }
        Op::Leave => {
            guard.set_access(Access::Parked);
            guard.set_access(Access::Away);
            twin.end_all();
        }
        Op::Forget => {
            guard.forget_tracked();
            twin.tracked.clear();
        }
        Op::Sweep => {
            drop(guard);
            assert!(store.sweep(SLOT / SLOTS_PER_GROUP, *now, 1000).complete);
            for key in twin.deadlines.keys().cloned().collect::<Vec<_>>() {
                twin.look(&key, *now);
            }
        }
        Op::Pass { time } => *now += time,
    }
}

proptest! {
    #[test]
    fn every_registered_key_is_told_once_when_it_changes_or_ends_and_nothing_else_is(
        ops in proptest::collection::vec((0..4_u8, op()), 1..300),
    ) {
        let store = unlimited();
        let log = observe(&store, usize::MAX);
        let (mut twin, mut now) = (Twin::default(), START);
        for (key, op) in &ops {
            run(&store, &mut twin, &mut now, &[*key], op);
            twin.told.sort_unstable();
            prop_assert_eq!(log.take(), std::mem::take(&mut twin.told), "after {:?} of {}", op, key);
        }
        store.lock(SLOT).set_access(Access::Closed);
        assert_conserved(&store);
    }
}

#[test]
fn evicted_keys_are_told_and_the_table_counts_as_used() {
    let store = store(100_000);
    let log = observe(&store, usize::MAX);
    for key in 0..100_u64 {
        let mut guard = store.lock(SLOT);
        guard.set(&key.to_le_bytes(), b"value", None, START + key);
        let before = store.used_bytes();
        guard.track(&key.to_le_bytes(), 1);
        assert!(store.used_bytes() > before);
    }
    store.set_budget(store.used_bytes() - 1);
    assert!(store.reclaim(START + 1000, 1000));
    let told_of = log.take();
    assert_eq!(told_of.len() as u64, store.stats().evicted);
    assert_eq!(told_of[0], told(&0_u64.to_le_bytes(), &[1]));
    store.set_budget(0);
    assert!(store.reclaim(START + 1000, 1000));
    assert_eq!(told_of.len() + log.take().len(), 100);
    assert_eq!(store.used_bytes(), 0);
}

#[test]
fn a_table_at_its_bound_keeps_all_keys_and_one_above_it_gives_one_up() {
    let bytes_of = |keys: &[&[u8]]| {
        let store = unlimited();
        let _log = observe(&store, usize::MAX);
        for key in keys {
            store.lock(SLOT).track(key, 1);
        }
        store.used_bytes()
    };
    let two = bytes_of(&[b"a", b"b"]);
    for (max_bytes, told_of) in [(two, 0), (two - 1, 1)] {
        let store = unlimited();
        let log = observe(&store, max_bytes);
        store.lock(SLOT).track(b"a", 1);
        store.lock(SLOT).track(b"b", 2);
        store.reclaim_tracked();
        let reports = log.take();
        assert_eq!(reports.len(), told_of, "with {max_bytes} of {two} bytes");
        assert!(reports.iter().all(|report| *report == told(b"a", &[1])), "the older one goes");
    }
    let store = unlimited();
    let log = observe(&store, 0);
    store.lock(SLOT).track(b"alone", 1);
    store.reclaim_tracked();
    assert_eq!(log.take(), [told(b"alone", &[1])], "what cannot be tracked is invalid at once");
    assert_eq!(store.used_bytes(), 0);
}

#[test]
fn a_key_registered_just_now_is_seldom_the_one_that_is_given_up() {
    let store = unlimited();
    let log = observe(&store, 20_000);
    // Tables at their bound, in other slots than the one at hand.
    for key in 0..1000_u16 {
        store.lock(key).track(&key.to_le_bytes(), 1);
        store.reclaim_tracked();
    }
    log.take();
    let mut ended = 0;
    for watch in 2..202_u64 {
        let mut guard = store.lock(SLOT);
        assert!(guard.track(b"a", watch) && guard.track(b"b", watch));
        assert!(!guard.track(b"a", watch), "once is enough");
        drop(guard);
        store.reclaim_tracked();
        assert!(store.used_bytes() <= 20_000);
        ended += usize::from(log.take().iter().any(|(_, clients)| clients.contains(&watch)));
        store.lock(SLOT).end_tracked();
        // Others register meanwhile, so that the tables are at their bound again.
        store.lock(watch as u16).track(&watch.to_le_bytes(), 1);
        store.reclaim_tracked();
        log.take();
    }
    assert!(ended <= 40, "{ended} of 200 watches ended themselves");
}

#[test]
fn one_request_cannot_take_the_tables_far_above_their_bound() {
    let store = unlimited();
    let _log = observe(&store, 80_000);
    let mut guard = store.lock(SLOT);
    for key in 0..10_000_u32 {
        guard.track(&key.to_le_bytes(), 1);
        assert!(store.used_bytes() <= 90_000 + 200, "{} bytes", store.used_bytes());
    }
    assert!(store.used_bytes() > 80_000, "up to there it is left to `reclaim_tracked`");
    drop(guard);
    store.reclaim_tracked();
    assert!(store.used_bytes() <= 80_000);
}

#[test]
fn whose_keys_are_forgotten_is_said_though_nobody_is_told_of_a_change() {
    let store = unlimited();
    let log = observe(&store, usize::MAX);
    let mut guard = store.lock(SLOT);
    guard.track(b"k", 1);
    guard.track(b"k", 2);
    guard.forget_tracked();
    assert_eq!(*log.1.lock(), [1, 2]);
    drop(guard.clear());
    assert_eq!(log.take(), []);
}

#[test]
fn clients_that_are_gone_do_not_pile_up_at_a_key_that_never_changes() {
    let store = unlimited();
    let log = observe(&store, usize::MAX);
    let mut guard = store.lock(SLOT);
    guard.track(b"k", 7);
    for client in GONE..GONE + 10_000 {
        guard.track(b"k", client);
    }
    drop(guard);
    assert!(store.used_bytes() < 1000, "{} bytes", store.used_bytes());
    store.lock(SLOT).set(b"k", b"v", None, START);
    let reports = log.take();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].1[0], 7);
}

#[test]
fn records_of_a_copy_end_what_was_tracked() {
    let source = unlimited();
    let mut guard = source.lock(SLOT);
    guard.journal_start();
    guard.set(b"k", b"new", None, START);
    let records = guard.journal_take(1 << 20);
    let target = unlimited();
    let log = observe(&target, usize::MAX);
    let mut guard = target.lock(SLOT);
    guard.track(b"k", 3);
    guard.apply(&records, START).unwrap();
    assert_eq!(log.take(), [told(b"k", &[3])]);
}
