//! Requests that another node has to answer, and what the clients of this one notice of it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ringcache_ring::key_slot;
use ringcache_store::Access;
use ringcache_wire::encode_command;

use super::cluster::{hand_over, pair, pair_with};
use super::memory::take_rest;
use super::{Client, Clock, Server, eventually};

const OK: &str = "+OK\r\n";

/// Makes the node forward to `listener` what it would forward to its peer.
fn forward_to(listener: &TcpListener, node: &Server) {
    let mut routes = (**node.node.routes.load()).clone();
    routes.peers[1].ports.bus = listener.local_addr().unwrap().port();
    node.node.routes.store(Arc::new(routes));
}

/// A peer that is stopped: it takes connections and requests, and answers nothing. It ends with the test.
fn stopped_peer() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// The next link that a node opens to the peer.
fn accept(peer: &TcpListener) -> TcpStream {
    peer.set_nonblocking(true).unwrap();
    let mut link = None;
    eventually("a link", || {
        link = peer.accept().ok().map(|(link, _)| link);
        link.is_some()
    });
    let link = link.unwrap();
    link.set_nonblocking(false).unwrap();
    link.set_read_timeout(Some(super::PATIENCE)).unwrap();
    link
}

#[test]
fn replies_that_are_ready_do_not_wait_for_a_request_that_an_owner_does_not_answer() {
    let (low, high) = pair();
    let peer = stopped_peer();
    hand_over(key_slot(b"bar"), &low, &high);
    forward_to(&peer, &low);
    let started = Clock::start();
    let mut client = low.connect();
    let stays = "{b}";
    assert!(key_slot(stays.as_bytes()) < 8192);
    let mut pipeline = Vec::new();
    for n in 0..8 {
        pipeline.extend(format!("SET {stays}{n} 1\r\n").bytes());
    }
    for _ in 0..16 {
        pipeline.extend(b"INCR bar\r\n");
    }
    client.send(&pipeline);
    for _ in 0..8 {
        assert_eq!(client.receive(), OK.as_bytes());
    }
    assert!(started.elapsed() < crate::node::WAIT, "they waited for the others");
}

#[test]
fn a_push_does_not_wait_for_a_request_that_an_owner_does_not_answer() {
    let (low, high) = pair();
    let peer = stopped_peer();
    hand_over(key_slot(b"bar"), &low, &high);
    forward_to(&peer, &low);
    let started = Clock::start();
    let mut reader = Client::connect_resp3(low.addr);
    reader.check(&[("CLIENT TRACKING ON", OK), ("GET b", "_\r\n")]);
    reader.send(b"INCR bar\r\n");
    // The request is on its way when the peer has been connected to.
    let _link = accept(&peer);
    low.connect().check(&[("SET b 1", OK)]);
    assert_eq!(reader.receive(), b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nb\r\n");
    assert!(started.elapsed() < crate::node::WAIT, "it waited for the reply");
}

#[test]
fn a_reply_that_was_switched_off_is_taken_back_also_after_others_were_written() {
    let (low, high) = pair();
    hand_over(key_slot(b"bar"), &low, &high);
    let mut client = low.connect();
    client.send(b"PING\r\nCLIENT REPLY SKIP\r\nSET bar 1\r\nPING\r\nGET bar\r\n");
    assert_eq!(client.receive(), b"+PONG\r\n");
    assert_eq!(client.receive(), b"+PONG\r\n");
    assert_eq!(client.receive(), b"$1\r\n1\r\n");
}

#[test]
fn a_request_that_waits_at_the_owner_does_not_hold_up_others_on_the_link() {
    let (low, high) = pair();
    for key in ["bar", "b"] {
        hand_over(key_slot(key.as_bytes()), &low, &high);
    }
    high.set_access(key_slot(b"bar"), Access::Parked);
    let mut waiting: Vec<Client> = (0..4).map(|_| low.connect()).collect();
    for client in &mut waiting {
        client.send(b"INCR bar\r\n");
    }
    let waits = || [&low, &high].map(|node| node.node.counters.waited.load(Ordering::Relaxed));
    eventually("one waits", || waits().iter().sum::<u64>() > 0);
    let started = Clock::start();
    for _ in 0..4 {
        // Over each worker's link.
        low.connect().check(&[("GET b", "$-1\r\n")]);
    }
    assert!(started.elapsed() < crate::node::WAIT / 2, "they waited behind the others");
    high.set_access(key_slot(b"bar"), Access::Open);
    let mut counts: Vec<Vec<u8>> = waiting.iter_mut().map(Client::receive).collect();
    counts.sort();
    assert_eq!(counts, [b":1\r\n", b":2\r\n", b":3\r\n", b":4\r\n"]);
}

#[test]
fn a_transaction_waits_for_a_parked_slot_of_the_new_owner_and_runs_once() {
    let (low, high) = pair();
    hand_over(key_slot(b"bar"), &low, &high);
    high.set_access(key_slot(b"bar"), Access::Parked);
    let mut client = low.connect();
    client.check(&[("MULTI", OK), ("INCR bar", "+QUEUED\r\n"), ("INCR bar", "+QUEUED\r\n")]);
    client.send(b"EXEC\r\n");
    let waits = || [&low, &high].map(|node| node.node.counters.waited.load(Ordering::Relaxed));
    eventually("it waits", || waits().iter().sum::<u64>() == 1);
    high.set_access(key_slot(b"bar"), Access::Open);
    assert_eq!(client.receive(), b"*2\r\n:1\r\n:2\r\n");
    client.check(&[("EXEC", "-ERR EXEC without MULTI\r\n"), ("GET bar", "$1\r\n2\r\n")]);
}

#[test]
fn a_request_follows_a_slot_that_was_handed_on() {
    let (low, high) = pair();
    let third = Server::start_with(|args| args.name = "web-2".into());
    let slot = key_slot(b"bar");
    hand_over(slot, &low, &high);
    hand_over(slot, &high, &third);
    low.connect().check(&[("SET bar 1", OK), ("GET bar", "$1\r\n1\r\n")]);
    third.connect().check(&[("GET bar", "$1\r\n1\r\n")]);
}

#[test]
fn a_flush_whose_forwarded_part_may_or_may_not_have_run_is_an_error_and_is_not_sent_again() {
    let (low, high) = pair();
    let peer = stopped_peer();
    hand_over(key_slot(b"bar"), &low, &high);
    forward_to(&peer, &low);
    let mut client = low.connect();
    client.send(b"FLUSHALL\r\n");
    let mut link = accept(&peer);
    read_until(&mut link, b"\r\n");
    let error = "-CLUSTERDOWN not every new owner of a slot has flushed it\r\n";
    assert_eq!(client.receive(), error.as_bytes());
    let mut rest = Vec::new();
    link.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.windows(8).filter(|window| window == b"FLUSHALL").count(), 1);
}

/// Reads what another node sends, up to these bytes.
fn read_until(socket: &mut TcpStream, end: &[u8]) {
    let mut seen = Vec::new();
    while !seen.ends_with(end) {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
}

#[test]
fn an_error_of_the_owner_however_long_leaves_the_link_as_it_is() {
    let (low, high) = pair();
    let peer = stopped_peer();
    hand_over(key_slot(b"bar"), &low, &high);
    forward_to(&peer, &low);
    let mut client = low.connect();
    client.send(b"EXPIRE bar 10 x\r\n");
    let mut link = accept(&peer);
    read_until(&mut link, b"\r\nx\r\n");
    let error = format!("-ERR {}\r\n", "x".repeat(100 << 10));
    link.write_all(error.as_bytes()).unwrap();
    assert_eq!(client.receive(), error.as_bytes());
    // The next request comes over the same link.
    client.send(b"GET bar\r\n");
    read_until(&mut link, b"\r\nbar\r\n");
    link.write_all(b"$-1\r\n").unwrap();
    assert_eq!(client.receive(), b"$-1\r\n");
}

#[test]
fn a_value_that_no_owner_would_take_is_refused_here() {
    let (low, high) = pair();
    hand_over(key_slot(b"bar"), &low, &high);
    let mut client = low.connect();
    let too_long = vec![b'v'; (1 << 20) + 1];
    let refused = "-ERR value is longer than 1048576 bytes\r\n";
    assert_eq!(client.ask_words(&[b"SET", b"bar", &too_long]), refused);
    assert_eq!(low.node.counters.forwarded.load(Ordering::Relaxed), 0);
    assert_eq!(client.ask_words(&[b"SET", b"bar", &too_long[1..]]), OK);
}

#[test]
fn a_large_request_has_a_link_of_its_own_which_small_ones_do_not_wait_for() {
    // One worker: all share its links.
    let (low, high) = pair_with(|args| args.threads = 1);
    let peer = stopped_peer();
    hand_over(key_slot(b"bar"), &low, &high);
    forward_to(&peer, &low);
    let (mut large, mut small) = (low.connect(), low.connect());
    let mut request = Vec::new();
    encode_command(&mut request, &[b"SET", b"bar", &vec![b'v'; 1 << 20]]);
    large.send(&request);
    let _large_link = accept(&peer);
    small.send(b"GET bar\r\n");
    let mut link = accept(&peer);
    read_until(&mut link, b"\r\nbar\r\n");
    link.write_all(b"$-1\r\n").unwrap();
    assert_eq!(small.receive(), b"$-1\r\n");
}

/// Writes `{bar}0` and so on, whose slot `owner` has, and returns their names.
fn write_many(owner: &Server, count: usize) -> Vec<Vec<u8>> {
    let names: Vec<_> = (0..count).map(|n| format!("{{bar}}{n}").into_bytes()).collect();
    let pairs = names.iter().flat_map(|name| [name.as_slice(), b"v"]);
    let words: Vec<&[u8]> = std::iter::once(&b"MSET"[..]).chain(pairs).collect();
    assert_eq!(owner.connect().ask_words(&words), OK);
    names
}

fn delete(names: &[Vec<u8>]) -> Vec<&[u8]> {
    std::iter::once(&b"DEL"[..]).chain(names.iter().map(Vec::as_slice)).collect()
}

#[test]
fn a_forwarded_deletion_that_has_to_wait_half_way_at_the_owner_counts_every_key_once() {
    let (low, high) = pair();
    let slot = key_slot(b"bar");
    hand_over(slot, &low, &high);
    let over = AtomicBool::new(false);
    let mut counts = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for access in [Access::Parked, Access::Open] {
                    high.set_access(slot, access);
                    std::thread::sleep(Duration::from_micros(300));
                }
            }
        });
        for _ in 0..20 {
            let names = write_many(&high, 2000);
            // Anew: one request in 64 is answered with `MOVED`.
            low.node.departed(slot);
            counts.push(low.connect().ask_words(&delete(&names)));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(counts.iter().all(|count| count == ":2000\r\n"), "{counts:?}");
}

#[test]
fn a_deletion_that_two_handovers_interrupt_counts_every_key_once() {
    let (low, high) = pair();
    let third = Server::start_with(|args| args.name = "web-2".into());
    let peer = stopped_peer();
    hand_over(key_slot(b"bar"), &low, &high);
    forward_to(&peer, &low);
    let names = write_many(&third, 100);
    let mut client = low.connect();
    let mut request = Vec::new();
    encode_command(&mut request, &delete(&names));
    client.send(&request);
    let mut link = accept(&peer);
    // The owner deletes 64 keys and has to wait, then 128, and hands the slot on.
    let third = third.node.args.bus_port;
    for answer in ["-RC.WAIT 64\r\n".to_owned(), format!("-RC.ASK {third} 127.0.0.1 128\r\n")] {
        read_until(&mut link, b"{bar}99\r\n");
        link.write_all(answer.as_bytes()).unwrap();
    }
    assert_eq!(client.receive(), b":292\r\n");
}

#[test]
fn a_push_does_not_take_the_room_of_the_reply_to_a_forwarded_write() {
    let (low, high) = pair_with(|args| args.memory_bytes = 64 << 20);
    let peer = stopped_peer();
    hand_over(key_slot(b"bar"), &low, &high);
    forward_to(&peer, &low);
    let mut client = Client::connect_resp3(low.addr);
    client.check(&[("CLIENT TRACKING ON", OK), ("GET b", "_\r\n")]);
    client.send(b"GETDEL bar\r\n");
    let mut link = accept(&peer);
    read_until(&mut link, b"\r\nbar\r\n");
    low.connect().check(&[("SET b 1", OK)]);
    assert!(client.receive().starts_with(b">2\r\n$10\r\ninvalidate"));
    let _all = take_rest(&low);
    let value = vec![b'v'; 1 << 20];
    let reply = [b"$1048576\r\n", value.as_slice(), b"\r\n"].concat();
    link.write_all(&reply).unwrap();
    assert!(client.receive() == reply, "the value is deleted, and the client does not have it");
}

#[test]
fn the_replies_of_a_forwarded_transaction_have_their_room_before_it_is_sent() {
    let (low, high) = pair_with(|args| args.memory_bytes = 64 << 20);
    let peer = stopped_peer();
    let long = vec![b'v'; 8 << 10];
    let float = format!("{}.5", "9".repeat(300));
    let mut client = low.connect();
    client.check(&[("MULTI", OK)]);
    let mget = [&b"MGET"[..], b"bar", b"bar", b"bar"];
    let mut queue: Vec<Vec<&[u8]>> = vec![vec![b"ECHO", &long], vec![b"PING", &long], mget.into()];
    queue.resize(40, vec![b"INCRBYFLOAT", b"{bar}f", float.as_bytes()]);
    for words in &queue {
        assert_eq!(client.ask_words(words), "+QUEUED\r\n");
    }
    hand_over(key_slot(b"bar"), &low, &high);
    forward_to(&peer, &low);
    client.send(b"EXEC\r\n");
    let mut link = accept(&peer);
    // Whole, as the origin would not leave the rest unsent for a reply.
    read_until(&mut link, b"\r\nMGET\r\n$3\r\nbar\r\n$3\r\nbar\r\n$3\r\nbar\r\n");
    let _all = take_rest(&low);
    let bulk = |value: &[u8]| [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
    let mut reply = format!("*{}\r\n", queue.len()).into_bytes();
    reply.extend([bulk(&long), bulk(&long), b"*3\r\n".to_vec()].concat());
    reply.extend(bulk(&vec![b'v'; 1 << 20]).repeat(3));
    reply.extend(bulk(&vec![b'9'; 512]).repeat(queue.len() - 3));
    link.write_all(&reply).unwrap();
    assert!(client.receive() == reply, "it has run, and the client does not know");
}

#[test]
fn replies_of_an_owner_take_no_more_memory_than_there_is_and_are_asked_for_again() {
    let (low, high) = pair_with(|args| (args.memory_bytes, args.threads) = (64 << 20, 1));
    let (peer, slot) = (stopped_peer(), key_slot(b"bar"));
    hand_over(slot, &low, &high);
    forward_to(&peer, &low);
    let value = vec![b'v'; 1 << 20];
    let reply = [b"$1048576\r\n", value.as_slice(), b"\r\n"].concat();
    let asked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let mut client = low.connect();
        let ask = |client: &mut Client| {
            let before = asked.load(Ordering::Relaxed);
            // Anew: later it would be answered with `MOVED`.
            low.node.departed(slot);
            client.send(b"GET bar\r\n");
            before
        };
        ask(&mut client);
        let link = accept(&peer);
        let mut requests = link.try_clone().unwrap();
        let (asked, reply) = (&asked, &reply);
        scope.spawn(move || {
            let (mut seen, mut byte) = (Vec::new(), [0]);
            while requests.read_exact(&mut byte).is_ok() {
                seen.extend(byte);
                if seen.ends_with(b"\r\nbar\r\n") {
                    seen.clear();
                    asked.fetch_add(1, Ordering::Relaxed);
                    requests.write_all(reply).unwrap();
                }
            }
        });
        assert!(client.receive() == *reply);
        eventually("there was no memory for the reply", || {
            let _all = take_rest(&low);
            ask(&mut client);
            client.receive() == b"-OVERLOADED retry-after-ms=100\r\n"
        });
        // It may wait too long on a slow machine.
        eventually("it was asked for again when there was", || {
            let all = take_rest(&low);
            let before = ask(&mut client);
            std::thread::sleep(Duration::from_millis(50));
            drop(all);
            client.receive() == *reply && asked.load(Ordering::Relaxed) > before + 1
        });
        let _ = link.shutdown(std::net::Shutdown::Both);
    });
    let account = &low.node.account;
    eventually("the memory is given back", || account.used_bytes() < account.limit_bytes() / 8);
}

#[test]
fn the_copy_of_a_request_on_its_way_is_counted_with_what_surrounds_its_arguments() {
    let (low, _high) = pair();
    let peer = stopped_peer();
    let slot = key_slot(b"");
    low.set_access(slot, Access::Parked);
    let mut request = Vec::new();
    let mut words = vec![&b""[..]; 200_000];
    words[0] = b"EXISTS";
    encode_command(&mut request, &words);
    let mut client = low.connect();
    client.send(&request);
    let waited = &low.node.counters.waited;
    eventually("it waits for its slot", || waited.load(Ordering::Relaxed) > 0);
    let before = low.node.account.used_bytes();
    let mut routes = (**low.node.routes.load()).clone();
    routes.peers[1].ports.bus = peer.local_addr().unwrap().port();
    routes.set_owner(slot, Some(1));
    low.node.routes.store(Arc::new(routes));
    low.node.departed(slot);
    low.set_access(slot, Access::Away);
    let mut link = accept(&peer);
    read_until(&mut link, b"EXISTS\r\n");
    let copy = low.node.account.used_bytes() - before;
    assert!(copy >= request.len(), "{copy} bytes for {}", request.len());
}

#[test]
fn a_deletion_that_has_counted_keys_is_not_sent_back_to_the_client() {
    let (low, high) = pair();
    let peer = stopped_peer();
    hand_over(key_slot(b"bar"), &low, &high);
    forward_to(&peer, &low);
    let mut client = low.connect();
    client.send(b"DEL bar {bar}x\r\n");
    let mut link = accept(&peer);
    let mut answer = |answer: &str| {
        read_until(&mut link, b"\r\n{bar}x\r\n");
        link.write_all(answer.as_bytes()).unwrap();
    };
    answer("-RC.WAIT 1\r\n");
    // The owner expects that the slot comes back, for longer than requests usually wait for that.
    let ask = format!("-RC.ASK {} 127.0.0.1 0\r\n", low.node.args.bus_port);
    let clock = Clock::start();
    while clock.elapsed() < Duration::from_millis(300) {
        answer(&ask);
    }
    answer(":1\r\n");
    assert_eq!(client.receive(), b":2\r\n");
}
