//! Clients that make the node hold memory for them are bounded together, and those that do not move make room for others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringcache_store::Access;
use ringcache_wire::encode_command;

use super::{Client, Server, eventually};

const OK: &str = "+OK\r\n";
use crate::account::{Account, Lease};

/// The smallest node: 12 MiB for all connections beyond what each may hold anyway, and messages of 4 MiB.
pub(super) fn small() -> Server {
    Server::start_with(|args| args.memory_bytes = 64 << 20)
}

fn account(server: &Server) -> Arc<Account> {
    Arc::clone(&server.node.account)
}

/// Others are served, and the account is within its limit.
fn others_are_served(server: &Server) {
    let value = vec![b'v'; 64 << 10];
    // A slow machine may need longer to close those who do not move than a request waits.
    eventually("others are served", || {
        let mut other = server.connect();
        other.ask_words(&[b"SET", b"other", &value]) == OK
            && other.ask_words(&[b"GET", b"other"]).len() == value.len() + 10
    });
    let account = account(server);
    eventually("the account is in order", || account.used_bytes() <= account.limit_bytes());
    assert!(account.closed() > 0);
}

/// A client that sends as much as the node takes of it.
fn sender(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(server.addr).unwrap();
    socket.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let _ = socket.write_all(bytes);
    socket
}

/// Clients that all send this, as many as it takes until the node closes one for the others.
fn crowd(server: &Server, bytes: &[u8]) -> Vec<TcpStream> {
    let account = account(server);
    let mut held = Vec::new();
    // How much the node has taken of one before it gives up depends on the machine: their number is not said beforehand.
    eventually("somebody was closed", || {
        held.push(sender(server, bytes));
        account.closed() > 0
    });
    held
}

/// A `SET` of so many bytes without the last one.
fn half_sent(bytes: usize) -> Vec<u8> {
    let mut request = Vec::new();
    encode_command(&mut request, &[b"SET", b"half", &vec![b'h'; bytes]]);
    request.truncate(request.len() - 3);
    request
}

#[test]
fn half_sent_requests_make_room_for_others() {
    let server = small();
    let _held = crowd(&server, &half_sent(3 << 20));
    others_are_served(&server);
}

#[test]
fn names_of_arguments_without_end_make_room_for_others() {
    let server = small();
    let request = [&b"*1000000\r\n"[..], &b"$1\r\nx\r\n".repeat(200_000)].concat();
    let _held = crowd(&server, &request);
    others_are_served(&server);
}

#[test]
fn replies_that_nobody_reads_make_room_for_others() {
    let server = small();
    assert_eq!(server.connect().ask_words(&[b"SET", b"k", &vec![b'v'; 1 << 20]]), OK);
    let request = b"MGET k k\r\n".repeat(20);
    let _held = crowd(&server, &request);
    others_are_served(&server);
}

#[test]
fn queued_commands_that_are_not_executed_make_room_for_others() {
    let server = small();
    let request = [&b"MULTI\r\n"[..], &b"PING\r\n".repeat(20_000)].concat();
    let held = crowd(&server, &request);
    others_are_served(&server);
    drop(held);
    let account = account(&server);
    eventually("all is given back", || account.used_bytes() == 0);
}

#[test]
fn a_write_whose_reply_has_no_room_is_not_run() {
    let server = small();
    let mut client = server.connect();
    assert_eq!(client.ask_words(&[b"SET", b"k", &vec![b'v'; 1 << 20]]), OK);
    let all = take_all(&server);
    let error = "-OVERLOADED retry-after-ms=100\r\n";
    for write in ["GETDEL k", "GETEX k PERSIST", "SET k new GET", "GETSET k new"] {
        assert_eq!(client.ask(write), error, "{write}");
    }
    client.check(&[("MULTI", OK), ("GETDEL k", "+QUEUED\r\n"), ("EXEC", error)]);
    client.check(&[("EXEC", "-ERR EXEC without MULTI\r\n")]);
    drop(all);
    client.check(&[("STRLEN k", ":1048576\r\n")]);
    assert_eq!(client.ask("GETDEL k").len(), (1 << 20) + 12);
}

#[test]
fn a_read_waits_for_the_room_that_its_reply_needs() {
    let server = small();
    let mut client = server.connect();
    assert_eq!(client.ask_words(&[b"SET", b"k", &vec![b'v'; 1 << 20]]), OK);
    let all = take_all(&server);
    client.send(b"PING\r\nGET k\r\nPING\r\n");
    assert_eq!(client.receive(), b"+PONG\r\n");
    std::thread::sleep(Duration::from_millis(50));
    drop(all);
    assert_eq!(client.receive().len(), (1 << 20) + 12);
    assert_eq!(client.receive(), b"+PONG\r\n");
}

#[test]
fn a_request_that_stands_still_half_way_is_closed_after_ten_seconds() {
    let server = Server::start();
    let mut still = sender(&server, &half_sent(1000));
    let mut dripping = sender(&server, b"");
    let mut idle = server.connect();
    idle.check(&[("PING", "+PONG\r\n")]);
    let clock = crate::clock::Clock::start();
    // Less than 4 KiB in ten seconds.
    let dripped = half_sent(1000);
    for byte in &dripped[..150] {
        if dripping.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut end = Vec::new();
    let _ = still.read_to_end(&mut end);
    let _ = dripping.read_to_end(&mut end);
    assert!(end.is_empty() && clock.monotonic_ms() >= 9_000, "{}", clock.monotonic_ms());
    assert_eq!(server.node.counters.stalled.load(Ordering::Relaxed), 2);
    idle.check(&[("PING", "+PONG\r\n")]);
}

#[test]
fn a_tracking_client_gets_its_pushes_while_others_hold_all_memory() {
    let server = small();
    let mut tracking = Client::connect_resp3(server.addr);
    tracking.check(&[("CLIENT TRACKING ON", OK), ("GET k", "_\r\n")]);
    let _held: Vec<TcpStream> = (0..8).map(|_| sender(&server, &half_sent(3 << 20))).collect();
    assert_eq!(server.connect().ask("SET k v"), OK);
    let push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    assert_eq!(String::from_utf8(tracking.receive()).unwrap(), push);
}

/// All of the account that clients have not kept, and what its holder may hold freely besides.
pub(super) fn take_all(server: &Server) -> Lease {
    let account = account(server);
    eventually("clients have nothing to do", || account.used_bytes() < 512 << 10);
    take_rest(server)
}

/// All of the account that nobody has leased.
pub(super) fn take_rest(server: &Server) -> Lease {
    let account = account(server);
    let holding = account.open(false);
    let mut all = holding.lease();
    eventually("all is taken", || {
        let free = account.limit_bytes().saturating_sub(account.used_bytes());
        let bytes = all.bytes() + free + holding.allowance();
        all.grow_to(bytes) && account.used_bytes() == account.limit_bytes()
    });
    all
}

fn one_worker() -> Server {
    Server::start_with(|args| (args.memory_bytes, args.threads) = (64 << 20, 1))
}

#[test]
fn a_request_that_comes_in_two_parts_has_its_time_however_long_the_client_was_idle() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("PING", "+PONG\r\n")]);
    std::thread::sleep(Duration::from_millis(10_200));
    client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\n");
    std::thread::sleep(Duration::from_millis(30));
    client.send(b"value\r\n");
    assert_eq!(client.receive(), OK.as_bytes());
}

#[test]
fn a_request_that_waits_for_room_leaves_its_thread_to_others() {
    let server = one_worker();
    let mut other = server.connect();
    other.check(&[("PING", "+PONG\r\n")]);
    let mut client = server.connect();
    let all = take_all(&server);
    client.send(b"PING\r\nPING\r\n");
    assert_eq!([client.receive(), client.receive()], [b"+PONG\r\n"; 2]);
    // Places for so many arguments have to be granted.
    client.send(&[&b"*1200\r\n"[..], &b"$1\r\nx\r\n".repeat(1199)].concat());
    std::thread::sleep(Duration::from_millis(20));
    other.check(&[("PING", "+PONG\r\n")]);
    drop(all);
    client.send(b"$1\r\nx\r\n");
    assert!(client.receive().starts_with(b"-ERR unknown command"));
}

#[test]
fn a_request_that_has_waited_for_room_does_not_find_what_has_expired_meanwhile() {
    let server = small();
    let mut reply = String::new();
    // It may wait too long on a slow machine.
    eventually("there is room in time", || {
        let mut client = server.connect();
        for _ in 0..4 {
            // Its buffer then takes the request at one time.
            assert_eq!(client.ask_words(&[b"SET", b"large", &vec![b'v'; 60 << 10]]), OK);
        }
        server.connect().check(&[("SET k v PX 300", OK)]);
        let all = take_all(&server);
        client.send(&[&b"*1200\r\n$6\r\nEXISTS\r\n"[..], &b"$1\r\nk\r\n".repeat(1199)].concat());
        std::thread::sleep(Duration::from_millis(400));
        drop(all);
        reply = String::from_utf8(client.receive()).unwrap();
        !reply.starts_with("-OVERLOADED")
    });
    assert_eq!(reply, ":0\r\n");
}

#[test]
fn a_scan_needs_room_for_its_reply_once() {
    let server = Server::start_with(|args| args.memory_bytes = 128 << 20);
    let mut client = server.connect();
    let slot = ringcache_ring::key_slot(b"{a}");
    let now = server.node.clock.unix_ms();
    for n in 0..10_000 {
        server.node.store.lock(slot).set(format!("{{a}}{n:0>717}").as_bytes(), b"v", None, now);
    }
    let cursor = u64::from(slot) << ringcache_store::SCAN_POSITION_BITS;
    let reply = client.ask(&format!("SCAN {cursor} COUNT 10000"));
    assert!(reply.starts_with("*2\r\n$") && reply.len() > 7_000_000, "{}", reply.len());
    assert_eq!(reply.matches("$720\r\n").count(), 10_000);
}

#[test]
fn room_that_comes_free_where_replies_were_is_used() {
    let server = small();
    let mut client = server.connect();
    assert_eq!(client.ask_words(&[b"SET", b"a", &vec![b'v'; 11_800]]), OK);
    client.check(&[("SET y Y", OK)]);
    drop(client);
    let _all = take_all(&server);
    let mut client = server.connect();
    client.send(b"GET a\r\nCLIENT REPLY SKIP\r\nSET x 1\r\nGET y\r\n");
    assert_eq!(client.receive().len(), 11_800 + 10);
    assert_eq!(client.receive(), b"$1\r\nY\r\n");
}

#[test]
fn a_client_that_was_told_that_it_ends_holds_nothing_from_then_on() {
    let server = small();
    let mut client = server.connect();
    assert_eq!(client.ask("MULTI"), OK);
    assert_eq!(client.ask_words(&[b"SET", b"k", &vec![b'v'; 1 << 20]]), "+QUEUED\r\n");
    let account = account(&server);
    assert!(account.used_bytes() > 1 << 20);
    client.send(b"*nonsense\r\n");
    let told = client.receive_all();
    assert!(told.starts_with(b"-ERR Protocol error"), "{:?}", String::from_utf8_lossy(&told));
    assert_eq!(account.used_bytes(), 0, "although the node waits for its end");
}

#[test]
fn a_tracking_client_gets_a_push_although_nothing_can_be_leased() {
    let server = small();
    let mut tracking = Client::connect_resp3(server.addr);
    tracking.check(&[("CLIENT TRACKING ON", OK), ("GET k", "_\r\n")]);
    tracking.ask_words(&[b"SET", b"big", &vec![b'v'; 20_000]]);
    tracking.ask("GET big");
    // While it holds more than it may freely, a push that finds no memory ends it.
    let account = account(&server);
    eventually("it keeps nothing that others could need", || account.used_bytes() == 0);
    let _all = take_all(&server);
    assert_eq!(tracking.ask("PING"), "+PONG\r\n");
    assert_eq!(server.connect().ask("SET k v"), OK);
    let push = tracking.receive();
    assert!(push.starts_with(b">2\r\n$10\r\ninvalidate"), "{:?}", String::from_utf8_lossy(&push));
}

#[test]
fn a_client_that_is_killed_while_its_request_waits_ends_at_once_although_it_does_not_read() {
    let server = Server::start_with(|args| args.memory_bytes = 1 << 30);
    let mut client = server.connect();
    assert_eq!(client.ask_words(&[b"SET", b"k", &vec![b'v'; 1 << 20]]), OK);
    let id = client.ask("CLIENT ID").trim().trim_start_matches(':').to_owned();
    let slot = ringcache_ring::key_slot(b"k");
    server.set_access(slot, Access::Parked);
    client.send(format!("MGET{}\r\n", " k".repeat(30)).as_bytes());
    let waited = &server.node.counters.waited;
    eventually("it waits", || waited.load(Ordering::Relaxed) > 0);
    let mut admin = server.connect();
    assert_eq!(admin.ask(&format!("CLIENT KILL ID {id}")), ":1\r\n");
    std::thread::sleep(Duration::from_millis(20));
    server.set_access(slot, Access::Open);
    eventually("it is gone", || server.node.counters.connections.load(Ordering::Relaxed) == 1);
}

#[test]
fn a_reply_that_is_made_in_parts_keeps_the_room_that_it_was_granted() {
    let server = Server::start_with(|args| args.memory_bytes = 512 << 20);
    let mut client = server.connect();
    assert_eq!(client.ask_words(&[b"SET", b"k", &vec![b'v'; 1 << 20]]), OK);
    let account = account(&server);
    // It may wait too long on a slow machine.
    eventually("it is granted in time", || {
        let mut all = take_all(&server);
        let (over, mut rest) = (AtomicBool::new(false), account.open(false).lease());
        client.send(format!("MGET{}\r\n", " k".repeat(30)).as_bytes());
        // Until it waits.
        std::thread::sleep(Duration::from_millis(50));
        std::thread::scope(|scope| {
            // Somebody takes what would not be enough for it.
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let free = account.limit_bytes().saturating_sub(account.used_bytes());
                    if free < 30 << 20 {
                        rest.grow_to(rest.bytes() + free);
                    }
                }
            });
            all.shrink_to(all.bytes() - (32 << 20));
            let reply = client.receive();
            over.store(true, Ordering::Relaxed);
            reply.len() == "*30\r\n".len() + 30 * ((1 << 20) + 12)
        })
    });
}

#[test]
fn a_client_that_is_refused_while_it_sends_gets_to_know_why() {
    let server = small();
    let _all = take_all(&server);
    let mut request = Vec::new();
    let value = vec![b'v'; 1 << 20];
    encode_command(&mut request, &[b"MSET", b"{a}1", &value, b"{a}2", &value, b"{a}3", &value]);
    let wrong = [b"*1\r\n$x\r\n", value.as_slice()].concat();
    for (sent, reply) in [
        (&request, "-OVERLOADED retry-after-ms=100\r\n"),
        (&wrong, "-ERR Protocol error: invalid bulk length\r\n"),
    ] {
        // On a slow machine it may send for too long.
        eventually("it is told", || {
            let mut client = server.connect();
            let mut socket = client.socket.try_clone().unwrap();
            let send = |part: &[u8]| {
                std::thread::sleep(Duration::from_millis(20));
                socket.write_all(part).is_ok()
            };
            sent.chunks(64 << 10).all(send) && client.receive() == reply.as_bytes()
        });
    }
    let connections = &server.node.counters.connections;
    eventually("they have ended", || connections.load(Ordering::Relaxed) == 0);
}
