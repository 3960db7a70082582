//! What is counted of the requests of clients.

use std::time::Duration;

use ringcache_ring::key_slot;
use ringcache_store::Access;

use super::cluster::{hand_over, pair};
use super::{Server, eventually};
use crate::served::Tally;

/// What the node has served, once it has counted so many requests for keys.
fn served(server: &Server, requests: u64) -> Tally {
    let mut total = Tally::default();
    eventually("the requests are counted", || {
        total = server.node.served.total();
        total.reads.count() + total.writes.count() >= requests
    });
    total
}

#[test]
fn requests_bytes_and_errors_of_a_client_are_counted() {
    let server = Server::start();
    let mut client = server.connect();
    let sent = b"SET k 1\r\nGET k\r\nGET none\r\nNOSUCH\r\nINCR x\r\nLPUSH\r\nPING\r\nQUIT\r\n";
    client.send(sent);
    let received = client.receive_all();
    let total = served(&server, 4);
    assert_eq!((total.reads.count(), total.writes.count()), (2, 2));
    eventually("the bytes are counted", || {
        let total = server.node.served.total();
        (total.bytes_in, total.bytes_out) == (sent.len() as u64, received.len() as u64)
    });
    let errors: Vec<_> = total.errors().filter(|(_, count)| *count > 0).collect();
    assert_eq!(errors, [("ERR", 2)]);
}

#[test]
fn a_transaction_is_one_request_and_a_write_if_one_of_its_commands_is() {
    let server = Server::start();
    let mut client = server.connect();
    client.ask("MULTI");
    client.ask("GET {k}1");
    client.ask("SET {k}2 v");
    client.ask("EXEC");
    let total = served(&server, 1);
    assert_eq!((total.reads.count(), total.writes.count()), (0, 1));
}

#[test]
fn a_request_that_waits_for_its_slot_takes_as_long() {
    let server = Server::start();
    let slot = key_slot(b"k");
    server.set_access(slot, Access::Parked);
    let mut client = server.connect();
    client.send(b"GET k\r\n");
    std::thread::sleep(Duration::from_millis(100));
    server.set_access(slot, Access::Open);
    assert_eq!(client.receive(), b"$-1\r\n");
    let took_us = served(&server, 1).reads.quantile(1.0).unwrap();
    assert!(took_us > 50_000, "{took_us}");
}

#[test]
fn a_request_that_another_node_answers_is_counted_where_its_client_is() {
    let (low, high) = pair();
    hand_over(key_slot(b"bar"), &low, &high);
    assert_eq!(low.connect().ask("INCR bar"), ":1\r\n");
    assert_eq!(served(&low, 1).writes.count(), 1);
    let at_owner = high.node.served.total();
    assert_eq!((at_owner.writes.count(), at_owner.bytes_in), (0, 0));
}
