//! Bytes that are no requests close their own connection, and nothing else.

use std::sync::atomic::Ordering;

use super::{Server, eventually};

#[test]
fn a_protocol_error_is_answered_and_closes_only_its_connection() {
    let server = Server::start();
    let mut bystander = server.connect();
    let cases: &[(&[u8], &str)] = &[
        (b"*x\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*1000000000\r\n", "invalid multibulk length"),
        (b"*1\r\n$18446744073709551615\r\n", "invalid bulk length"),
        (b"*1\r\n$9000000\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$5abc\r\n", "invalid bulk length"),
        (b"*1\r\n*1\r\n*1\r\n", "expected '$', got '*'"),
        (b"*1\r\n:5\r\n", "expected '$', got ':'"),
        (b"SET k \"unbalanced\r\n", "unbalanced quotes in request"),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "possible cross-protocol request"),
        (b"Host: x\r\n", "possible cross-protocol request"),
    ];
    for (number, (bytes, text)) in cases.iter().enumerate() {
        let mut client = server.connect();
        client.send(b"PING\r\n");
        client.send(bytes);
        let expected = format!("+PONG\r\n-ERR Protocol error: {text}\r\n");
        assert_eq!(String::from_utf8_lossy(&client.receive_all()), expected);
        assert_eq!(bystander.ask("PING"), "+PONG\r\n");
        let errors = server.node.counters.protocol_errors.load(Ordering::Relaxed);
        assert_eq!(errors, number as u64 + 1);
    }
}

#[test]
fn an_endless_line_is_refused_at_its_limit() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(&vec![b'x'; (64 << 10) + 2]);
    assert_eq!(client.receive(), b"-ERR Protocol error: too big inline request\r\n");
}

#[test]
fn a_deep_nest_is_refused_at_its_second_level() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(&b"*1\r\n".repeat(10));
    assert_eq!(client.receive(), b"-ERR Protocol error: expected '$', got '*'\r\n");
}

#[test]
fn requests_that_arrive_byte_by_byte_are_served() {
    let server = Server::start();
    let mut client = server.connect();
    for byte in b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n\r\n\r\nGET k\r\n*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n" {
        client.send(&[*byte]);
    }
    assert_eq!(client.receive(), b"+OK\r\n");
    assert_eq!(client.receive(), b"$2\r\n\r\n\r\n");
    assert_eq!(client.receive(), b"+PONG\r\n");
}

#[test]
fn half_a_request_and_an_end_leave_nothing_behind() {
    let server = Server::start();
    for bytes in
        [&b"*2\r\n$3\r\nGET\r\n$1"[..], b"GET", b"*", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\nv"]
    {
        let mut client = server.connect();
        client.send(bytes);
    }
    eventually("all have gone", || {
        server.node.counters.connections_total.load(Ordering::Relaxed) == 4
            && server.node.counters.connections.load(Ordering::Relaxed) == 0
    });
    assert_eq!(server.connect().ask("DBSIZE"), ":0\r\n");
}

#[test]
fn a_key_cannot_forge_a_reply() {
    let server = Server::start();
    let mut client = server.connect();
    let reply = client.ask_words(&[b"NOPE\r\n+FORGED", b"\r\n:1\r\n"]);
    assert_eq!(reply.matches("\r\n").count(), 1, "{reply}");
}
