//! Commands with many keys: what is done at once, and what in parts between which others have their turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ringcache_ring::key_slot;
use ringcache_store::{Access, SCAN_POSITION_BITS};
use ringcache_wire::encode_command;

use super::{Client, Server};
use crate::resp::parts::PART;

const OK: &str = "+OK\r\n";

fn names(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("{{t}}{n}").into_bytes()).collect()
}

/// Asks for a command with these words after its name.
fn ask(client: &mut Client, command: &[u8], words: &[&[u8]]) -> String {
    client.ask_words(&[&[command], words].concat())
}

/// Writes so many keys of one slot.
fn write(client: &mut Client, names: &[Vec<u8>]) {
    let pairs: Vec<&[u8]> = names.iter().flat_map(|name| [&name[..], &name[..]]).collect();
    assert_eq!(ask(client, b"MSET", &pairs), OK);
}

#[test]
fn a_command_with_many_keys_replies_as_if_it_had_run_at_once() {
    let server = Server::start();
    let mut client = server.connect();
    for count in [1, PART, PART + 1, 2 * PART, 2 * PART + 1] {
        let names = names(count);
        write(&mut client, &names);
        let mut words: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        words.insert(count / 2, b"{t}absent");
        let values: String = words
            .iter()
            .map(|word| match *word {
                b"{t}absent" => "$-1\r\n".to_owned(),
                word => format!("${}\r\n{}\r\n", word.len(), String::from_utf8_lossy(word)),
            })
            .collect();
        let all = format!(":{count}\r\n");
        assert_eq!(ask(&mut client, b"MGET", &words), format!("*{}\r\n{values}", count + 1));
        assert_eq!(ask(&mut client, b"EXISTS", &words), all);
        assert_eq!(ask(&mut client, b"TOUCH", &words), all);
        client.check(&[("MULTI", OK)]);
        assert_eq!(ask(&mut client, b"UNLINK", &words), "+QUEUED\r\n");
        assert_eq!(ask(&mut client, b"EXISTS", &words), "+QUEUED\r\n");
        assert_eq!(client.ask("EXEC"), format!("*2\r\n{all}:0\r\n"));
        write(&mut client, &names);
        assert_eq!(ask(&mut client, b"DEL", &words), all);
        assert_eq!(ask(&mut client, b"DEL", &words), ":0\r\n");
    }
}

#[test]
fn a_deletion_that_has_to_wait_half_way_counts_every_key_once() {
    let server = Server::start();
    let mut client = server.connect();
    let names = names(10_000);
    let words: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for access in [Access::Parked, Access::Open] {
                    server.set_access(key_slot(b"{t}"), access);
                    thread::sleep(Duration::from_micros(300));
                }
            }
        });
        for _ in 0..20 {
            write(&mut client, &names);
            assert_eq!(ask(&mut client, b"DEL", &words), ":10000\r\n");
        }
        over.store(true, Ordering::Relaxed);
    });
    let waited = server.node.counters.waited.load(Ordering::Relaxed);
    assert!(waited > 0, "it never had to wait");
}

#[test]
fn keys_that_one_mset_writes_are_not_read_half_old_by_one_mget() {
    let server = Server::start();
    let names = names(1000);
    let over = AtomicBool::new(false);
    let torn = thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = server.connect();
            for version in (0_u64..).take_while(|_| !over.load(Ordering::Relaxed)) {
                let value = format!("{version:08}").into_bytes();
                let pairs: Vec<&[u8]> =
                    names.iter().flat_map(|name| [&name[..], &value[..]]).collect();
                assert_eq!(ask(&mut writer, b"MSET", &pairs), OK);
            }
        });
        // On the other worker: one for each.
        let mut reader = server.connect();
        let words: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let torn = (0..2000).find_map(|_| {
            let reply = ask(&mut reader, b"MGET", &words);
            let mut values: Vec<_> = reply.lines().filter(|line| line.len() == 8).collect();
            values.dedup();
            (values.len() > 1).then(|| format!("{values:?}"))
        });
        over.store(true, Ordering::Relaxed);
        torn
    });
    assert_eq!(torn, None, "one MGET saw more than one version");
}

#[test]
fn values_of_many_megabytes_are_read_in_parts_and_whole() {
    let server = Server::start_with(|args| args.memory_bytes = 1 << 30);
    let mut client = server.connect();
    let (half, names) = (vec![b'v'; 512 << 10], names(5));
    for name in &names {
        assert_eq!(client.ask_words(&[b"SET", name, &half]), OK);
    }
    let words: Vec<&[u8]> = names.iter().chain(&names).map(Vec::as_slice).collect();
    let value = format!("${}\r\n{}\r\n", half.len(), "v".repeat(half.len()));
    client.send(b"PING\r\n");
    assert_eq!(client.receive(), b"+PONG\r\n");
    assert!(ask(&mut client, b"MGET", &words) == format!("*10\r\n{}", value.repeat(10)));
}

/// Stores so many keys of one slot without a client.
fn fill(server: &Server, names: &[Vec<u8>]) {
    let now = server.node.clock.unix_ms();
    for part in names.chunks(1000) {
        let mut guard = server.node.store.lock(key_slot(b"{t}"));
        for name in part {
            guard.set(name, b"v", None, now);
        }
    }
}

/// Keys of one slot, and the request that deletes them.
fn a_deletion_of_many_keys() -> (Vec<Vec<u8>>, Vec<u8>) {
    let names = names(50_000);
    let words: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    let mut request = Vec::new();
    encode_command(&mut request, &[&[&b"DEL"[..]], &words[..]].concat());
    (names, request)
}

/// With one thread, nobody else could see a deletion half done if it kept the thread.
#[test]
fn a_deletion_of_many_keys_leaves_turns_to_others() {
    let server = Server::start_with(|args| (args.threads, args.memory_bytes) = (1, 1 << 30));
    let (mut client, mut other) = (server.connect(), server.connect());
    let (names, request) = a_deletion_of_many_keys();
    let (first, last) = (&names[0][..], &names[names.len() - 1][..]);
    let sees_half = (0..50).any(|_| {
        fill(&server, &names);
        client.send(&request);
        let counts = std::iter::repeat_with(|| ask(&mut other, b"EXISTS", &[first, last]));
        let counted = counts.into_iter().find(|count| count != ":2\r\n");
        assert_eq!(client.receive(), b":50000\r\n");
        counted.as_deref() == Some(":1\r\n")
    });
    assert!(sees_half, "nobody was served meanwhile");
}

#[test]
fn a_deletion_that_waits_half_way_goes_on_where_it_was() {
    let server = Server::start_with(|args| (args.threads, args.memory_bytes) = (1, 1 << 30));
    let (mut client, mut other) = (server.connect(), server.connect());
    let (names, request) = a_deletion_of_many_keys();
    let (first, last) = (&names[0][..], &names[names.len() - 1][..]);
    let waited = &server.node.counters.waited;
    let has_waited = (0..50).any(|_| {
        fill(&server, &names);
        client.send(&request);
        while ask(&mut other, b"EXISTS", &[first, last]) == ":2\r\n" {}
        server.set_access(key_slot(b"{t}"), Access::Parked);
        // Somebody writes what is deleted already.
        fill(&server, &names[..1]);
        thread::sleep(Duration::from_millis(2));
        server.set_access(key_slot(b"{t}"), Access::Open);
        assert_eq!(client.receive(), b":50000\r\n");
        assert_eq!(ask(&mut other, b"EXISTS", &[first, last]), ":1\r\n");
        waited.load(Ordering::Relaxed) > 0
    });
    assert!(has_waited, "it never had to wait");
}

#[test]
fn a_scan_takes_no_more_than_it_is_asked_for_of_a_large_slot() {
    let server = Server::start();
    let mut client = server.connect();
    fill(&server, &names(100_000));
    let slot = key_slot(b"{t}");
    let cursor = u64::from(slot) << SCAN_POSITION_BITS;
    for (count, most) in [(1, 2), (10, 11), (64, 65), (1000, 1000 + 16)] {
        let reply = client.ask(&format!("SCAN {cursor} COUNT {count}"));
        let keys = reply.matches("{t}").count();
        assert!((count..=most).contains(&keys), "COUNT {count}: {keys} keys");
        let reply = client.ask(&format!("CLUSTER GETKEYSINSLOT {slot} {count}"));
        assert_eq!(reply.matches("{t}").count(), count);
        assert!(reply.starts_with(&format!("*{count}\r\n")));
    }
    let reply = client.ask(&format!("CLUSTER GETKEYSINSLOT {slot} 1000000"));
    assert!(reply.starts_with("*10000\r\n"));
}

/// A call ends early when its pattern has taken many steps, also between the keys of one look at the slot.
#[test]
fn a_scan_with_an_expensive_pattern_ends_early_and_misses_no_key() {
    let server = Server::start();
    let mut client = server.connect();
    let mut expected: Vec<_> =
        (0..200).map(|n| format!("{{t}}{}{n:04}", "b".repeat(990)).into_bytes()).collect();
    write(&mut client, &expected);
    let slot = u64::from(key_slot(b"{t}"));
    let (mut cursor, mut found) = (slot << SCAN_POSITION_BITS, Vec::new());
    while cursor >> SCAN_POSITION_BITS == slot {
        let pattern = format!("*{}*", "b".repeat(900));
        let reply = client.ask(&format!("SCAN {cursor} MATCH {pattern} COUNT 64"));
        let mut lines = reply.lines().filter(|line| !line.starts_with(['*', '$']));
        cursor = lines.next().unwrap().parse().unwrap();
        let keys: Vec<_> = lines.map(|key| key.as_bytes().to_vec()).collect();
        // Five keys take the four million steps after which a call is to end.
        assert!(keys.len() <= 5, "{} keys", keys.len());
        found.extend(keys);
    }
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

/// To free a value of a megabyte takes a tenth of a millisecond and more.
#[test]
fn a_deletion_of_large_values_leaves_turns_to_others() {
    let server = Server::start_with(|args| (args.threads, args.memory_bytes) = (1, 1 << 30));
    let (mut client, mut other) = (server.connect(), server.connect());
    let names = names(10);
    let words: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    let mut request = Vec::new();
    encode_command(&mut request, &[&[&b"DEL"[..]], &words[..]].concat());
    let (value, now) = (vec![b'v'; 512 << 10], server.node.clock.unix_ms());
    let sees_half = (0..50).any(|_| {
        // So that the other one waits when it begins.
        let mut guard = server.node.store.lock(key_slot(b"{t}"));
        for name in &names {
            guard.set(name, &value, None, now);
        }
        client.send(&request);
        thread::sleep(Duration::from_millis(5));
        other.send(b"EXISTS {t}0 {t}9\r\n");
        thread::sleep(Duration::from_millis(5));
        drop(guard);
        assert_eq!(client.receive(), b":10\r\n");
        other.receive() == b":1\r\n"
    });
    assert!(sees_half, "nobody was served meanwhile");
}
