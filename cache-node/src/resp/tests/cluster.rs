//! Slots that are here, elsewhere, or on their way.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use ringcache_ring::{SLOTS, key_slot};
use ringcache_store::Access;

use super::{Client, Clock, NodeArgs, Server, routes};

const OK: &str = "+OK\r\n";

/// Two nodes that know each other: the first owns the lower half of the slots, the second the upper half.
pub(super) fn pair() -> (Server, Server) {
    pair_with(|_| {})
}

/// The same with other arguments.
pub(super) fn pair_with(change: fn(&mut NodeArgs)) -> (Server, Server) {
    let low = Server::start_with(change);
    let high = Server::start_with(|args| {
        args.name = "web-1".into();
        change(args);
    });
    let half = SLOTS / 2;
    for slot in 0..SLOTS {
        let other = if slot < half { &high } else { &low };
        other.set_access(slot, Access::Closed);
    }
    let owner = |slot| Some(u16::from(slot >= half));
    low.node.routes.store(Arc::new(routes(&[&low.node, &high.node], owner)));
    let owner = |slot| Some(u16::from(slot < half));
    high.node.routes.store(Arc::new(routes(&[&high.node, &low.node], owner)));
    (low, high)
}

/// Hands the slot over at once, as the last step of a handover does.
pub(super) fn hand_over(slot: u16, from: &Server, to: &Server) {
    let owned = |owner: &Server, other: &Server, mine: bool| {
        let before = owner.node.routes.load_full();
        let owner_of =
            |at| if at == slot { Some(u16::from(!mine)) } else { before.owner_index(at) };
        routes(&[&owner.node, &other.node], owner_of)
    };
    from.node.departed(slot);
    from.set_access(slot, Access::Away);
    from.node.routes.store(Arc::new(owned(from, to, false)));
    to.set_access(slot, Access::Open);
    to.node.routes.store(Arc::new(owned(to, from, true)));
}

#[test]
fn all_views_of_the_cluster_agree_and_have_no_gap() {
    let (low, high) = pair();
    let (low_port, high_port) = (low.addr.port(), high.addr.port());
    let (low_id, high_id) = (&low.node.node_id, &high.node.node_id);
    let slots = |meta: &str| {
        format!(
            "*2\r\n*3\r\n:0\r\n:8191\r\n*4\r\n$9\r\n127.0.0.1\r\n:{low_port}\r\n$40\r\n{low_id}\r\n{meta}\r\n\
             *3\r\n:8192\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:{high_port}\r\n$40\r\n{high_id}\r\n{meta}\r\n"
        )
    };
    for server in [&low, &high] {
        let (mut resp2, mut resp3) = (server.connect(), Client::connect_resp3(server.addr));
        assert_eq!(resp2.ask("CLUSTER SLOTS"), slots("*0"));
        assert_eq!(resp3.ask("CLUSTER SLOTS"), slots("%0"));
        assert_eq!(resp2.ask("cluster myid"), format!("$40\r\n{}\r\n", server.node.node_id));
        let nodes = resp2.ask("CLUSTER NODES");
        let line = |of: &Server, range: &str| {
            let myself = if of.addr == server.addr { "myself," } else { "" };
            let (id, port, bus) = (&of.node.node_id, of.addr.port(), of.node.args.bus_port);
            format!("{id} 127.0.0.1:{port}@{bus} {myself}master - 0 0 7 connected {range}\n")
        };
        assert!(nodes.contains(&line(&low, "0-8191")), "{nodes}");
        assert!(nodes.contains(&line(&high, "8192-16383")), "{nodes}");
        assert_eq!(nodes.matches("myself").count(), 1);
        let shards = resp3.ask("CLUSTER SHARDS");
        assert!(shards.starts_with("*2\r\n%2\r\n$5\r\nslots\r\n*2\r\n"), "{shards}");
        assert!(shards.contains(&format!(
            "*2\r\n:0\r\n:8191\r\n$5\r\nnodes\r\n*1\r\n%7\r\n$2\r\nid\r\n$40\r\n{low_id}\r\n"
        )));
        assert_eq!(shards.matches("$6\r\nhealth\r\n$6\r\nonline\r\n").count(), 2);
        assert!(resp3.ask("CLUSTER INFO").starts_with('='));
        assert!(resp2.ask("CLUSTER INFO").contains("cluster_state:ok\r\n"));
    }
}

#[test]
fn a_changed_map_is_shown_at_once() {
    let (low, high) = pair();
    let mut client = low.connect();
    assert!(client.ask("CLUSTER SLOTS").starts_with("*2\r\n"));
    hand_over(5, &low, &high);
    assert!(client.ask("CLUSTER SLOTS").starts_with("*4\r\n*3\r\n:0\r\n:4\r\n"));
}

#[test]
fn a_map_with_a_gap_is_not_shown_until_it_is_whole() {
    let server = Server::start();
    let whole = server.node.routes.load_full();
    server.node.routes.store(Arc::new(routes(&[&server.node], |slot| (slot > 0).then_some(0))));
    let mut client = server.connect();
    client.send(b"CLUSTER SLOTS\r\n");
    std::thread::sleep(Duration::from_millis(50));
    let mut other = server.connect();
    assert_eq!(other.ask("PING"), "+PONG\r\n");
    server.node.routes.store(whole);
    assert!(client.receive().starts_with(b"*1\r\n*3\r\n:0\r\n:16383\r\n"));
}

#[test]
fn slots_and_their_keys_can_be_asked_for() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[
        ("CLUSTER KEYSLOT foo", ":12182\r\n"),
        ("CLUSTER KEYSLOT {foo}bar", ":12182\r\n"),
        ("SET foo 1", OK),
        ("CLUSTER COUNTKEYSINSLOT 12182", ":1\r\n"),
        ("CLUSTER GETKEYSINSLOT 12182 10", "*1\r\n$3\r\nfoo\r\n"),
        ("CLUSTER GETKEYSINSLOT 12182 0", "*0\r\n"),
        ("CLUSTER COUNTKEYSINSLOT 16383", ":0\r\n"),
        ("CLUSTER COUNTKEYSINSLOT 16384", "-ERR Invalid or out of range slot\r\n"),
        ("CLUSTER GETKEYSINSLOT 0 x", "-ERR Invalid number of keys\r\n"),
        ("CLUSTER NOPE", "-ERR unknown subcommand 'NOPE'. Try CLUSTER HELP.\r\n"),
    ]);
    server.set_access(12182, Access::Closed);
    client.check(&[("CLUSTER COUNTKEYSINSLOT 12182", ":0\r\n"), ("DBSIZE", ":0\r\n")]);
}

#[test]
fn a_slot_that_was_never_here_is_answered_with_its_owner() {
    let (low, high) = pair();
    let moved = format!("-MOVED 12182 127.0.0.1:{}\r\n", high.addr.port());
    low.connect().check(&[
        ("GET foo", &moved),
        ("SET foo 1", &moved),
        ("MGET foo {foo}x", &moved),
        ("WATCH foo", &moved),
        ("MULTI", OK),
        ("GET foo", &moved),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n"),
    ]);
    assert_eq!(low.node.counters.moved.load(Ordering::Relaxed), 5);
    assert_eq!(low.node.counters.forwarded.load(Ordering::Relaxed), 0);
    high.connect().check(&[("SET foo 1", OK)]);
}

#[test]
fn a_request_for_a_parked_slot_waits_and_later_ones_keep_their_order() {
    let server = Server::start();
    let (mut client, mut other) = (server.connect(), server.connect());
    let slot = key_slot(b"foo");
    server.set_access(slot, Access::Parked);
    client.send(b"SET foo 1\r\nSET bar 1\r\nGET foo\r\n");
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(other.ask("GET bar"), "$-1\r\n", "a later request did not overtake");
    assert_eq!(other.ask("SET b 2"), OK, "another connection is not held up");
    server.set_access(slot, Access::Open);
    assert_eq!(client.receive(), b"+OK\r\n");
    assert_eq!(client.receive(), b"+OK\r\n");
    assert_eq!(client.receive(), b"$1\r\n1\r\n");
    assert_eq!(server.node.counters.waited.load(Ordering::Relaxed), 1);
}

#[test]
fn whole_node_commands_wait_for_a_parked_slot_too() {
    let server = Server::start();
    let slot = key_slot(b"foo");
    for (command, reply) in [
        ("SCAN 0 COUNT 1", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nfoo\r\n"),
        ("FLUSHALL", OK),
        ("EXEC", "*1\r\n$-1\r\n"),
    ] {
        let mut client = server.connect();
        if command == "EXEC" {
            client.check(&[("MULTI", OK), ("GET foo", "+QUEUED\r\n")]);
        } else {
            client.check(&[("SET foo 1", OK)]);
        }
        server.set_access(slot, Access::Parked);
        let asked = std::thread::spawn(move || scan_to(&mut client, command));
        std::thread::sleep(Duration::from_millis(30));
        assert!(!asked.is_finished(), "{command} did not wait");
        server.set_access(slot, Access::Open);
        assert_eq!(asked.join().unwrap(), reply);
    }
}

/// Asks; a scan that passed only empty slots is asked to go on.
fn scan_to(client: &mut Client, command: &str) -> String {
    let mut reply = client.ask(command);
    while command.starts_with("SCAN") && reply.ends_with("*0\r\n") {
        let cursor = reply.split("\r\n").nth(2).unwrap().to_owned();
        assert_ne!(cursor, "0", "nothing was found");
        reply = client.ask(&format!("SCAN {cursor} COUNT 1"));
    }
    if !command.starts_with("SCAN") {
        return reply;
    }
    // The cursor depends on the key's hash; that a key came is what counts.
    let keys = reply.find("\r\n*1\r\n").unwrap();
    format!("*2\r\n$1\r\n0{}", &reply[keys..])
}

#[test]
fn a_slot_that_nobody_serves_gives_an_error_after_a_while_and_not_before() {
    let server = Server::start();
    server.set_access(key_slot(b"foo"), Access::Parked);
    let started = Clock::start();
    let mut client = server.connect();
    client.check(&[("GET foo", "-CLUSTERDOWN Hash slot not served\r\n")]);
    // Both clocks count whole milliseconds.
    assert!(started.elapsed() + Duration::from_millis(2) >= crate::node::WAIT);
    client.check(&[("PING", "+PONG\r\n")]);
}

#[test]
fn writers_wait_while_the_journal_of_their_slot_is_long_and_readers_do_not() {
    let server = Server::start();
    let slot = key_slot(b"foo");
    server.node.store.lock(slot).journal_start();
    let (mut client, mut reader) = (server.connect(), server.connect());
    let value = vec![b'v'; 1 << 20];
    assert_eq!(client.ask_words(&[b"SET", b"foo", &value]), OK);
    client.send(b"INCR {foo}n\r\n");
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(reader.ask("GET {foo}n"), "$-1\r\n");
    assert_eq!(reader.ask("STRLEN foo"), ":1048576\r\n");
    assert!(!server.node.store.lock(slot).journal_take(2 << 20).is_empty());
    assert_eq!(client.receive(), b":1\r\n");
}

#[test]
fn requests_for_a_departed_slot_are_forwarded_then_redirected() {
    let (low, high) = pair();
    let slot = key_slot(b"bar");
    assert!(slot < SLOTS / 2);
    hand_over(slot, &low, &high);
    let moved = format!("-MOVED {slot} 127.0.0.1:{}\r\n", high.addr.port());
    for resp3 in [false, true] {
        let mut client = if resp3 { Client::connect_resp3(low.addr) } else { low.connect() };
        let null = if resp3 { "_\r\n" } else { "$-1\r\n" };
        client.check(&[
            ("DEL bar", if resp3 { ":1\r\n" } else { ":0\r\n" }),
            ("GET bar", null),
            ("SET bar 1", OK),
            ("INCR bar", ":2\r\n"),
            ("MGET bar {bar}none", &format!("*2\r\n$1\r\n2\r\n{null}")),
            ("SET bar x EX 0", "-ERR invalid expire time in 'set' command\r\n"),
        ]);
    }
    assert_eq!(low.node.counters.forwarded.load(Ordering::Relaxed), 12);
    assert_eq!(high.connect().ask("GET bar"), "$1\r\n2\r\n");
    let mut client = low.connect();
    // How many depends on how fast they come: the share rises with time.
    let forwarded = (0..).map(|_| client.ask("GET bar")).take_while(|reply| *reply != moved);
    assert!(forwarded.count() > 0, "the first request of a connection is redirected already");
    std::thread::sleep(Duration::from_secs(2));
    client.check(&[("GET bar", &moved), ("GET bar", &moved)]);
}

#[test]
fn a_transaction_for_a_departed_slot_runs_at_the_new_owner() {
    let (low, high) = pair();
    let slot = key_slot(b"bar");
    let (mut before, mut watching) = (low.connect(), low.connect());
    before.check(&[("MULTI", OK), ("SET bar 1", "+QUEUED\r\n")]);
    watching.check(&[("WATCH bar", OK)]);
    hand_over(slot, &low, &high);
    before.check(&[
        ("INCR bar", "+QUEUED\r\n"),
        ("EXEC", "*2\r\n+OK\r\n:2\r\n"),
        ("EXEC", "-ERR EXEC without MULTI\r\n"),
    ]);
    watching.check(&[("MULTI", OK), ("SET bar x", "+QUEUED\r\n"), ("EXEC", "*-1\r\n")]);
    high.connect().check(&[("GET bar", "$1\r\n2\r\n")]);
}

#[test]
fn a_forwarded_request_waits_at_an_owner_that_does_not_know_it_yet() {
    let (low, high) = pair();
    let slot = key_slot(b"bar");
    // The old owner has sent the last message; the new one has not received it.
    low.node.departed(slot);
    low.set_access(slot, Access::Away);
    let owner = |at| Some(u16::from(at == slot || at >= SLOTS / 2));
    low.node.routes.store(Arc::new(routes(&[&low.node, &high.node], owner)));
    let mut client = low.connect();
    client.send(b"SET bar 1\r\n");
    std::thread::sleep(Duration::from_millis(20));
    high.set_access(slot, Access::Open);
    assert_eq!(client.receive(), b"+OK\r\n");
}

#[test]
fn two_nodes_that_each_believe_in_the_other_answer_all_the_same() {
    let (low, high) = pair();
    let slot = key_slot(b"bar");
    for (server, other) in [(&low, &high), (&high, &low)] {
        server.node.departed(slot);
        server.set_access(slot, Access::Away);
        let before = server.node.routes.load_full();
        let owner = |at| if at == slot { Some(1) } else { before.owner_index(at) };
        server.node.routes.store(Arc::new(routes(&[&server.node, &other.node], owner)));
    }
    let started = Clock::start();
    let reply = low.connect().ask("GET bar");
    assert!(reply.starts_with(&format!("-MOVED {slot} 127.0.0.1:")), "{reply}");
    assert!(started.elapsed() < crate::node::WAIT, "each waited for the other");
}

#[test]
fn an_owner_that_cannot_be_reached_is_tried_again_until_clients_are_sent_there() {
    let (low, high) = pair();
    let slot = key_slot(b"bar");
    let moved = format!("-MOVED {slot} 127.0.0.1:{}\r\n", high.addr.port());
    hand_over(slot, &low, &high);
    drop(high);
    let started = Clock::start();
    let mut client = low.connect();
    client.check(&[("INCR bar", &moved)]);
    assert!(started.elapsed() > Duration::from_secs(1), "nothing was sent: worth waiting for");
    client.check(&[("PING", "+PONG\r\n")]);
}

/// A peer that closes without a reply to the first forwarded request, and answers the second one.
fn unreliable_peer(listener: TcpListener) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut requests = Vec::new();
        for reply in [None, Some(b"$-1\r\n")] {
            let (mut socket, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"bar\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                seen.extend(byte);
            }
            requests.push(String::from_utf8(seen).unwrap());
            if let Some(reply) = reply {
                socket.write_all(reply).unwrap();
            }
        }
        requests
    })
}

#[test]
fn a_read_whose_reply_was_lost_is_sent_again_and_a_write_is_not() {
    for (command, reply, times) in [
        ("GET bar", "$-1\r\n".to_owned(), 2),
        ("GETDEL bar", "-CLUSTERDOWN the owner of slot 5061 cannot be reached\r\n".to_owned(), 1),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let bus_port = listener.local_addr().unwrap().port();
        let (low, high) = pair();
        hand_over(key_slot(b"bar"), &low, &high);
        let mut to_peer = (**low.node.routes.load()).clone();
        to_peer.peers[1].ports.bus = bus_port;
        low.node.routes.store(Arc::new(to_peer));
        let peer = unreliable_peer(listener);
        let mut client = low.connect();
        client.check(&[(command, &reply)]);
        if times == 1 {
            // Lets the peer end.
            client.check(&[("GET bar", "$-1\r\n")]);
        }
        let requests = peer.join().unwrap();
        assert!(requests[0].starts_with("ringcache-forward 3 resp2\n*"), "{requests:?}");
        assert_eq!(requests[0] == requests[1], times == 2, "{requests:?}");
    }
}

#[test]
fn a_slot_that_moves_between_two_flushes_is_flushed_all_the_same() {
    let (to, from) = pair();
    let (mut at_to, mut at_from) = (to.connect(), from.connect());
    let slot = key_slot(b"foo");
    assert!(slot >= SLOTS / 2, "the second node's");
    assert_eq!(at_from.ask("SET foo old"), OK);
    // The new owner is asked while the slot is on its way to it.
    to.node.store.lock(slot).set(b"foo", b"old", None, 1);
    assert_eq!(at_to.ask("FLUSHALL"), OK);
    hand_over(slot, &from, &to);
    assert_eq!(at_to.ask("GET foo"), "$3\r\nold\r\n");
    assert_eq!(at_from.ask("FLUSHALL"), OK);
    assert_eq!(at_to.ask("GET foo"), "$-1\r\n");
    // Only what had moved: the rest of the new owner is its own business.
    assert!(key_slot(b"bar") < SLOTS / 2, "the first node's");
    assert_eq!(at_to.ask("SET bar 1"), OK);
    assert_eq!(at_from.ask("FLUSHALL"), OK);
    assert_eq!(at_to.ask("GET bar"), "$1\r\n1\r\n");
    // Not for clients.
    assert_eq!(at_to.ask("FLUSHALL RC.SLOTS 0 16383"), "-ERR syntax error\r\n");
}

#[test]
fn a_flush_waits_for_a_parked_slot_and_clears_the_others_once() {
    let server = Server::start();
    let (mut client, mut flusher) = (server.connect(), server.connect());
    client.check(&[("SET foo 1", OK), ("SET bar 1", OK)]);
    server.set_access(key_slot(b"foo"), Access::Parked);
    flusher.send(b"FLUSHALL\r\n");
    super::eventually("the open slots are cleared", || {
        server.connect().ask("GET bar") == "$-1\r\n"
    });
    // Acknowledged after the flush of its slot: it stays.
    client.check(&[("SET bar 2", OK)]);
    std::thread::sleep(Duration::from_millis(20));
    server.set_access(key_slot(b"foo"), Access::Open);
    assert_eq!(flusher.receive(), OK.as_bytes());
    client.check(&[("GET foo", "$-1\r\n"), ("GET bar", "$1\r\n2\r\n")]);
}

#[test]
fn a_flush_waits_for_a_slot_that_its_new_owner_waits_for() {
    let (low, high) = pair();
    let mut client = low.connect();
    let slot = key_slot(b"bar");
    assert_eq!(client.ask("SET bar 1"), OK);
    hand_over(slot, &low, &high);
    high.set_access(slot, Access::Parked);
    client.send(b"FLUSHALL\r\n");
    super::eventually("it waits", || low.node.counters.waited.load(Ordering::Relaxed) > 0);
    high.set_access(slot, Access::Open);
    assert_eq!(client.receive(), OK.as_bytes());
}
