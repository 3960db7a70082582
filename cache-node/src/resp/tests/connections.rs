//! Connections: opening, order, limits, ending.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ringcache_wire::encode_command;
use ringcache_wire::table::COMMANDS;

use super::{Client, PATIENCE, Server, check, eventually};

const OK: &str = "+OK\r\n";

#[test]
fn hello_answers_in_the_version_it_asks_for() {
    let server = Server::start();
    let mut client = server.connect();
    let fields = |map: &str, proto, id| {
        format!(
            "{map}\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.4.0\r\n$5\r\nproto\r\n:{proto}\r\n\
             $2\r\nid\r\n:{id}\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n\
             $7\r\nmodules\r\n*0\r\n"
        )
    };
    let id: u64 = client.ask("CLIENT ID").trim_matches([':', '\r', '\n']).parse().unwrap();
    assert_eq!(client.ask("HELLO"), fields("*14", 2, id));
    assert_eq!(client.ask("HELLO 3 AUTH default any SETNAME me"), fields("%7", 3, id));
    client.check(&[
        ("GET none", "_\r\n"),
        ("CLIENT GETNAME", "$2\r\nme\r\n"),
        ("HELLO 4", "-NOPROTO unsupported protocol version\r\n"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range\r\n"),
        ("HELLO 3 NOPE", "-ERR Syntax error in HELLO option 'NOPE'\r\n"),
        (
            "HELLO 2 AUTH other any",
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
        ),
        ("GET none", "_\r\n"),
        ("RESET", "+RESET\r\n"),
        ("GET none", "$-1\r\n"),
        ("CLIENT GETNAME", "$-1\r\n"),
    ]);
    let other = server.connect().ask("CLIENT ID");
    assert_eq!(other, format!(":{}\r\n", id + 1), "ids are unique and rise");
}

#[test]
fn an_inline_hello_opens_resp3() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(b"HELLO 3\r\n");
    assert!(client.receive().starts_with(b"%7\r\n"));
    client.send(b"SET k \"a b\"\r\nGET k\r\n");
    assert_eq!(client.receive(), b"+OK\r\n");
    assert_eq!(client.receive(), b"$3\r\na b\r\n");
}

#[test]
fn commands_about_the_connection_answer_as_redis_without_a_password() {
    check(&[
        ("PING", "+PONG\r\n"),
        ("PING x", "$1\r\nx\r\n"),
        ("PING x y", "-ERR wrong number of arguments for 'ping' command\r\n"),
        ("ECHO x", "$1\r\nx\r\n"),
        ("SELECT 0", OK),
        ("SELECT 1", "-ERR SELECT is not allowed in cluster mode\r\n"),
        ("SELECT x", "-ERR value is not an integer or out of range\r\n"),
        (
            "AUTH secret",
            "-ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?\r\n",
        ),
        ("AUTH default any", OK),
        ("AUTH a b c", "-ERR syntax error\r\n"),
        ("READONLY", OK),
        ("READWRITE", OK),
        ("ASKING", OK),
        ("SUBSCRIBE c", "-ERR unknown command 'SUBSCRIBE', with args beginning with: 'c' \r\n"),
        (
            "RC.FWD 1 PING",
            "-ERR unknown command 'RC.FWD', with args beginning with: '1' 'PING' \r\n",
        ),
    ]);
    let server = Server::start();
    let mut client = Client::connect_resp3(server.addr);
    client.check(&[
        (
            "CONFIG GET cluster-require-full-coverage nope",
            "%1\r\n$29\r\ncluster-require-full-coverage\r\n$3\r\nyes\r\n",
        ),
        ("CONFIG GET SAVE", "%1\r\n$4\r\nsave\r\n$0\r\n\r\n"),
        ("CONFIG SET save x", "-ERR unknown subcommand 'SET'. Try CONFIG HELP.\r\n"),
    ]);
    assert!(client.ask("INFO server").starts_with('='));
    assert!(client.ask("INFO").contains("\r\nredis_mode:cluster\r\n"));
    assert!(server.connect().ask("INFO keyspace").starts_with("$12\r\n# Keyspace\r\n"));
}

#[test]
fn clients_name_themselves_and_see_each_other() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[
        ("CLIENT SETNAME me", OK),
        ("CLIENT GETNAME", "$2\r\nme\r\n"),
        ("CLIENT SETINFO LIB-NAME lib", OK),
        ("CLIENT SETINFO lib-ver 1.2", OK),
        ("CLIENT SETINFO nope 1", "-ERR Unrecognized option 'nope'\r\n"),
        ("CLIENT NO-EVICT ON", OK),
        ("CLIENT NO-TOUCH yes", "-ERR syntax error\r\n"),
        ("CLIENT NO-TOUCH ON", OK),
        ("CLIENT MAINT_NOTIFICATIONS ON", "-ERR CLIENT MAINT_NOTIFICATIONS is not supported\r\n"),
        ("CLIENT KILL 1.2.3.4:5", "-ERR No such client\r\n"),
    ]);
    assert_eq!(
        client.ask_words(&[b"CLIENT", b"SETNAME", b"a b"]),
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
    );
    let info = client.ask("CLIENT INFO");
    for field in [" name=me ", " flags=eT ", " resp=2 ", " lib-name=lib ", " lib-ver=1.2\n"] {
        assert!(info.contains(field), "{field} in {info}");
    }
    let mut other = server.connect();
    other.ask("PING");
    let id = other.ask("CLIENT ID");
    let id = id.trim_matches([':', '\r', '\n']);
    assert_eq!(client.ask("CLIENT LIST").matches("id=").count(), 2);
    assert_eq!(client.ask(&format!("CLIENT LIST ID {id}")).matches("id=").count(), 1);
    assert_eq!(client.ask("CLIENT LIST TYPE master").matches("id=").count(), 0);
    client.check(&[("CLIENT KILL TYPE normal SKIPME yes", ":1\r\n")]);
    assert_eq!(other.receive_all(), b"");
    client.check(&[("PING", "+PONG\r\n")]);
}

#[test]
fn looking_without_touching_counts_neither_hits_nor_misses() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("CLIENT NO-TOUCH ON", OK), ("SET k v", OK), ("GET k", "$1\r\nv\r\n")]);
    assert_eq!(server.node.store.stats().hits, 0);
    client.check(&[("CLIENT NO-TOUCH OFF", OK), ("GET k", "$1\r\nv\r\n")]);
    assert_eq!(server.node.store.stats().hits, 1);
}

#[test]
fn replies_that_are_not_wanted_are_not_sent() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(b"CLIENT REPLY OFF\r\nSET k 1\r\nNOPE\r\nCLIENT REPLY ON\r\nGET k\r\n");
    assert_eq!(client.receive(), b"+OK\r\n");
    assert_eq!(client.receive(), b"$1\r\n1\r\n");
    client.send(b"CLIENT REPLY SKIP\r\nGET k\r\nPING\r\n");
    assert_eq!(client.receive(), b"+PONG\r\n");
    client.send(b"CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nPING\r\nPING\r\nCLIENT REPLY ON\r\n");
    assert_eq!(client.receive(), b"+OK\r\n");
}

#[test]
fn a_pipeline_is_answered_in_order_however_it_is_cut() {
    let server = Server::start();
    let mut client = server.connect();
    let (mut requests, mut expected) = (Vec::new(), Vec::new());
    for n in 0..5000 {
        let (key, value) = (format!("key:{}", n % 700), "x".repeat(n % 90));
        encode_command(&mut requests, &[b"SET", key.as_bytes(), value.as_bytes()]);
        encode_command(&mut requests, &[b"GET", key.as_bytes()]);
        expected.extend(format!("+OK\r\n${}\r\n{value}\r\n", value.len()).into_bytes());
    }
    let mut writer = client.socket.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let mut rest = &requests[..];
        for size in (1..).map(|n| n * 37 % 9001 + 1) {
            let (chunk, later) = rest.split_at(size.min(rest.len()));
            writer.write_all(chunk).unwrap();
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
    });
    let mut received = Vec::new();
    while received.len() < expected.len() {
        received.extend(client.receive());
    }
    sender.join().unwrap();
    assert!(received == expected);
    eventually("commands are counted", || {
        server.node.counters.commands.load(Ordering::Relaxed) == 10_000
    });
    assert!(server.node.counters.last_request_ms.load(Ordering::Relaxed) > 0);
}

#[test]
fn requests_after_quit_are_not_run() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(b"SET k 1\r\nQUIT\r\nSET k 2\r\n");
    assert_eq!(client.receive_all(), b"+OK\r\n+OK\r\n");
    assert_eq!(server.connect().ask("GET k"), "$1\r\n1\r\n");
}

#[test]
fn one_client_too_many_is_told_so_and_has_a_place_again_later() {
    let server = Server::start_with(|args| args.max_clients = 3);
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "+PONG\r\n");
    }
    let mut late = server.connect();
    assert_eq!(late.receive_all(), b"-ERR max number of clients reached\r\n");
    assert_eq!(server.node.counters.connections_rejected.load(Ordering::Relaxed), 1);
    clients.pop();
    eventually("a place is free", || server.node.counters.connections.load(Ordering::Relaxed) == 2);
    assert_eq!(server.connect().ask("PING"), "+PONG\r\n");
}

#[test]
fn a_client_that_does_not_read_is_held_up_and_others_go_on() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask_words(&[b"SET", b"k", &vec![b'v'; 1 << 20]]);
    // 200 MB of replies, were they produced. The socket's buffers take a few.
    client.send("GET k\r\n".repeat(200).as_bytes());
    let mut other = server.connect();
    for _ in 0..20 {
        assert_eq!(other.ask("PING"), "+PONG\r\n");
        std::thread::sleep(Duration::from_millis(10));
    }
    let hits = server.node.store.stats().hits;
    assert!(hits < 30, "{hits} replies were made for a client that does not read");
    for _ in 0..200 {
        assert_eq!(client.receive().len(), (1 << 20) + 12);
    }
}

#[test]
fn stopping_answers_what_was_asked_and_closes() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(client.ask("PING"), "+PONG\r\n");
    server.workers.stop();
    assert_eq!(client.receive_all(), b"");
    assert_eq!(server.node.counters.connections.load(Ordering::Relaxed), 0);
}

#[test]
fn replies_that_are_ready_go_out_before_a_request_waits() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("SET stays 1", "+OK\r\n"), ("SET moves 2", "+OK\r\n")]);
    let slot = ringcache_ring::key_slot(b"moves");
    server.set_access(slot, ringcache_store::Access::Parked);
    client.send(b"GET stays\r\nGET moves\r\nGET stays\r\n");
    // Held back, it would come behind the other's error, after three seconds.
    assert_eq!(client.receive(), b"$1\r\n1\r\n");
    server.set_access(slot, ringcache_store::Access::Open);
    assert_eq!(client.receive(), b"$1\r\n2\r\n");
    assert_eq!(client.receive(), b"$1\r\n1\r\n");
}

#[test]
fn no_command_replies_with_more_than_the_limit_whatever_its_arguments() {
    // The smallest node: replies of 4 MiB at most.
    let server = Server::start_with(|args| args.memory_bytes = 64 << 20);
    let limit = 4 << 20;
    let value = vec![b'v'; 1 << 20];
    for spec in COMMANDS {
        let subcommands = spec.subcommands.iter().map(|subcommand| subcommand.name);
        for name in subcommands.chain([spec.name]) {
            let words: Vec<&[u8]> = name.split('|').map(str::as_bytes).collect();
            for word in [&b"k"[..], b"client", b"1", b"*"] {
                for times in [1, 2, 5, 20_000] {
                    let mut client = Client::connect_resp3(server.addr);
                    client.ask_words(&[b"SET", b"k", &value]);
                    let mut args = words.clone();
                    args.extend(std::iter::repeat_n(word, times));
                    let length = client.ask_words(&args).len();
                    assert!(length <= limit, "{name} {times} times: {length} bytes");
                }
            }
        }
    }
    let mut client = server.connect();
    client.ask_words(&[b"SET", b"k", &value]);
    let three = client.ask("MGET k k k");
    assert!(three.starts_with("*3\r\n") && three.len() > 3 << 20);
    let too_long = "-ERR reply is longer than 4194304 bytes; ask for fewer keys at a time\r\n";
    assert_eq!(client.ask("MGET k k k k"), too_long);
    assert_eq!(client.ask("PING"), "+PONG\r\n");
}

/// A client that pipelines without a pause, and reads its replies, keeps the thread that serves it busy; others on the same thread
/// must have their turns.
#[test]
fn a_client_that_always_has_requests_ready_leaves_turns_to_others() {
    let server = Server::start_with(|args| args.threads = 1);
    let mut other = server.connect();
    other.check(&[("PING", "+PONG\r\n")]);
    let busy = server.connect();
    let mut replies = busy.socket.try_clone().unwrap();
    let reader = thread::spawn(move || std::io::copy(&mut replies, &mut std::io::sink()));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut socket = &busy.socket;
            let batch = b"*1\r\n$4\r\nPING\r\n".repeat(10_000);
            let clock = crate::clock::Clock::start();
            // If the other is never served, its patience ends first.
            while !over.load(Ordering::Relaxed) && clock.elapsed() < 2 * PATIENCE {
                socket.write_all(&batch).unwrap();
            }
            socket.shutdown(std::net::Shutdown::Both).unwrap();
        });
        let commands = &server.node.counters.commands;
        eventually("the busy one is served", || commands.load(Ordering::Relaxed) > 10_000);
        for _ in 0..100 {
            other.check(&[("PING", "+PONG\r\n")]);
        }
        over.store(true, Ordering::Relaxed);
    });
    let _ = reader.join().unwrap();
}

/// Many cheap requests before expensive ones do not make those look cheap.
#[test]
fn expensive_requests_in_a_pipeline_leave_turns_to_others() {
    let server = Server::start_with(|args| args.threads = 1);
    let (mut client, mut other) = (server.connect(), server.connect());
    let now = server.node.clock.unix_ms();
    for n in 0..10_000 {
        let key = format!("{{t}}{n}").into_bytes();
        server.node.store.lock(ringcache_ring::key_slot(b"{t}")).set(&key, b"v", None, now);
    }
    let slot = u64::from(ringcache_ring::key_slot(b"{t}"));
    let cursor = slot << ringcache_store::SCAN_POSITION_BITS;
    let scan = format!("SCAN {cursor} MATCH none COUNT 10000\r\n");
    let batch = "INCR c\r\n".repeat(63) + &scan.repeat(30) + "INCR c\r\n";
    let sees_half = (0..100).any(|_| {
        assert!(client.ask("SET c 0") == OK);
        client.send(batch.as_bytes());
        let count = std::iter::repeat_with(|| other.ask("GET c"))
            .find(|count| ["$2\r\n63\r\n", "$2\r\n64\r\n"].contains(&&count[..]));
        for _ in 0..64 + 30 {
            client.receive();
        }
        count.as_deref() == Some("$2\r\n63\r\n")
    });
    assert!(sees_half, "nobody was served meanwhile");
}

/// To free a value of a megabyte may take longer than a hundred short requests.
#[test]
fn the_clock_is_looked_at_after_a_request_that_frees_a_large_value() {
    let server = Server::start_with(|args| args.threads = 1);
    let (mut client, mut other) = (server.connect(), server.connect());
    let value = vec![b'v'; 1 << 20];
    for free in ["SET large x", "DEL large", "EXPIRE large -1"] {
        let sees_half = (0..50).any(|_| {
            assert_eq!(client.ask_words(&[b"SET", b"large", &value]), OK);
            client.check(&[("SET c 0", OK)]);
            // The turn is over when the first request for it is answered.
            let slow = server.node.store.lock(ringcache_ring::key_slot(b"slow"));
            client.send(format!("INCR c\r\nGET slow\r\n{free}\r\nINCR c\r\n").as_bytes());
            thread::sleep(Duration::from_millis(5));
            other.send(b"GET c\r\n");
            thread::sleep(Duration::from_millis(5));
            drop(slow);
            for _ in 0..4 {
                client.receive();
            }
            other.receive() == b"$1\r\n1\r\n"
        });
        assert!(sees_half, "nobody was served behind {free}");
    }
}
