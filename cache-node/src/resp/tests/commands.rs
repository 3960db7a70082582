//! Every command's replies, byte for byte.

use ringcache_store::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use ringcache_wire::table::COMMANDS;

use super::{Client, Server, check};

const OK: &str = "+OK\r\n";
const NIL: &str = "$-1\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";

#[test]
fn values_are_written_read_and_removed() {
    check(&[
        ("GET k", NIL),
        ("SET k v", OK),
        ("GET k", "$1\r\nv\r\n"),
        ("get k", "$1\r\nv\r\n"),
        ("SET k \"\"", OK),
        ("GET k", "$0\r\n\r\n"),
        ("STRLEN k", ":0\r\n"),
        ("SETNX k w", ":0\r\n"),
        ("SETNX n w", ":1\r\n"),
        ("STRLEN n", ":1\r\n"),
        ("STRLEN none", ":0\r\n"),
        ("GETSET n x", "$1\r\nw\r\n"),
        ("GETSET fresh x", NIL),
        ("GETDEL n", "$1\r\nx\r\n"),
        ("GETDEL n", NIL),
        ("TYPE k", "+string\r\n"),
        ("TYPE n", "+none\r\n"),
        ("EXISTS k k n", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"),
        ("EXISTS k k", ":2\r\n"),
        ("TOUCH k", ":1\r\n"),
        ("DEL k k", ":1\r\n"),
        ("UNLINK k", ":0\r\n"),
        ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("GET a b", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("NOPE", "-ERR unknown command 'NOPE', with args beginning with: \r\n"),
        ("nope a b", "-ERR unknown command 'nope', with args beginning with: 'a' 'b' \r\n"),
    ]);
}

#[test]
fn several_keys_of_one_slot_are_read_and_written_at_once() {
    check(&[
        ("MSET {t}a 1 {t}b 2", OK),
        ("MGET {t}a {t}none {t}b", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n"),
        ("MSET {t}a 1 {t}b", "-ERR wrong number of arguments for 'mset' command\r\n"),
        ("MSET a 1 b 2", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"),
        ("MGET a b", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"),
        ("DEL {t}a {t}b {t}none", ":2\r\n"),
    ]);
}

#[test]
fn set_obeys_its_options_and_refuses_contradictions() {
    let invalid = "-ERR invalid expire time in 'set' command\r\n";
    check(&[
        ("SET k 1 XX", NIL),
        ("SET k 1 NX", OK),
        ("SET k 2 nx", NIL),
        ("SET k 2 XX GET", "$1\r\n1\r\n"),
        ("SET k 3 NX GET", "$1\r\n2\r\n"),
        ("GET k", "$1\r\n2\r\n"),
        ("SET new 1 GET", NIL),
        ("SET k v EX 100", OK),
        ("TTL k", ":100\r\n"),
        ("SET k w KEEPTTL", OK),
        ("TTL k", ":100\r\n"),
        ("SET k x", OK),
        ("TTL k", ":-1\r\n"),
        ("SET k x PXAT 4102444800000", OK),
        ("PEXPIRETIME k", ":4102444800000\r\n"),
        ("SET k x EXAT 4102444800", OK),
        ("EXPIRETIME k", ":4102444800\r\n"),
        ("SET k x EXAT 1", OK),
        ("GET k", NIL),
        ("SET k v NX XX", SYNTAX),
        ("SET k v EX 1 PX 1", SYNTAX),
        ("SET k v EX 1 KEEPTTL", SYNTAX),
        ("SET k v EX", SYNTAX),
        ("SET k v NO", SYNTAX),
        ("SET k v EX x", NOT_AN_INTEGER),
        ("SET k v EX 0", invalid),
        ("SET k v PX -1", invalid),
        ("SET k v EX 9223372036854775807", invalid),
        ("GET k", NIL),
        ("SETEX k 10 v", OK),
        ("TTL k", ":10\r\n"),
        ("SETEX k 0 v", "-ERR invalid expire time in 'setex' command\r\n"),
        ("PSETEX k 10000 v", OK),
        ("TTL k", ":10\r\n"),
        ("PSETEX k x v", NOT_AN_INTEGER),
    ]);
}

#[test]
fn times_to_live_are_set_asked_and_removed() {
    check(&[
        ("EXPIRE k 10", ":0\r\n"),
        ("TTL k", ":-2\r\n"),
        ("PTTL k", ":-2\r\n"),
        ("EXPIRETIME k", ":-2\r\n"),
        ("SET k v", OK),
        ("PTTL k", ":-1\r\n"),
        ("PEXPIRETIME k", ":-1\r\n"),
        ("EXPIRE k 100 XX", ":0\r\n"),
        ("EXPIRE k 100 GT", ":0\r\n"),
        ("EXPIRE k 100 LT", ":1\r\n"),
        ("EXPIRE k 200 NX", ":0\r\n"),
        ("EXPIRE k 200 gt", ":1\r\n"),
        ("TTL k", ":200\r\n"),
        ("EXPIRE k 300 LT", ":0\r\n"),
        ("PEXPIRE k 50000 XX LT", ":1\r\n"),
        ("TTL k", ":50\r\n"),
        ("PERSIST k", ":1\r\n"),
        ("PERSIST k", ":0\r\n"),
        ("EXPIREAT k 4102444800", ":1\r\n"),
        ("EXPIRETIME k", ":4102444800\r\n"),
        ("PEXPIREAT k 4102444800001", ":1\r\n"),
        ("PEXPIRETIME k", ":4102444800001\r\n"),
        (
            "EXPIRE k 1 NX XX",
            "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n",
        ),
        ("EXPIRE k 1 GT LT", "-ERR GT and LT options at the same time are not compatible\r\n"),
        ("EXPIRE k 1 NO", "-ERR Unsupported option NO\r\n"),
        ("EXPIRE k x", NOT_AN_INTEGER),
        ("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"),
        ("GETEX k PERSIST", "$1\r\nv\r\n"),
        ("TTL k", ":-1\r\n"),
        ("GETEX k EX 100", "$1\r\nv\r\n"),
        ("TTL k", ":100\r\n"),
        ("GETEX k", "$1\r\nv\r\n"),
        ("TTL k", ":100\r\n"),
        ("GETEX k EX 0", "-ERR invalid expire time in 'getex' command\r\n"),
        ("GETEX k EX 1 PX", SYNTAX),
        ("GETEX none EX 10", NIL),
        ("EXPIRE k -1", ":1\r\n"),
        ("EXISTS k", ":0\r\n"),
    ]);
}

#[test]
fn counters_count_and_refuse_what_is_no_number() {
    check(&[
        ("INCR c", ":1\r\n"),
        ("INCRBY c 41", ":42\r\n"),
        ("DECR c", ":41\r\n"),
        ("DECRBY c 50", ":-9\r\n"),
        ("GET c", "$2\r\n-9\r\n"),
        ("EXPIRE c 100", ":1\r\n"),
        ("INCR c", ":-8\r\n"),
        ("TTL c", ":100\r\n"),
        ("INCRBY c x", NOT_AN_INTEGER),
        ("DECRBY c -9223372036854775808", "-ERR decrement would overflow\r\n"),
        ("SET c 9223372036854775807", OK),
        ("INCR c", "-ERR increment or decrement would overflow\r\n"),
        ("GET c", "$19\r\n9223372036854775807\r\n"),
        ("SET c text", OK),
        ("INCR c", NOT_AN_INTEGER),
        ("INCRBYFLOAT c 1", "-ERR value is not a valid float\r\n"),
        ("INCRBYFLOAT f 0.1", "$3\r\n0.1\r\n"),
        ("INCRBYFLOAT f 0.2", "$3\r\n0.3\r\n"),
        ("INCRBYFLOAT f inf", "-ERR increment would produce NaN or Infinity\r\n"),
    ]);
}

#[test]
fn keys_and_values_are_accepted_at_their_limits_and_refused_one_byte_above() {
    let server = Server::start();
    let mut client = server.connect();
    let key = vec![b'k'; MAX_KEY_BYTES];
    let value = vec![b'v'; MAX_VALUE_BYTES];
    assert_eq!(client.ask_words(&[b"SET", &key, &value]), OK);
    assert_eq!(client.ask_words(&[b"STRLEN", &key]), ":1048576\r\n");
    let long_key = [&key[..], b"k"].concat();
    let key_error = "-ERR key is longer than 1024 bytes\r\n";
    assert_eq!(client.ask_words(&[b"SET", &long_key, b"v"]), key_error);
    assert_eq!(client.ask_words(&[b"GET", &long_key]), key_error);
    let long_value = [&value[..], b"v"].concat();
    let value_error = "-ERR value is longer than 1048576 bytes\r\n";
    for command in [
        &[b"SET".as_slice(), b"a", &long_value][..],
        &[b"SETNX", b"a", &long_value],
        &[b"SETEX", b"a", b"9", &long_value],
        &[b"GETSET", b"a", &long_value],
        &[b"MSET", b"{a}", b"1", b"{a}b", &long_value],
    ] {
        assert_eq!(client.ask_words(command), value_error);
    }
    assert_eq!(client.ask("DBSIZE"), ":1\r\n", "a refused write changes nothing");
}

#[test]
fn a_reply_beyond_its_limit_is_an_error_and_the_connection_goes_on() {
    let server = Server::start_with(|args| args.memory_bytes = 1 << 30);
    let mut client = server.connect();
    client.ask_words(&[b"SET", b"k", &vec![b'v'; MAX_VALUE_BYTES]]);
    let mget = |keys| [&[b"MGET".as_slice()][..], &vec![b"k".as_slice(); keys]].concat();
    let reply = client.ask_words(&mget(31));
    assert!(reply.starts_with("*31\r\n$1048576\r\n"));
    assert_eq!(reply.len(), "*31\r\n".len() + 31 * ("$1048576\r\n\r\n".len() + (1 << 20)));
    let error = "-ERR reply is longer than 33554432 bytes; ask for fewer keys at a time\r\n";
    assert_eq!(client.ask_words(&mget(32)), error);
    assert_eq!(client.ask("PING"), "+PONG\r\n");
}

#[test]
fn an_entry_without_a_time_to_live_gets_the_default_and_one_with_it_keeps_its_own() {
    let server = Server::start_with(|args| args.ttl_default_seconds = 60);
    let mut client = server.connect();
    client.check(&[
        ("SET k v", OK),
        ("TTL k", ":60\r\n"),
        ("SET k v EX 100", OK),
        ("TTL k", ":100\r\n"),
        ("SET k v KEEPTTL", OK),
        ("TTL k", ":100\r\n"),
        ("SET fresh v KEEPTTL", OK),
        ("TTL fresh", ":60\r\n"),
        ("INCR c", ":1\r\n"),
        ("TTL c", ":60\r\n"),
        ("MSET m v", OK),
        ("TTL m", ":60\r\n"),
        ("PERSIST m", ":1\r\n"),
        ("TTL m", ":-1\r\n"),
    ]);
}

#[test]
fn an_expired_entry_is_gone_at_its_deadline() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("SET k v PX 30", OK)]);
    super::eventually("k expired", || server.connect().ask("GET k") == NIL);
    client.check(&[("TTL k", ":-2\r\n"), ("SET k v NX", OK)]);
}

/// The keys that a complete scan gives, sorted, and the number of calls.
fn scan_all(client: &mut Client, options: &str) -> (Vec<String>, usize) {
    let (mut keys, mut calls, mut cursor) = (Vec::new(), 0, "0".to_owned());
    loop {
        let reply = client.ask(&format!("SCAN {cursor}{options}"));
        let mut lines = reply.split("\r\n").filter(|line| !line.starts_with(['*', '$']));
        cursor = lines.next().unwrap().to_owned();
        // Some clients keep cursors in floating-point numbers.
        assert!(cursor.parse::<u64>().unwrap() < 1 << 53, "{cursor}");
        keys.extend(lines.filter(|key| !key.is_empty()).map(str::to_owned));
        calls += 1;
        if cursor == "0" {
            keys.sort();
            return (keys, calls);
        }
    }
}

#[test]
fn a_scan_reports_every_key_once_whatever_its_step() {
    let server = Server::start();
    let mut client = server.connect();
    let mut expected: Vec<String> = (0..300).map(|n| format!("key:{n}")).collect();
    expected.extend((0..300).map(|n| format!("{{one}}:{n}")));
    for key in &expected {
        client.ask(&format!("SET {key} v"));
    }
    expected.sort();
    assert_eq!(client.ask("DBSIZE"), ":600\r\n");
    for options in ["", " COUNT 1", " COUNT 100000", " TYPE string"] {
        assert_eq!(scan_all(&mut client, options).0, expected, "{options}");
    }
    expected.retain(|key| key.ends_with('7'));
    assert_eq!(scan_all(&mut client, " MATCH *7 COUNT 50").0, expected);
    assert_eq!(scan_all(&mut client, " TYPE list").0, Vec::<String>::new());
    client.check(&[
        ("SCAN x", "-ERR invalid cursor\r\n"),
        ("SCAN 0 COUNT 0", SYNTAX),
        ("SCAN 0 COUNT x", NOT_AN_INTEGER),
        ("SCAN 0 MATCH", SYNTAX),
        ("SCAN 18446744073709551615", "*2\r\n$1\r\n0\r\n*0\r\n"),
    ]);
}

#[test]
fn flushing_removes_every_key() {
    check(&[
        ("SET a 1", OK),
        ("SET b 2", OK),
        ("DBSIZE", ":2\r\n"),
        ("FLUSHALL NOW", SYNTAX),
        ("FLUSHDB ASYNC", OK),
        ("DBSIZE", ":0\r\n"),
        ("SET a 1", OK),
        ("FLUSHALL", OK),
        ("GET a", NIL),
    ]);
}

#[test]
fn every_command_of_the_table_is_served() {
    let server = Server::start();
    let mut client = server.connect();
    let every = COMMANDS.iter().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands));
    for spec in every {
        // Answered by other tests, and not to be survived here.
        let is_container = !spec.subcommands.is_empty();
        if is_container
            || matches!(spec.name, "quit" | "client|reply" | "multi" | "exec" | "discard" | "hello")
        {
            continue;
        }
        let argc = spec.arity.unsigned_abs() as usize;
        let mut words: Vec<&[u8]> = spec.name.split('|').map(str::as_bytes).collect();
        words.resize(argc.max(words.len()), b"1");
        let reply = client.ask_words(&words);
        assert!(!reply.contains("unknown"), "{}: {reply}", spec.name);
        assert!(!reply.contains("wrong number of arguments for"), "{}: {reply}", spec.name);
        if spec.name != "client|maint_notifications" {
            assert!(!reply.contains("not supported"), "{}: {reply}", spec.name);
        }
        words.push(b"1");
        if spec.arity > 0 {
            let error = format!("-ERR wrong number of arguments for '{}' command\r\n", spec.name);
            assert_eq!(client.ask_words(&words), error);
        }
    }
}

#[test]
fn command_describes_the_table() {
    let server = Server::start();
    let mut client = server.connect();
    let count = COMMANDS.len();
    assert_eq!(client.ask("COMMAND COUNT"), format!(":{count}\r\n"));
    let table = client.ask("COMMAND");
    assert!(table.starts_with(&format!("*{count}\r\n*10\r\n$6\r\nasking\r\n")), "{table:.60}");
    assert_eq!(client.ask("COMMAND INFO"), table);
    assert!(client.ask("COMMAND INFO get none").ends_with("*-1\r\n"));
    assert!(client.ask("COMMAND LIST").starts_with(&format!("*{count}\r\n")));
    client.check(&[
        ("COMMAND GETKEYS GET k", "*1\r\n$1\r\nk\r\n"),
        ("COMMAND GETKEYS MSET a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("COMMAND GETKEYS PING", "-ERR The command has no key arguments\r\n"),
        ("COMMAND GETKEYS NOPE k", "-ERR Invalid command specified\r\n"),
        ("COMMAND GETKEYS GET a b", "-ERR Invalid number of arguments specified for command\r\n"),
        ("COMMAND LIST FILTERBY PATTERN getd*", "*1\r\n$6\r\ngetdel\r\n"),
        ("COMMAND LIST FILTERBY MODULE m", "*0\r\n"),
        ("COMMAND LIST FILTERBY", SYNTAX),
        (
            "COMMAND DOCS get",
            "*2\r\n$3\r\nget\r\n*4\r\n$7\r\nsummary\r\n$16\r\nAs GET of Redis.\r\n$5\r\ngroup\r\n$6\r\nstring\r\n",
        ),
        ("COMMAND NOPE", "-ERR unknown subcommand 'NOPE'. Try COMMAND HELP.\r\n"),
    ]);
    assert_eq!(
        client.ask("COMMAND LIST FILTERBY ACLCAT transaction").split("\r\n").next(),
        Some("*5")
    );
}

#[test]
fn a_scan_with_a_hostile_pattern_ends_soon_and_one_that_is_too_long_is_refused() {
    let server = Server::start();
    let mut client = server.connect();
    let key = |n: usize| format!("{{t}}{}{n:04}", "b".repeat(990));
    for n in 0..200 {
        assert_eq!(client.ask(&format!("SET {} 1", key(n))), OK);
    }
    let class = format!("*[{}]x", "c".repeat(1000));
    let (found, calls) = scan_all(&mut client, &format!(" MATCH {class} COUNT 10000"));
    assert!(found.is_empty() && calls > 10, "the work of one call is bounded: {calls} calls");
    let longest = "a".repeat(1024);
    assert!(client.ask(&format!("SCAN 0 MATCH {longest}")).starts_with("*2"));
    let refused = client.ask(&format!("SCAN 0 MATCH {longest}a"));
    assert_eq!(refused, "-ERR pattern is longer than 1024 bytes\r\n");
}
