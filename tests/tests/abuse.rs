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

#[test]
fn transactions_that_are_never_executed_are_held_within_the_limit() -> Result<()> {
    withstands(|node, over| {
        let request = [command(&[b"MULTI"]), command(&[b"PING"]).repeat(4000)].concat();
        hold(node.ports.resp, 700, over, |client| client.write_all(&request))
    })
}

#[test]
fn tracking_clients_that_never_read_are_held_within_the_limit() -> Result<()> {
    withstands(|node, over| {
        let key = |n: usize| format!("{{tracked}}{n:0>1000}").into_bytes();
        let keys: Vec<Vec<u8>> = (0..500).map(key).collect();
        let mut get: Vec<&[u8]> = vec![b"MGET"];
        get.extend(keys.iter().map(Vec::as_slice));
        let request =
            [command(&[b"HELLO", b"3"]), command(&[b"CLIENT", b"TRACKING", b"ON"]), command(&get)];
        let request = request.concat();
        let change = |_: &TcpStream| {
            let mut writer = Connection::open(node.ports.resp).ok()?;
            let mut turns = 0;
            while !over.load(Ordering::Relaxed) && turns < keys.len() {
                writer.ask(&[b"SET", &keys[turns], b"v"]).ok()?;
                turns += 1;
            }
            Some(())
        };
        let clients: Vec<TcpStream> = (0..400)
            .map(|_| {
                let mut client = open(node.ports.resp)?;
                let _ = client.write_all(&request);
                Ok(client)
            })
            .collect::<Result<_>>()?;
        run_for(Duration::from_millis(500));
        change(&clients[0]);
        wait(over);
        Ok(())
    })
}

#[test]
fn large_replies_that_nobody_reads_are_held_within_the_limit() -> Result<()> {
    withstands(|node, over| {
        let mut writer = Connection::open(node.ports.resp)?;
        ensure!(writer.ask(&[b"SET", b"large", &vec![b'v'; 1 << 20]])? == "+OK");
        let ask = |times| {
            let mut args: Vec<&[u8]> = vec![b"MGET"];
            args.extend(std::iter::repeat_n(&b"large"[..], times));
            command(&args)
        };
        let request = [ask(31), ask(5), ask(2)].concat();
        hold(node.ports.resp, 50, over, |client| client.write_all(&request))
    })
}

#[test]
fn requests_that_are_never_finished_are_held_within_the_limit() -> Result<()> {
    withstands(|node, over| {
        let half = |bytes: usize| {
            let mut request = format!("*3\r\n$3\r\nSET\r\n$1\r\nh\r\n${bytes}\r\n").into_bytes();
            request.resize(request.len() + bytes - 1, b'h');
            request
        };
        let (all, most) = (half(8 << 20), half(4 << 20));
        let names = [&b"*1000000\r\n"[..], &b"$1\r\nx\r\n".repeat(300_000)].concat();
        thread::scope(|scope| {
            for request in [&all, &most, &names] {
                scope.spawn(|| hold(node.ports.resp, 20, over, |client| client.write_all(request)));
            }
        });
        Ok(())
    })
}

#[test]
fn http_heads_bodies_and_answers_that_do_not_move_are_held_within_the_limit() -> Result<()> {
    withstands(|node, over| {
        let mut writer = Connection::open(node.ports.resp)?;
        ensure!(writer.ask(&[b"SET", b"large", &vec![b'v'; 1 << 20]])? == "+OK");
        let mut half =
            b"PUT /cache/h HTTP/1.1\r\nHost: h\r\nContent-Length: 4194304\r\n\r\n".to_vec();
        half.resize(half.len() + (4 << 20) - 1, b' ');
        let reads = b"GET /cache/large HTTP/1.1\r\nHost: h\r\n\r\n".repeat(8);
        let head = format!("GET /cache/h HTTP/1.1\r\nHost: h\r\nX: {}", "h".repeat(15 << 10));
        thread::scope(|scope| {
            for (clients, request) in [(30, &half[..]), (30, &reads), (800, head.as_bytes())] {
                let port = node.ports.http;
                scope.spawn(move || hold(port, clients, over, |client| client.write_all(request)));
            }
        });
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
        // Clients may hold about a sixth of the memory, and an eighth is for the tables of what they track: entries give way to
        // that, and the store's budget is lowered by a little more than it must.
        ensure!(
            after.entries * 10 >= before.entries * 6,
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

/// A good client that reads and writes 64 KiB as long as the abuse lasts. Returns its longest wait. A slow machine may keep the
/// node from closing others in time, and the client from sending: then it is refused or closed, and comes again.
fn serve(node: &NodeRecord) -> Result<Duration> {
    let mut connection = Connection::open(node.ports.resp)?;
    let (start, mut slowest) = (now(), Duration::ZERO);
    let (mut served, mut refused) = (0, 0);
    while start.elapsed() < ABUSE {
        let asked = now();
        if exchange(&mut connection)? {
            served += 1;
        } else {
            refused += 1;
            connection = Connection::open(node.ports.resp)?;
        }
        slowest = slowest.max(asked.elapsed());
        run_for(Duration::from_millis(5));
    }
    println!("served {served} times, refused {refused} times");
    ensure!(served > 0, "a good client was never served, and refused {refused} times");
    Ok(slowest)
}

/// Writes and reads 64 KiB. False if the node had no memory for that, or closed the connection.
fn exchange(connection: &mut Connection) -> Result<bool> {
    let value = vec![b'g'; 64 << 10];
    for words in [&[&b"SET"[..], b"good", &value][..], &[b"GET", b"good"]] {
        let reply = connection.ask(words).unwrap_or_else(|_| "-OVERLOADED".into());
        if reply.starts_with("-OVERLOADED") {
            return Ok(false);
        }
        let is_right = reply == "+OK" || reply.len() == value.len() + 1;
        ensure!(is_right, "a good client got {} bytes: {:.50}", reply.len(), reply);
    }
    Ok(true)
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

/// Connects so many clients that send and never read. That the node closes some is what it is there for.
fn hold(
    port: u16,
    clients: usize,
    over: &AtomicBool,
    send: impl Fn(&mut TcpStream) -> std::io::Result<()>,
) -> Result<()> {
    let mut held = Vec::new();
    for _ in 0..clients {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let mut client = open(port)?;
        let _ = send(&mut client);
        held.push(client);
    }
    wait(over);
    Ok(())
}

fn wait(over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        run_for(SAMPLE);
    }
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
