//! `MULTI` and `WATCH`.

use super::{Server, check};

const OK: &str = "+OK\r\n";
const QUEUED: &str = "+QUEUED\r\n";
const ABORTED: &str = "-EXECABORT Transaction discarded because of previous errors.\r\n";

#[test]
fn a_transaction_runs_its_commands_in_order() {
    check(&[
        ("MULTI", OK),
        ("SET {t}a 1", QUEUED),
        ("INCR {t}a", QUEUED),
        ("GET {t}b", QUEUED),
        ("PING", QUEUED),
        ("EXEC", "*4\r\n+OK\r\n:2\r\n$-1\r\n+PONG\r\n"),
        ("MULTI", OK),
        ("EXEC", "*0\r\n"),
        ("MULTI", OK),
        ("ECHO x", QUEUED),
        ("EXEC", "*1\r\n$1\r\nx\r\n"),
        ("GET {t}a", "$1\r\n2\r\n"),
    ]);
}

#[test]
fn a_command_that_fails_does_not_stop_the_others() {
    check(&[
        ("SET k text", OK),
        ("MULTI", OK),
        ("INCR k", QUEUED),
        ("SET k 1", QUEUED),
        ("EXEC", "*2\r\n-ERR value is not an integer or out of range\r\n+OK\r\n"),
        ("GET k", "$1\r\n1\r\n"),
    ]);
}

#[test]
fn a_command_that_cannot_be_queued_aborts_the_transaction() {
    check(&[
        ("MULTI", OK),
        ("SET k v", QUEUED),
        ("NOPE", "-ERR unknown command 'NOPE', with args beginning with: \r\n"),
        ("EXEC", ABORTED),
        ("MULTI", OK),
        ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("EXEC", ABORTED),
        ("MULTI", OK),
        ("MGET a b", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"),
        ("EXEC", ABORTED),
        ("MULTI", OK),
        ("FLUSHALL", "-ERR Command 'flushall' is not allowed in a transaction\r\n"),
        ("EXEC", ABORTED),
        ("MULTI", OK),
        ("SET a v", QUEUED),
        ("SET b v", QUEUED),
        ("EXEC", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"),
        ("DBSIZE", ":0\r\n"),
    ]);
}

#[test]
fn transactions_do_not_nest_and_can_be_discarded() {
    check(&[
        ("EXEC", "-ERR EXEC without MULTI\r\n"),
        ("DISCARD", "-ERR DISCARD without MULTI\r\n"),
        ("MULTI", OK),
        ("MULTI", "-ERR MULTI calls can not be nested\r\n"),
        ("WATCH k", "-ERR WATCH inside MULTI is not allowed\r\n"),
        ("SET k v", QUEUED),
        ("DISCARD", OK),
        ("GET k", "$-1\r\n"),
        ("MULTI", OK),
        ("RESET", "+RESET\r\n"),
        ("EXEC", "-ERR EXEC without MULTI\r\n"),
    ]);
}

#[test]
fn exec_fails_if_a_watched_key_was_changed_and_only_then() {
    let server = Server::start();
    let (mut one, mut other) = (server.connect(), server.connect());
    let attempt = |one: &mut super::Client| {
        one.check(&[("MULTI", OK), ("SET k mine", QUEUED)]);
        one.ask("EXEC")
    };
    for change in ["SET k 2", "DEL k", "EXPIRE k 100"] {
        one.check(&[("SET k 1", OK), ("WATCH k", OK)]);
        other.ask(change);
        assert_eq!(attempt(&mut one), "*-1\r\n", "{change}");
        assert_eq!(attempt(&mut one), "*1\r\n+OK\r\n", "a failed EXEC ends the watch");
    }
    one.check(&[("WATCH k {k}none", OK)]);
    other.check(&[("GET k", "$4\r\nmine\r\n"), ("SET {k}else 1", OK)]);
    assert_eq!(attempt(&mut one), "*1\r\n+OK\r\n");
    one.check(&[("WATCH {k}none", OK)]);
    other.check(&[("SET {k}none 1", OK)]);
    assert_eq!(attempt(&mut one), "*-1\r\n", "a key that appeared has changed");
    one.check(&[("WATCH k", OK)]);
    other.check(&[("SET k 2", OK)]);
    one.check(&[("UNWATCH", OK)]);
    assert_eq!(attempt(&mut one), "*1\r\n+OK\r\n");
}

#[test]
fn a_transaction_is_bounded() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("MULTI", OK)]);
    let value = vec![b'v'; 1 << 20];
    let replies: Vec<String> = (0..8).map(|_| client.ask_words(&[b"SET", b"k", &value])).collect();
    assert_eq!(replies[..7], vec![QUEUED; 7]);
    assert_eq!(replies[7], "-ERR transaction is too large\r\n");
    client.check(&[("EXEC", ABORTED)]);
}

#[test]
fn a_transaction_whose_replies_would_be_too_long_does_nothing() {
    let server = Server::start_with(|args| args.memory_bytes = 1 << 30);
    let mut client = server.connect();
    let value = vec![b'v'; 1 << 20];
    assert_eq!(client.ask_words(&[b"SET", b"{t}big", &value]), OK);
    let most = "-EXECABORT Transaction discarded because its replies would be longer than 33554432 bytes.\r\n";
    for (gets, is_run) in [(31, true), (33, false)] {
        client.check(&[("DEL {t}a {t}z", ":0\r\n"), ("MULTI", OK), ("SET {t}a 1", QUEUED)]);
        for _ in 0..gets {
            assert_eq!(client.ask("GET {t}big"), QUEUED);
        }
        client.check(&[("SET {t}z 1", QUEUED)]);
        let reply = client.ask("EXEC");
        assert_eq!(reply == most, !is_run, "{reply:.200}");
        let both = if is_run { ":2\r\n" } else { ":0\r\n" };
        client.check(&[("EXISTS {t}a {t}z", both), ("DEL {t}a {t}z", both)]);
    }
}

#[test]
fn what_a_transaction_writes_itself_counts_for_its_replies() {
    let server = Server::start_with(|args| args.memory_bytes = 1 << 30);
    let mut client = server.connect();
    let value = vec![b'v'; 1 << 20];
    client.check(&[("MULTI", OK)]);
    assert_eq!(client.ask_words(&[b"SET", b"k", &value]), QUEUED);
    for _ in 0..33 {
        assert_eq!(client.ask("GET k"), QUEUED);
    }
    assert!(client.ask("EXEC").starts_with("-EXECABORT"));
    client.check(&[("GET k", "$-1\r\n")]);
}

#[test]
fn without_memory_only_what_stores_is_refused() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("SET {t}a 1", OK), ("SET {t}b 1", OK), ("SET {t}c 1", OK)]);
    server.node.memory_is_tight.store(true, std::sync::atomic::Ordering::Relaxed);
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    client.check(&[
        ("SET {t}b 2", oom),
        ("INCR {t}b", oom),
        ("MULTI", OK),
        ("GET {t}a", QUEUED),
        ("SET {t}b 2", QUEUED),
        ("EXEC", oom),
        ("GET {t}b", "$1\r\n1\r\n"),
        ("DEL {t}a", ":1\r\n"),
        ("EXPIRE {t}b 100", ":1\r\n"),
        ("MULTI", OK),
        ("DEL {t}c", QUEUED),
        ("EXEC", "*1\r\n:1\r\n"),
    ]);
    server.node.memory_is_tight.store(false, std::sync::atomic::Ordering::Relaxed);
    client.check(&[("SET {t}b 2", OK)]);
}
