//! Keys and values at their limits, and what an idle store costs.

mod common;

use common::{START, assert_conserved, unlimited};
use ringcache_store::{
    Access, GROUPS, MAX_KEY_BYTES, MAX_VALUE_BYTES, SLOTS, SLOTS_PER_GROUP, Store,
};

#[test]
fn the_longest_key_and_value_and_the_shortest_are_kept_whole() {
    let store = unlimited();
    let (key, value) = (vec![1; MAX_KEY_BYTES], vec![2; MAX_VALUE_BYTES]);
    let mut guard = store.lock(SLOTS - 1);
    guard.set(&key, &value, None, START);
    guard.set(b"", b"", None, START);
    assert_eq!(guard.get(&key, START).map(|entry| entry.value.to_vec()), Some(value));
    assert_eq!(guard.get(b"", START).map(|entry| entry.value.to_vec()), Some(Vec::new()));
    assert_eq!(guard.len(), 2);
}

#[test]
#[should_panic(expected = "a key of 1025 bytes is above the limit")]
fn a_key_above_the_limit_is_a_bug_of_the_caller() {
    unlimited().lock(0).set(&[1; MAX_KEY_BYTES + 1], b"v", None, START);
}

#[test]
#[should_panic(expected = "a value of 1048577 bytes is above the limit")]
fn a_value_above_the_limit_is_a_bug_of_the_caller() {
    unlimited().lock(0).set(b"k", &vec![1; MAX_VALUE_BYTES + 1], None, START);
}

#[test]
fn the_last_slot_and_the_last_group_exist_and_one_more_does_not() {
    let store = unlimited();
    assert_eq!(SLOTS, GROUPS * SLOTS_PER_GROUP);
    assert_eq!(store.lock(SLOTS - 1).len(), 0);
    assert!(store.sweep(GROUPS - 1, START, 1).complete);
    assert!(std::panic::catch_unwind(|| unlimited().lock(SLOTS).len()).is_err());
    assert!(std::panic::catch_unwind(|| unlimited().sweep(GROUPS, START, 1)).is_err());
}

#[test]
fn slots_begin_closed_and_keep_their_access_when_they_are_cleared() {
    let store = unlimited();
    for access in [Access::Open, Access::Parked, Access::Away, Access::Closed] {
        let mut guard = store.lock(3);
        if access == Access::Open {
            assert_eq!(guard.access(), Access::Closed);
        }
        guard.set_access(access);
        guard.set(b"k", b"v", None, START);
        let cleared = guard.clear();
        assert_eq!(guard.access(), access);
        drop(guard);
        drop(cleared);
        assert_eq!(store.lock(2).access(), Access::Closed);
    }
    assert_eq!(assert_conserved(&store).cleared, 4);
}

#[test]
fn an_overwrite_of_the_same_length_takes_no_more_memory() {
    let store = unlimited();
    let mut guard = store.lock(3);
    guard.set(b"k", b"old value", None, START);
    let bytes = guard.bytes();
    guard.set(b"k", b"new value", Some(START + 5), START);
    assert_eq!(guard.bytes(), bytes);
    let entry = guard.peek(b"k", START).expect("just set");
    assert_eq!((entry.value, entry.deadline), (&b"new value"[..], Some(START + 5)));
}

#[test]
fn a_store_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Store>();
}
