//! `WATCH`: what makes `EXEC` fail, and what a watch costs.

use ringcache_ring::key_slot;
use ringcache_store::Access;

use super::{Client, Server, eventually};

const OK: &str = "+OK\r\n";
const QUEUED: &str = "+QUEUED\r\n";
const CHANGED: &str = "*-1\r\n";
const DONE: &str = "*1\r\n+OK\r\n";

/// What `EXEC` answers to a transaction that writes the key.
fn attempt(client: &mut Client, key: &str) -> String {
    client.check(&[("MULTI", OK), (&format!("SET {key} mine"), QUEUED)]);
    client.ask("EXEC")
}

/// A `WATCH` of these keys.
fn watch(keys: &[Vec<u8>]) -> Vec<&[u8]> {
    std::iter::once(&b"WATCH"[..]).chain(keys.iter().map(Vec::as_slice)).collect()
}

#[test]
fn a_change_that_was_undone_counts() {
    let server = Server::start();
    let (mut one, mut other) = (server.connect(), server.connect());
    for (change, back) in [("SET k 2", "SET k 1"), ("DEL k", "SET k 1"), ("SET k 1", "GET k")] {
        one.check(&[("SET k 1", OK), ("WATCH k", OK)]);
        other.ask(change);
        other.ask(back);
        assert_eq!(attempt(&mut one, "k"), CHANGED, "{change}, {back}");
    }
    one.check(&[("SET k 1", OK), ("WATCH k", OK), ("SET k 1", OK)]);
    assert_eq!(attempt(&mut one, "k"), CHANGED, "a write of the own connection");
    one.check(&[("WATCH k", OK), ("GET k", "$1\r\n1\r\n"), ("DEL {k}none", ":0\r\n")]);
    assert_eq!(attempt(&mut one, "k"), DONE, "a read, and a write of another key");
}

#[test]
fn the_writes_of_a_client_that_is_not_told_of_its_own_count() {
    let server = Server::start();
    let mut client = Client::connect_resp3(server.addr);
    client.check(&[("CLIENT TRACKING ON NOLOOP", OK), ("WATCH k", OK), ("SET k 1", OK)]);
    assert_eq!(attempt(&mut client, "k"), "_\r\n");
}

#[test]
fn a_watched_key_that_expires_has_changed_though_nobody_looked() {
    let server = Server::start();
    let (mut one, mut other) = (server.connect(), server.connect());
    other.check(&[("SET {k}gone v PX 60000", OK), ("SET k v PX 40", OK)]);
    one.check(&[("WATCH k {k}gone", OK)]);
    let soon = server.node.clock.unix_ms() + 60;
    eventually("k expired", || server.node.clock.unix_ms() > soon);
    assert_eq!(attempt(&mut one, "{k}other"), CHANGED);
    one.check(&[("WATCH k", OK)]);
    assert_eq!(attempt(&mut one, "{k}other"), DONE, "it was gone before it was watched");
}

#[test]
fn a_flush_changes_every_watched_key() {
    let server = Server::start();
    let (mut one, mut other) = (server.connect(), server.connect());
    for flush in ["FLUSHALL", "FLUSHDB ASYNC"] {
        one.check(&[("SET k 1", OK), ("WATCH k", OK)]);
        other.check(&[(flush, OK)]);
        assert_eq!(attempt(&mut one, "k"), CHANGED, "{flush}");
    }
}

#[test]
fn a_slot_that_was_away_meanwhile_has_changed_and_one_that_was_parked_has_not() {
    let server = Server::start();
    let mut client = server.connect();
    let slot = key_slot(b"k");
    for (access, expected) in [(Access::Parked, DONE), (Access::Away, CHANGED)] {
        client.check(&[("WATCH k", OK)]);
        server.set_access(slot, access);
        server.set_access(slot, Access::Open);
        assert_eq!(attempt(&mut client, "k"), expected, "{access:?}");
    }
}

#[test]
fn keys_named_often_count_once_and_one_above_the_limit_is_refused() {
    let server = Server::start();
    let mut client = server.connect();
    let names: Vec<Vec<u8>> = (0..1025).map(|n| format!("{{k}}{n}").into_bytes()).collect();
    let often = vec![names[0].clone(); 5000];
    assert_eq!(client.ask_words(&watch(&often)), OK);
    assert_eq!(client.ask_words(&watch(&names[..1024])), OK);
    assert_eq!(client.ask_words(&watch(&names[..1024])), OK);
    let refused = "-ERR at most 1024 keys can be watched\r\n";
    assert_eq!(client.ask_words(&watch(&names[1024..])), refused);
    server.connect().check(&[("SET {k}1023 v", OK)]);
    assert_eq!(attempt(&mut client, "{k}"), CHANGED, "what was watched before still is");
    assert_eq!(client.ask_words(&watch(&names)), refused);
    server.connect().check(&[("SET {k}0 v", OK)]);
    assert_eq!(attempt(&mut client, "{k}"), DONE, "a refused command watches nothing");
}

#[test]
fn keys_of_another_slot_than_those_watched_are_refused() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[
        ("WATCH a", OK),
        ("WATCH b", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"),
        ("UNWATCH", OK),
        ("WATCH b", OK),
        ("MULTI", OK),
        ("SET a 1", QUEUED),
        ("EXEC", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"),
        ("WATCH a", OK),
    ]);
    assert_eq!(attempt(&mut client, "a"), DONE);
}

#[test]
fn watched_keys_are_kept_in_the_bounded_tables_of_the_store_and_not_in_connections() {
    let server = Server::start_with(|args| args.memory_bytes = 64 << 20);
    let bound = (64 << 20) / 8;
    let mut clients: Vec<Client> = (0..12).map(|_| server.connect()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        let names: Vec<Vec<u8>> =
            (0..1024).map(|key| format!("{{{n}}}{key:01000}").into_bytes()).collect();
        assert_eq!(client.ask_words(&watch(&names)), OK);
    }
    let used = server.node.store.used_bytes();
    assert!((bound / 2..=bound).contains(&used), "{used} bytes");
    // The tables are full of keys of other slots: a watch that begins now must not end itself.
    let mut client = server.connect();
    client.check(&[("WATCH {fresh}a {fresh}b {fresh}c", OK)]);
    assert!(server.node.store.used_bytes() <= bound);
    assert_eq!(attempt(&mut client, "{fresh}a"), DONE);
    let replies: Vec<String> =
        (0..12).map(|n| attempt(&mut clients[n], &format!("{{{n}}}"))).collect();
    assert!(replies.iter().any(|reply| reply == CHANGED), "what was given up counts as changed");
}
