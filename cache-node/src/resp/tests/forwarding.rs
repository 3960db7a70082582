//! Requests that another node has to answer, and what the clients of this one notice of it.

use std::net::TcpListener;
use std::sync::Arc;

use ringcache_ring::key_slot;

use super::cluster::{hand_over, pair};
use super::{Client, Clock, Server};

const OK: &str = "+OK\r\n";

/// Makes the node forward to `listener` what it would forward to its peer.
fn forward_to(listener: &TcpListener, node: &Server) {
    let mut routes = (**node.node.routes.load()).clone();
    routes.peers[1].ports.bus = listener.local_addr().unwrap().port();
    node.node.routes.store(Arc::new(routes));
}

/// A peer that is stopped: it takes connections and requests, and answers nothing. It ends with the test.
fn stopped_peer() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[test]
fn replies_that_are_ready_do_not_wait_for_a_request_that_an_owner_does_not_answer() {
    let (low, high) = pair();
    let peer = stopped_peer();
    hand_over(key_slot(b"bar"), &low, &high);
    forward_to(&peer, &low);
    let started = Clock::start();
    let mut client = low.connect();
    let stays = "{b}";
    assert!(key_slot(stays.as_bytes()) < 8192);
    let mut pipeline = Vec::new();
    for n in 0..8 {
        pipeline.extend(format!("SET {stays}{n} 1\r\n").bytes());
    }
    for _ in 0..16 {
        pipeline.extend(b"INCR bar\r\n");
    }
    client.send(&pipeline);
    for _ in 0..8 {
        assert_eq!(client.receive(), OK.as_bytes());
    }
    assert!(started.elapsed() < crate::node::WAIT, "they waited for the others");
}

#[test]
fn a_push_does_not_wait_for_a_request_that_an_owner_does_not_answer() {
    let (low, high) = pair();
    let peer = stopped_peer();
    hand_over(key_slot(b"bar"), &low, &high);
    forward_to(&peer, &low);
    let started = Clock::start();
    let mut reader = Client::connect_resp3(low.addr);
    reader.check(&[("CLIENT TRACKING ON", OK), ("GET b", "_\r\n")]);
    reader.send(b"INCR bar\r\n");
    // The request is on its way when the peer has been connected to.
    let (_link, _) = peer.accept().unwrap();
    low.connect().check(&[("SET b 1", OK)]);
    assert_eq!(reader.receive(), b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nb\r\n");
    assert!(started.elapsed() < crate::node::WAIT, "it waited for the reply");
}

#[test]
fn a_reply_that_was_switched_off_is_taken_back_also_after_others_were_written() {
    let (low, high) = pair();
    hand_over(key_slot(b"bar"), &low, &high);
    let mut client = low.connect();
    client.send(b"PING\r\nCLIENT REPLY SKIP\r\nSET bar 1\r\nPING\r\nGET bar\r\n");
    assert_eq!(client.receive(), b"+PONG\r\n");
    assert_eq!(client.receive(), b"+PONG\r\n");
    assert_eq!(client.receive(), b"$1\r\n1\r\n");
}
