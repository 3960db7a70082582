//! Many clients that connect within a few milliseconds: those of an application that rolls out, or all after a failure.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_tests::{Cluster, process};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

/// Clients that connect at once.
const BURST: usize = 2000;
/// A client whose connection is dropped because the queue is full asks again after a second.
const BEFORE_A_RETRY: Duration = Duration::from_millis(900);
/// Longest wait for a reply.
const TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn two_thousand_connections_at_once_are_accepted_on_every_port() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let cluster = Cluster::start(&Cluster::spec(1, "128Mi"), 1)?;
    let nodes = cluster.nodes()?;
    let node = nodes.first().context("a node")?;
    // Nothing is accepted meanwhile: the whole burst has to wait in the kernel, however fast this machine is.
    process::send(node.pid, Signal::STOP)?;
    let burst = [node.ports.bus, node.ports.admin, node.ports.http, node.ports.resp]
        .map(|port| connect_all(port).with_context(|| format!("on port {port}")));
    process::send(node.pid, Signal::CONT)?;
    let [bus, admin, http, resp] = burst;
    drop((bus?, admin?));
    ask_all(http?, "GET /cache/none HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 404 Not Found\r\n")
        .context("over HTTP")?;
    ask_all(resp?, "PING\r\n", "+PONG\r\n").context("over RESP")
}

fn connect_all(port: u16) -> Result<Vec<TcpStream>> {
    let most = fs::read_to_string("/proc/sys/net/core/somaxconn")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let connect = |n| {
        TcpStream::connect_timeout(&address, BEFORE_A_RETRY)
            .with_context(|| format!("connection {n} had to ask again"))
    };
    (0..BURST.min(most.trim().parse()?)).map(connect).collect()
}

/// Asks on every connection before it reads the answers, each of which begins with `expected`.
fn ask_all(mut connections: Vec<TcpStream>, request: &str, expected: &str) -> Result<()> {
    for connection in &mut connections {
        connection.write_all(request.as_bytes())?;
    }
    for (n, connection) in connections.iter_mut().enumerate() {
        connection.set_read_timeout(Some(TIMEOUT))?;
        let mut answer = vec![0; expected.len()];
        connection.read_exact(&mut answer).with_context(|| format!("no answer to client {n}"))?;
        ensure!(answer == expected.as_bytes(), "{:?}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}
