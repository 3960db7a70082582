//! `CLIENT TRACKING`, byte for byte: what is registered, what is pushed, and in which order.

use std::sync::atomic::Ordering;

use ringcache_ring::key_slot;
use ringcache_store::Access;

use super::{Client, Server, eventually};

const OK: &str = "+OK\r\n";

fn push(key: &str) -> String {
    format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${}\r\n{key}\r\n", key.len())
}

const ALL: &str = ">2\r\n$10\r\ninvalidate\r\n_\r\n";

/// A connection that tracks keys.
fn tracking(server: &Server, options: &str) -> Client {
    let mut client = Client::connect_resp3(server.addr);
    let command = format!("CLIENT TRACKING ON {options}");
    client.check(&[(command.trim_end(), OK)]);
    client
}

impl Client {
    fn expect(&mut self, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&self.receive()), expected);
    }

    /// Nothing has been pushed: the next reply is this command's.
    fn expect_silence(&mut self) {
        self.check(&[("PING", "+PONG\r\n")]);
    }
}

#[test]
fn a_key_that_was_read_is_pushed_once_when_somebody_writes_it() {
    let server = Server::start();
    let (mut reader, mut writer) = (tracking(&server, ""), server.connect());
    reader.check(&[("GET k", "_\r\n"), ("MGET {k}1 {k}2", "*2\r\n_\r\n_\r\n")]);
    writer.check(&[("SET k 1", OK)]);
    reader.expect(&push("k"));
    writer.check(&[("SET k 2", OK), ("SET other 1", OK)]);
    reader.expect_silence();
    reader.check(&[("GET k", "$1\r\n2\r\n")]);
    writer.check(&[("EXPIRE k 100", ":1\r\n")]);
    reader.expect(&push("k"));
    reader.check(&[("PTTL none", ":-2\r\n"), ("EXISTS k", ":1\r\n")]);
    writer.check(&[("DEL k", ":1\r\n"), ("INCR {k}2", ":1\r\n")]);
    reader.expect(&push("k"));
    reader.expect(&push("{k}2"));
    reader.check(&[("CLIENT TRACKING OFF", OK)]);
    writer.check(&[("SET none 1", OK), ("SET {k}1 1", OK)]);
    reader.expect_silence();
}

#[test]
fn a_push_comes_behind_the_reply_of_the_own_write_and_behind_the_whole_exec() {
    let server = Server::start();
    let mut client = tracking(&server, "");
    client.send(b"GET k\r\nSET k 1\r\nGET k\r\n");
    client.expect("_\r\n");
    client.expect(OK);
    client.expect("$1\r\n1\r\n");
    client.expect(&push("k"));
    client.send(b"MULTI\r\nGET k\r\nSET k 2\r\nPTTL k\r\nEXEC\r\n");
    for reply in [OK, "+QUEUED\r\n", "+QUEUED\r\n", "+QUEUED\r\n"] {
        client.expect(reply);
    }
    client.expect("*3\r\n$1\r\n1\r\n+OK\r\n:-1\r\n");
    client.expect(&push("k"));
    client.expect_silence();
}

#[test]
fn a_half_read_request_is_kept_while_a_push_is_written() {
    let server = Server::start();
    let (mut reader, mut writer) = (tracking(&server, ""), server.connect());
    reader.check(&[("GET k", "_\r\n")]);
    reader.send(b"*2\r\n$4\r\nECHO\r\n$5\r\nhe");
    writer.check(&[("SET k 1", OK)]);
    reader.expect(&push("k"));
    reader.send(b"llo\r\n");
    reader.expect("$5\r\nhello\r\n");
}

#[test]
fn opt_in_registers_only_the_command_or_transaction_after_caching_yes() {
    let server = Server::start();
    let (mut reader, mut writer) = (tracking(&server, "OPTIN"), server.connect());
    reader.check(&[
        ("GET a", "_\r\n"),
        ("CLIENT CACHING YES", OK),
        ("CLIENT ID", ":1\r\n"),
        ("GET b", "_\r\n"),
        ("GET c", "_\r\n"),
        ("CLIENT CACHING YES", OK),
        ("MULTI", OK),
        ("PTTL d", "+QUEUED\r\n"),
        ("GET d", "+QUEUED\r\n"),
        ("EXEC", "*2\r\n:-2\r\n_\r\n"),
        ("GET e", "_\r\n"),
        ("CLIENT CACHING YES", OK),
        ("PING", "+PONG\r\n"),
        ("GET f", "_\r\n"),
    ]);
    for key in ["a", "b", "c", "d", "e", "f"] {
        writer.check(&[(&format!("SET {key} 1"), OK)]);
    }
    reader.expect(&push("b"));
    reader.expect(&push("d"));
    reader.expect_silence();
}

#[test]
fn opt_out_registers_all_but_the_command_after_caching_no() {
    let server = Server::start();
    let (mut reader, mut writer) = (tracking(&server, "OPTOUT"), server.connect());
    reader.check(&[("CLIENT CACHING NO", OK), ("GET a", "_\r\n"), ("GET b", "_\r\n")]);
    writer.check(&[("SET a 1", OK), ("SET b 1", OK)]);
    reader.expect(&push("b"));
    reader.expect_silence();
}

#[test]
fn no_loop_keeps_own_writes_back_and_nobody_elses() {
    let server = Server::start();
    let (mut reader, mut other) = (tracking(&server, "NOLOOP"), tracking(&server, ""));
    for client in [&mut reader, &mut other] {
        client.check(&[("GET a", "_\r\n"), ("GET b", "_\r\n")]);
    }
    reader.check(&[("SET a 1", OK)]);
    reader.expect_silence();
    other.expect(&push("a"));
    other.check(&[("SET b 1", OK)]);
    other.expect(&push("b"));
    reader.expect(&push("b"));
}

#[test]
fn expired_and_evicted_keys_are_pushed() {
    let server = Server::start();
    let mut reader = tracking(&server, "");
    reader.check(&[("SET dies 1 PX 30", OK), ("GET dies", "$1\r\n1\r\n")]);
    std::thread::sleep(std::time::Duration::from_millis(40));
    let now = server.node.clock.unix_ms();
    server.node.store.sweep(key_slot(b"dies") / 16, now, 100);
    reader.expect(&push("dies"));
    reader.check(&[("SET cold 1", OK), ("GET cold", "$1\r\n1\r\n")]);
    server.node.store.set_budget(0);
    assert!(server.node.store.reclaim(now, 100));
    reader.expect(&push("cold"));
}

#[test]
fn a_flush_is_one_push_to_everybody_who_tracks() {
    let server = Server::start();
    let (mut reader, mut other) = (tracking(&server, ""), tracking(&server, "OPTIN"));
    let mut writer = server.connect();
    reader.check(&[("SET a 1", OK), ("GET a", "$1\r\n1\r\n"), ("GET b", "_\r\n")]);
    writer.check(&[("FLUSHALL", OK), ("SET a 2", OK)]);
    reader.expect(ALL);
    other.expect(ALL);
    reader.expect_silence();
    writer.expect_silence();
}

#[test]
fn a_slot_that_leaves_takes_its_registrations_and_tracked_reads_are_not_forwarded() {
    let (server, other) = (Server::start(), Server::start_with(|args| args.name = "web-1".into()));
    let mut reader = tracking(&server, "");
    reader.check(&[("SET k 1", OK), ("GET k", "$1\r\n1\r\n"), ("GET {k}none", "_\r\n")]);
    let slot = key_slot(b"k");
    server.set_access(slot, Access::Parked);
    reader.expect_silence();
    server.node.departed(slot);
    server.set_access(slot, Access::Away);
    let both = [&server.node, &other.node];
    let routes = super::routes(&both, |at| Some(u16::from(at == slot)));
    server.node.routes.store(std::sync::Arc::new(routes));
    let mut pushed =
        [reader.receive(), reader.receive()].map(|push| String::from_utf8(push).unwrap());
    pushed.sort();
    assert_eq!(pushed, [push("k"), push("{k}none")]);
    let moved = format!("-MOVED {slot} 127.0.0.1:{}\r\n", other.addr.port());
    for _ in 0..5 {
        reader.check(&[("GET k", &moved), ("MULTI", OK)]);
        reader.send(b"GET k\r\n");
        reader.receive();
        assert!(reader.ask("EXEC").starts_with(['-']), "not forwarded either");
    }
    assert_eq!(server.node.counters.forwarded.load(Ordering::Relaxed), 0);
}

#[test]
fn modes_are_told_and_refused_in_the_words_of_redis() {
    let server = Server::start();
    let mut client = server.connect();
    let no_resp3 = "-ERR CLIENT TRACKING needs RESP3 (HELLO 3): REDIRECT is not supported\r\n";
    client.check(&[
        ("CLIENT TRACKING ON", no_resp3),
        ("CLIENT TRACKING OFF", OK),
        ("CLIENT GETREDIR", ":-1\r\n"),
        (
            "CLIENT TRACKINGINFO",
            "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n",
        ),
    ]);
    client.ask("HELLO 3");
    let unsupported = "-ERR BCAST, PREFIX and REDIRECT are not supported: CLIENT TRACKING takes OPTIN, OPTOUT and NOLOOP\r\n";
    let switch = "-ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
                  re-enabling it with a different mode.\r\n";
    client.check(&[
        ("CLIENT TRACKING", "-ERR wrong number of arguments for 'client|tracking' command\r\n"),
        ("CLIENT TRACKING maybe", "-ERR syntax error\r\n"),
        ("CLIENT TRACKING ON nope", "-ERR syntax error\r\n"),
        ("CLIENT TRACKING ON BCAST", unsupported),
        ("CLIENT TRACKING ON REDIRECT 1", unsupported),
        ("CLIENT TRACKING ON OPTIN OPTOUT", "-ERR You can't specify both OPTIN mode and OPTOUT mode\r\n"),
        (
            "CLIENT CACHING YES",
            "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled\r\n",
        ),
        ("CLIENT TRACKING ON OPTIN NOLOOP", OK),
        ("CLIENT GETREDIR", ":0\r\n"),
        ("CLIENT TRACKING ON OPTOUT", switch),
        ("CLIENT CACHING NO", "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.\r\n"),
        ("CLIENT CACHING perhaps", "-ERR syntax error\r\n"),
        ("CLIENT CACHING YES", OK),
        (
            "CLIENT TRACKINGINFO",
            "%3\r\n$5\r\nflags\r\n~4\r\n$2\r\non\r\n$5\r\noptin\r\n$11\r\ncaching-yes\r\n$6\r\nnoloop\r\n\
             $8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n",
        ),
        ("CLIENT TRACKING ON", OK),
        ("CLIENT CACHING YES", "-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.\r\n"),
    ]);
    let line = client.ask("CLIENT INFO");
    assert!(line.contains(" flags=t ") && line.contains(" redir=0 "), "{line}");
    client.ask("HELLO 2");
    client.check(&[("CLIENT GETREDIR", ":-1\r\n")]);
    client.ask("HELLO 3");
    client.check(&[
        ("CLIENT TRACKING ON", OK),
        ("RESET", "+RESET\r\n"),
        ("CLIENT GETREDIR", ":-1\r\n"),
    ]);
}

#[test]
fn who_takes_its_pushes_too_slowly_is_disconnected() {
    let server = Server::start();
    let mut reader = tracking(&server, "");
    let id = reader.ask("CLIENT ID").trim_matches([':', '\r', '\n']).parse().unwrap();
    let mut writer = server.connect();
    writer.ask_words(&[b"SET", b"big", &vec![b'x'; 1 << 20]]);
    let key = "k".repeat(1000);
    // Its replies fill the socket, so that the connection waits and its pushes stay where they are.
    reader.send(format!("GET {key}\r\n").as_bytes());
    reader.expect("_\r\n");
    for _ in 0..40 {
        reader.send(b"GET big\r\n");
    }
    let slot = key_slot(key.as_bytes());
    let now = server.node.clock.unix_ms();
    eventually("overrun", || {
        for _ in 0..200 {
            let mut guard = server.node.store.lock(slot);
            guard.track(key.as_bytes(), id);
            guard.set(key.as_bytes(), b"v", None, now);
        }
        server.node.counters.tracking_overruns.load(Ordering::Relaxed) == 1
    });
    let rest = reader.receive_all();
    assert!(rest.len() < 40 << 20, "cut off: {} bytes", rest.len());
    writer.expect_silence();
}
