//! What a request for a slot of another node gets: a forward, a `MOVED`, or a little patience.

use crate::counters::count;
use crate::node::Node;
use crate::routes::{Peer, Routes};

/// A slot that was handed over is forwarded for so long, to a falling share of requests; after that every request is
/// answered with `MOVED`. All at once would make every client reload its map in the same moment.
const FORWARD_MS: u64 = 2000;
/// In the beginning one request of so many is answered with `MOVED`.
const FIRST_SHARE: u64 = 64;
/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// Answer with this error: the client goes there, and remembers.
    Moved(String),
    /// Send it on.
    Forward(BusAddress),
    /// Nobody else is known to own the slot: ask again soon.
    Wait,
}

/// Where another node takes forwarded requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BusAddress {
    pub(super) host: String,
    pub(super) port: u16,
}

impl BusAddress {
    fn of(peer: &Peer) -> Self {
        Self { host: peer.host.clone(), port: peer.ports.bus }
    }
}

/// Decides for a client's request that has waited for `waited_ms`, 0 when it is asked for the first time.
/// `departed_requests` counts the connection's requests for departed slots: the share comes from counting, not from chance.
pub(super) fn decide(
    node: &Node,
    slot: u16,
    departed_requests: &mut u32,
    waited_ms: u64,
) -> Redirect {
    let routes = node.routes.load();
    let Some(owner) = other_owner(node, &routes, slot) else { return Redirect::Wait };
    let forward = match node.departed_for(slot) {
        None => false,
        // It was decided to forward it, and that was not possible: no reason to count it again.
        Some(departed_ms) if waited_ms > 0 => departed_ms < FORWARD_MS,
        Some(departed_ms) => {
            *departed_requests = departed_requests.wrapping_add(1);
            !departed_requests.is_multiple_of(moved_one_in(departed_ms))
        }
    };
    if forward {
        Redirect::Forward(BusAddress::of(owner))
    } else {
        Redirect::Moved(moved_to(node, slot, owner))
    }
}

/// Where the owner of the slot takes forwarded requests; `None` if nobody else is known to own it.
pub(super) fn address(node: &Node, slot: u16) -> Option<BusAddress> {
    let routes = node.routes.load();
    other_owner(node, &routes, slot).map(BusAddress::of)
}

/// Whether this node itself takes forwarded requests there.
pub(super) fn is_own(node: &Node, address: &BusAddress) -> bool {
    let routes = node.routes.load();
    let me = routes.peers.iter().find(|peer| peer.node_id == node.node_id);
    me.is_some_and(|me| BusAddress::of(me) == *address)
}

/// The error that sends a client to the owner of the slot; `None` if nobody else is known to be it.
pub(super) fn moved(node: &Node, slot: u16) -> Option<String> {
    let routes = node.routes.load();
    other_owner(node, &routes, slot).map(|owner| moved_to(node, slot, owner))
}

fn moved_to(node: &Node, slot: u16, owner: &Peer) -> String {
    count(&node.counters.moved);
    format!("MOVED {slot} {}:{}", owner.host, owner.ports.resp)
}

fn other_owner<'a>(node: &Node, routes: &'a Routes, slot: u16) -> Option<&'a Peer> {
    routes.owner(slot).filter(|owner| owner.node_id != node.node_id)
}

/// One request in so many is answered with `MOVED`: 64 falling to 1.
fn moved_one_in(departed_ms: u64) -> u32 {
    let left_ms = FORWARD_MS.saturating_sub(departed_ms);
    1 + ((FIRST_SHARE - 1) * left_ms / FORWARD_MS) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_moved_rises_until_every_request_gets_it() {
        assert_eq!(moved_one_in(0), 64);
        assert_eq!(moved_one_in(1000), 32);
        assert_eq!(moved_one_in(FORWARD_MS - 1), 1);
        assert_eq!(moved_one_in(FORWARD_MS), 1);
        assert_eq!(moved_one_in(u64::MAX), 1);
        for ms in 0..FORWARD_MS {
            assert!(moved_one_in(ms) >= moved_one_in(ms + 1));
        }
    }
}
