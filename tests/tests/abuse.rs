//! Clients that make a node hold memory for them: a full node of 128Mi keeps within its limit, keeps its entries, and serves
//! others meanwhile.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use ringcache_tests::clock::{now, run_for};
use ringcache_tests::process::resident_bytes;
use ringcache_tests::resp::{Connection, command};
use ringcache_tests::{Cluster, NodeRecord, cluster};
use socket2::{Domain, Socket, Type};

const LIMIT: u64 = 128 << 20;
/// Size of the entries that fill the node, and how many are written: more than fit.
const ENTRY: usize = 4 << 10;
const ENTRIES: usize = 26_000;
/// How often resident memory is looked at.
const SAMPLE: Duration = Duration::from_millis(50);
/// How long the abuse lasts.
const ABUSE: Duration = Duration::from_secs(3);
/// What a socket takes of a client that does not read, so that it is the node that has to hold the rest.
const SMALL_WINDOW: usize = 4 << 10;

#[test]
fn names_of_commands_without_end_are_not_documented_without_end() -> Result<()> {
    withstands(|node, over| {
        let ask = |what: &'static [u8]| {
            let mut args: Vec<&[u8]> = vec![b"COMMAND", what];
            args.extend(std::iter::repeat_n(&b"client"[..], 100_000));
            Ok::<_, anyhow::Error>((open(node.ports.resp)?, command(&args)))
        };
        let mut clients = vec![ask(b"INFO")?, ask(b"DOCS")?, ask(b"INFO")?, ask(b"DOCS")?];
        while !over.load(Ordering::Relaxed) {
            for (client, request) in &mut clients {
                let _ = client.write_all(request);
            }
            for (client, _) in &mut clients {
                let _ = client.read(&mut [0; 8 << 10]);
            }
        }
        Ok(())
    })
}

/// Lets `abuse` run against a full node, and looks after memory, entries and a good client meanwhile.
fn withstands(abuse: impl Fn(&NodeRecord, &AtomicBool) -> Result<()> + Sync) -> Result<()> {
    let cluster = Cluster::start(&Cluster::spec(1, "128Mi"), 1)?;
    let node = &cluster.nodes()?[0];
    fill(node)?;
    let before = cluster::state(node)?.stats;
    ensure!(before.evicted > 0, "the node is not full");
    let over = &AtomicBool::new(false);
    thread::scope(|scope| {
        let abuser = scope.spawn(|| abuse(node, over));
        let sampler = scope.spawn(|| peak(node, over));
        let served = serve(node);
        over.store(true, Ordering::Relaxed);
        let peak = sampler.join().map_err(|_| anyhow!("the sampler panicked"))??;
        abuser.join().map_err(|_| anyhow!("the abuser panicked"))??;
        let slowest = served?;
        let after = cluster::state(node)?.stats;
        println!(
            "resident at most {:.1} % of the limit, entries {} -> {}, slowest answer {slowest:?}",
            peak as f64 * 100.0 / LIMIT as f64,
            before.entries,
            after.entries,
        );
        ensure!(peak <= LIMIT + LIMIT / 10, "resident memory rose to {peak} bytes, limit {LIMIT}");
        ensure!(
            after.entries * 10 >= before.entries * 8,
            "of {} entries {} are left",
            before.entries,
            after.entries
        );
        Ok(())
    })
}

/// Writes more entries than fit.
fn fill(node: &NodeRecord) -> Result<()> {
    let mut connection = Connection::open(node.ports.resp)?;
    let value = vec![b'v'; ENTRY];
    for batch in 0..ENTRIES / 100 {
        let key = |n: usize| format!("fill:{}", batch * 100 + n).into_bytes();
        let requests: Vec<u8> =
            (0..100).flat_map(|n| command(&[b"SET", &key(n), &value])).collect();
        connection.send(&requests)?;
        for _ in 0..100 {
            let reply = connection.reply()?;
            ensure!(reply == "+OK", "{reply}");
        }
    }
    Ok(())
}

/// A good client that reads and writes 64 KiB as long as the abuse lasts. Returns its longest wait.
fn serve(node: &NodeRecord) -> Result<Duration> {
    let mut connection = Connection::open(node.ports.resp)?;
    let value = vec![b'g'; 64 << 10];
    let (start, mut slowest) = (now(), Duration::ZERO);
    while start.elapsed() < ABUSE {
        let asked = now();
        let written = connection.ask(&[b"SET", b"good", &value])?;
        ensure!(written == "+OK", "a good client's SET: {written}");
        let read = connection.ask(&[b"GET", b"good"])?;
        ensure!(read.len() == value.len() + 1, "a good client's GET: {} bytes", read.len());
        slowest = slowest.max(asked.elapsed());
        run_for(Duration::from_millis(5));
    }
    Ok(slowest)
}

/// The most resident memory seen until the abuse is over.
fn peak(node: &NodeRecord, over: &AtomicBool) -> Result<u64> {
    let mut peak = 0;
    while !over.load(Ordering::Relaxed) {
        peak = peak.max(resident_bytes(node.pid)?);
        run_for(SAMPLE);
    }
    Ok(peak)
}

/// A socket with a small window, which gives up a read or a write that blocks.
fn open(port: u16) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(SMALL_WINDOW)?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.set_write_timeout(Some(Duration::from_millis(200)))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    Ok(socket.into())
}
