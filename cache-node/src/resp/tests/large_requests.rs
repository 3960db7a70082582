//! Large requests of another node: no more memory is taken for them than there is, and nobody waits for them for long.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::Duration;

use ringcache_ring::key_slot;
use ringcache_wire::encode_command;
use ringcache_wire::frame::FrameScanner;

use super::cluster::{hand_over, pair_with};
use super::memory::{small, take_all};
use super::{PATIENCE, Server, eventually};
use crate::bus::FORWARD_VERSION;
use crate::resp::forward::wrap;

const OK: &str = "+OK\r\n";
const OVERLOADED: &str = "-OVERLOADED retry-after-ms=100\r\n";

/// Another node's end of a link.
struct Link {
    socket: TcpStream,
    input: Vec<u8>,
}

impl Link {
    fn open(owner: &Server) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", owner.node.args.bus_port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        writeln!(socket, "ringcache-forward {FORWARD_VERSION} resp2").unwrap();
        Self { socket, input: Vec::new() }
    }

    fn send(&mut self, words: &[&[u8]]) {
        let request = wrap(words.iter().copied(), None).unwrap();
        self.socket.write_all(&request).unwrap();
    }

    /// The next reply; nothing if the link was closed.
    fn receive(&mut self) -> String {
        loop {
            if let Some(length) = FrameScanner::new(64 << 20).scan(&self.input).unwrap() {
                let rest = self.input.split_off(length);
                let reply = std::mem::replace(&mut self.input, rest);
                return String::from_utf8(reply).unwrap();
            }
            let mut chunk = [0; 4 << 10];
            match self.socket.read(&mut chunk) {
                Ok(0) => return String::new(),
                Ok(read) => self.input.extend_from_slice(&chunk[..read]),
                Err(error) => return error.to_string(),
            }
        }
    }
}

/// Other nodes that have a link to the server.
fn links(server: &Server) -> usize {
    server.connect().ask("CLIENT LIST").matches("flags=M").count()
}

/// As when nodes are replaced by smaller ones: the old one takes requests that the new one has no memory for at all.
#[test]
fn a_request_that_the_owner_never_has_memory_for_is_refused_and_holds_up_nobody() {
    let (low, high) = pair_with(|args| {
        args.memory_bytes = if args.name == "web-0" { 1 << 30 } else { 64 << 20 };
    });
    let slot = key_slot(b"bar");
    hand_over(slot, &low, &high);
    let mut client = low.connect();
    let mut ask = |words: &[&[u8]]| {
        let mut reply = String::new();
        eventually("it is forwarded", || {
            // Anew: later it would be answered with `MOVED`.
            low.node.departed(slot);
            reply = client.ask_words(words);
            !reply.starts_with("-MOVED")
        });
        reply
    };
    let names: Vec<_> = (0..9000).map(|n| format!("{{bar}}{n:0>1000}").into_bytes()).collect();
    let words: Vec<&[u8]> =
        std::iter::once(&b"DEL"[..]).chain(names.iter().map(Vec::as_slice)).collect();
    assert_eq!(ask(&words), "-ERR request is too large for the owner of its slot\r\n");
    let set = [&b"SET"[..], b"{bar}other", &vec![b'v'; 128 << 10]];
    assert_eq!(high.connect().ask_words(&set), OK);
    assert_eq!(ask(&set), OK, "over the same link");
    let account = &high.node.account;
    eventually("the memory is given back", || account.used_bytes() < account.limit_bytes() / 8);
}

#[test]
fn large_requests_of_several_nodes_do_not_wait_for_each_other_for_ever() {
    let owner = small();
    let most = owner.node.account.max_message_bytes();
    let value = vec![b'v'; (most - 4096) / 4];
    let mut words: Vec<&[u8]> = vec![b"MSET"];
    for key in [&b"{bar}1"[..], b"{bar}2", b"{bar}3", b"{bar}4"] {
        words.extend([key, &value]);
    }
    let request = wrap(words.iter().copied(), None).unwrap();
    // Together more than there is memory for.
    let (first, rest) = request.split_at(1_700_000);
    let all_have_begun = Barrier::new(8);
    let replies: Vec<String> = std::thread::scope(|scope| {
        let ask = || {
            let mut link = Link::open(&owner);
            link.socket.write_all(first).unwrap();
            all_have_begun.wait();
            // The node reads as much of it as it will. Were this too short, the test would only show less.
            std::thread::sleep(Duration::from_millis(300));
            link.socket.write_all(rest).unwrap();
            link.receive()
        };
        let links: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        links.into_iter().map(|link| link.join().unwrap()).collect()
    });
    // On a slow machine some have to be refused.
    assert!(replies.iter().all(|reply| [OK, OVERLOADED].contains(&reply.as_str())), "{replies:?}");
    assert!(replies.iter().any(|reply| reply == OK), "{replies:?}");
    let account = &owner.node.account;
    eventually("the memory is given back", || account.used_bytes() == 0);
    let value = vec![b'v'; 64 << 10];
    assert_eq!(owner.connect().ask_words(&[b"SET", b"{bar}other", &value]), OK);
}

#[test]
fn a_large_request_that_no_memory_comes_for_is_answered_and_the_next_on_its_link_as_well() {
    let owner = small();
    let mut link = Link::open(&owner);
    let all = take_all(&owner);
    let value = vec![b'v'; 1 << 20];
    link.send(&[b"SET", b"bar", &value]);
    link.send(&[b"EXISTS", b"bar"]);
    assert_eq!(link.receive(), OVERLOADED);
    assert_eq!(link.receive(), ":0\r\n");
    drop(all);
    link.send(&[b"SET", b"bar", &value]);
    link.send(&[b"STRLEN", b"bar"]);
    assert_eq!(link.receive(), OK);
    assert_eq!(link.receive(), ":1048576\r\n");
}

#[test]
fn a_large_request_that_stands_still_half_way_gives_its_memory_back() {
    let owner = small();
    let mut link = Link::open(&owner);
    let request = wrap([&b"SET"[..], b"bar", &vec![b'v'; 1 << 20]].into_iter(), None).unwrap();
    link.socket.write_all(&request[..100]).unwrap();
    let account = &owner.node.account;
    eventually("its memory is taken", || account.used_bytes() > 1 << 19);
    eventually("its memory is given back", || account.used_bytes() == 0);
    assert_eq!(link.receive(), "", "its link is closed");
}

#[test]
fn a_link_that_is_closed_while_it_waits_for_memory_ends() {
    let owner = small();
    let _all = take_all(&owner);
    let value = vec![b'v'; 1 << 20];
    let mut link = Link::open(&owner);
    let request = wrap([&b"SET"[..], b"bar", &value].into_iter(), None).unwrap();
    link.socket.write_all(&request[..100 << 10]).unwrap();
    eventually("there is a link", || links(&owner) == 1);
    drop(link);
    eventually("it has ended", || links(&owner) == 0);
}

#[test]
fn a_node_that_sends_more_than_it_has_announced_is_cut_off() {
    let owner = small();
    let mut request = Vec::new();
    encode_command(&mut request, &[b"RC.FWD", b"SET", b"bar", &vec![b'v'; 1 << 20]]);
    for announced in ["", "RC.SIZE 1000 4\r\n", "RC.SIZE 2000000 4\r\n", "RC.SIZE x\r\n"] {
        let mut link = Link::open(&owner);
        let _ = link.socket.write_all(&[announced.as_bytes(), &request].concat());
        let _ = link.socket.write_all(b"*2\r\n$6\r\nRC.FWD\r\n$4\r\nPING\r\n");
        let reply = link.receive();
        assert!(!reply.starts_with('+'), "{announced}: {reply}");
    }
    assert_eq!(owner.connect().ask("EXISTS bar"), ":0\r\n");
}

#[test]
fn a_link_is_not_closed_for_replies_that_there_is_no_memory_for() {
    let owner = small();
    let value = vec![b'v'; 200];
    assert_eq!(owner.connect().ask_words(&[b"SET", b"bar", &value]), OK);
    let mut link = Link::open(&owner);
    // Many requests at a time, as from many clients. Their replies are short, so that the link keeps little memory for replies.
    let batch = |words: &[&[u8]]| wrap(words.iter().copied(), None).unwrap().repeat(1500);
    for _ in 0..8 {
        link.socket.write_all(&batch(&[b"EXISTS", b"bar"])).unwrap();
        for _ in 0..1500 {
            assert_eq!(link.receive(), ":1\r\n");
        }
    }
    let _all = take_all(&owner);
    link.socket.write_all(&batch(&[b"GET", b"bar"])).unwrap();
    let reply = format!("$200\r\n{}\r\n", "v".repeat(200));
    for n in 0..1500 {
        let received = link.receive();
        assert!([reply.as_str(), "-RC.WAIT 0\r\n"].contains(&received.as_str()), "{n}: {received}");
    }
}
