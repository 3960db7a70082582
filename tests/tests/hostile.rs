//! Malformed and hostile bytes at a real node, beside a client that must not notice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use ringcache_tests::resp::{Connection, command};
use ringcache_tests::{Cluster, NodeRecord, cluster, http, process};

/// Longest time until a node closes a connection that broke the protocol.
const CLOSE: Duration = Duration::from_secs(10);
/// More than bytes and connections of all attacks together could rightly cost.
const MEMORY_GROWTH: u64 = 32 << 20;

/// What the Redis port is sent, and what it says before it closes the connection.
fn resp_attacks() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let mut many = b"*3\r\n$3\r\nGET\r\n".to_vec();
    many.extend(b"$1\r\na\r\n".repeat(1000));
    vec![
        (
            "a value of 10 GB is announced",
            b"*2\r\n$3\r\nGET\r\n$10000000000\r\n".to_vec(),
            "-ERR Protocol error",
        ),
        ("two billion arguments are announced", b"*2147483647\r\n".to_vec(), "-ERR Protocol error"),
        ("a negative length", b"*2\r\n$3\r\nGET\r\n$-7\r\nabc\r\n".to_vec(), "-ERR Protocol error"),
        ("a length that is no number", b"*1\r\n$abc\r\n".to_vec(), "-ERR Protocol error"),
        (
            "a length that overflows",
            b"*1\r\n$99999999999999999999999999\r\n".to_vec(),
            "-ERR Protocol error",
        ),
        ("an array of arrays, 100,000 deep", b"*1\r\n".repeat(100_000), "-ERR Protocol error"),
        (
            "an integer where a string belongs",
            b"*2\r\n$3\r\nGET\r\n:5\r\n".to_vec(),
            "-ERR Protocol error",
        ),
        ("a line that never ends", vec![b'a'; 1 << 20], "-ERR Protocol error"),
        ("a quote that never ends", b"SET key \"value\r\n".to_vec(), "-ERR Protocol error"),
        (
            "a form posted by a browser",
            b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a b\r\n".to_vec(),
            "",
        ),
        ("a header of a browser", b"Host: 127.0.0.1\r\n\r\n".to_vec(), ""),
    ]
}

/// What the HTTP port is sent, and the status it answers; empty: closing without an answer will do.
fn http_attacks() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let put = |headers: &str, body: &[u8]| {
        let head = format!(
            "PUT /cache/hostile HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let nest = [b"{\"value\":".to_vec(), b"[".repeat(100_000), b"]".repeat(100_000), b"}".to_vec()]
        .concat();
    vec![
        ("no HTTP at all", b"\x00\x01\x02\x03\r\n\r\n".to_vec(), ""),
        ("a header of 1 MB", [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'a'; 1 << 20]].concat(), ""),
        ("a body of 1 TB is announced", put("content-length: 1000000000000\r\n", b"{"), "413"),
        ("a length that is no number", put("content-length: abc\r\n", b"{}"), "400"),
        ("two lengths", put("content-length: 2\r\ncontent-length: 3\r\n", b"{}"), "400"),
        ("a body that is no JSON", put("content-length: 3\r\n", b"{]}"), "400"),
        (
            "a value nested 100,000 deep",
            put(&format!("content-length: {}\r\n", nest.len()), &nest),
            "200",
        ),
        (
            "half an escape in the key",
            b"GET /cache/%F HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
            "400",
        ),
        (
            "a path upwards",
            b"GET /cache/../../etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
                .to_vec(),
            "404",
        ),
    ]
}

#[test]
fn hostile_connections_are_closed_and_a_good_client_does_not_notice() -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(1, "128Mi"), 1)?;
    let node = &cluster.nodes()?[0];
    let resident = process::resident_bytes(node.pid)?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let good = scope.spawn(|| good_client(node, &done));
        let attacked = attack(node);
        done.store(true, Ordering::Relaxed);
        let requests = good.join().map_err(|_| anyhow!("the good client panicked"))?;
        println!(
            "the good client made {} requests without an error",
            requests.context("the good client")?
        );
        attacked
    })?;
    ensure!(process::runs(node.pid, &node.uid), "the node has died\n{}", cluster.diagnosis());
    ensure!(cluster.nodes()?[0].pid == node.pid, "the node was replaced");
    let grown = process::resident_bytes(node.pid)?.saturating_sub(resident);
    ensure!(grown < MEMORY_GROWTH, "the attacks cost {grown} bytes of memory");
    ensure!(cluster::state(node)?.stats.connections <= 2, "connections are left open");
    Ok(())
}

fn attack(node: &NodeRecord) -> Result<()> {
    for (name, bytes, says) in resp_attacks() {
        let mut connection = Connection::open(node.ports.resp)?;
        // The node may close before it has read everything: then the rest cannot be sent, which is as it should be.
        let _ = connection.send(&bytes);
        let said = connection.closed(CLOSE).with_context(|| name.to_owned())?;
        ensure!(said.is_empty() || said.starts_with(says), "{name}: it said {said:?}");
        println!("closed: {name}: {:?}", said.trim_end());
    }
    for (name, bytes, status) in http_attacks() {
        let mut connection = Connection::open(node.ports.http)?;
        let _ = connection.send(&bytes);
        let said = connection.closed(CLOSE).with_context(|| name.to_owned())?;
        let line = said.lines().next().unwrap_or_default();
        ensure!(
            line.is_empty() && status.is_empty() || line.starts_with(&format!("HTTP/1.1 {status}")),
            "{name}: it said {line:?}"
        );
        println!("answered: {name}: {line:?}");
    }
    byte_by_byte(node)?;
    truncated(node)
}

/// A slow sender is no attacker: its command is carried out.
fn byte_by_byte(node: &NodeRecord) -> Result<()> {
    let mut connection = Connection::open(node.ports.resp)?;
    for byte in command(&[b"SET", b"slow", b"value"]) {
        connection.send(&[byte])?;
    }
    let reply = connection.reply()?;
    ensure!(reply == "+OK", "one byte at a time: {reply}");
    Ok(())
}

/// Every prefix of a command, then the end of the connection: nothing is carried out.
fn truncated(node: &NodeRecord) -> Result<()> {
    let bytes = command(&[b"SET", b"truncated", b"value"]);
    for length in 0..bytes.len() {
        Connection::open(node.ports.resp)?.send(&bytes[..length])?;
    }
    let reply = Connection::open(node.ports.resp)?.ask(&[b"GET", b"truncated"])?;
    ensure!(reply == "$-1", "a truncated SET was carried out: {reply}");
    Ok(())
}

/// Writes and reads over both protocols until `done`; the number of requests.
fn good_client(node: &NodeRecord, done: &AtomicBool) -> Result<u64> {
    let mut connection = Connection::open(node.ports.resp)?;
    let mut requests = 0;
    while !done.load(Ordering::Relaxed) || requests == 0 {
        let value = format!("{requests}");
        let reply = connection.ask(&[b"SET", b"good", value.as_bytes()])?;
        ensure!(reply == "+OK", "{reply}");
        let reply = connection.ask(&[b"GET", b"good"])?;
        ensure!(reply == format!("${value}"), "{reply}");
        let answer = http::request(node.ports.http, "GET", "/cache/good", "")?;
        ensure!(answer.status == 200 && answer.body.contains(&value), "{answer:?}");
        requests += 3;
    }
    Ok(requests)
}
