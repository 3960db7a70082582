//! The views of the cluster that clients ask for, all written from one snapshot of the routes, so that they can never
//! disagree; written once a change, because after a change every client asks at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use ringcache_ring::SLOTS;
use ringcache_wire::output::Output;
use ringcache_wire::reply::{Proto, ReplyWriter};

use crate::node::Node;
use crate::routes::{Peer, Routes};

/// The views of the newest snapshot that anybody asked for.
#[derive(Default)]
pub(super) struct Topology {
    views: ArcSwapOption<Views>,
}

/// What one snapshot looks like.
pub(super) struct Views {
    revision: u64,
    slots: [Vec<u8>; 2],
    shards: [Vec<u8>; 2],
    /// `CLUSTER NODES`.
    pub(super) nodes: String,
    /// `CLUSTER INFO`.
    pub(super) info: String,
}

impl Topology {
    /// The views of the routes in force; `None` while some slot has no owner. Clients give up on a map with gaps, so
    /// they have to wait for a whole one.
    pub(super) fn views(&self, node: &Node) -> Option<Arc<Views>> {
        let routes = node.routes.load();
        if let Some(views) =
            self.views.load_full().filter(|views| views.revision == routes.revision)
        {
            return Some(views);
        }
        let views = Arc::new(Views::new(&routes, &node.node_id)?);
        self.views.store(Some(Arc::clone(&views)));
        Some(views)
    }
}

impl Views {
    /// `CLUSTER SLOTS`, encoded.
    pub(super) fn slots(&self, proto: Proto) -> &[u8] {
        &self.slots[usize::from(proto == Proto::Resp3)]
    }

    /// `CLUSTER SHARDS`, encoded.
    pub(super) fn shards(&self, proto: Proto) -> &[u8] {
        &self.shards[usize::from(proto == Proto::Resp3)]
    }

    fn new(routes: &Routes, me: &str) -> Option<Self> {
        let ranges = routes.ranges();
        let covered: usize =
            ranges.iter().map(|(first, last, _)| usize::from(last - first) + 1).sum();
        if covered != usize::from(SLOTS) {
            return None;
        }
        let encode = |write: &dyn Fn(&mut ReplyWriter<'_>)| {
            [Proto::Resp2, Proto::Resp3].map(|proto| {
                let mut encoded = Output::new(usize::MAX);
                write(&mut ReplyWriter::new(&mut encoded, proto));
                encoded.to_vec()
            })
        };
        let mut shards: BTreeMap<&str, Shard<'_>> = routes
            .peers
            .iter()
            .map(|peer| (peer.node_id.as_str(), Shard { peer, ranges: Vec::new() }))
            .collect();
        for &(first, last, peer) in &ranges {
            if let Some(shard) = shards.get_mut(peer.node_id.as_str()) {
                shard.ranges.push((first, last));
            }
        }
        let serving = shards.values().filter(|shard| !shard.ranges.is_empty()).count();
        Some(Self {
            revision: routes.revision,
            slots: encode(&|reply| write_slots(&ranges, reply)),
            shards: encode(&|reply| write_shards(shards.values(), reply)),
            nodes: nodes(&shards, me, routes.epoch),
            info: info(routes.epoch, shards.len(), serving),
        })
    }
}

/// A node and the ranges of slots that it owns.
struct Shard<'a> {
    peer: &'a Peer,
    ranges: Vec<(u16, u16)>,
}

fn write_slots(ranges: &[(u16, u16, &Peer)], reply: &mut ReplyWriter<'_>) {
    reply.array(ranges.len());
    for (first, last, peer) in ranges {
        reply.array(3);
        reply.integer((*first).into());
        reply.integer((*last).into());
        reply.array(4);
        reply.bulk(peer.host.as_bytes());
        reply.integer(peer.ports.resp.into());
        reply.bulk(peer.node_id.as_bytes());
        reply.map(0);
    }
}

fn write_shards<'a>(
    shards: impl ExactSizeIterator<Item = &'a Shard<'a>>,
    reply: &mut ReplyWriter<'_>,
) {
    reply.array(shards.len());
    for Shard { peer, ranges } in shards {
        reply.map(2);
        reply.bulk(b"slots");
        reply.array(ranges.len() * 2);
        for (first, last) in ranges {
            reply.integer((*first).into());
            reply.integer((*last).into());
        }
        reply.bulk(b"nodes");
        reply.array(1);
        reply.map(7);
        reply.bulk(b"id");
        reply.bulk(peer.node_id.as_bytes());
        reply.bulk(b"port");
        reply.integer(peer.ports.resp.into());
        for (name, value) in
            [("ip", peer.host.as_str()), ("endpoint", peer.host.as_str()), ("role", "master")]
        {
            reply.bulk(name.as_bytes());
            reply.bulk(value.as_bytes());
        }
        reply.bulk(b"replication-offset");
        reply.integer(0);
        reply.bulk(b"health");
        reply.bulk(b"online");
    }
}

/// One line a node: `id ip:port@busport flags - ping pong epoch connected slots...`.
fn nodes(shards: &BTreeMap<&str, Shard<'_>>, me: &str, epoch: u64) -> String {
    let mut lines = String::new();
    for (id, Shard { peer, ranges }) in shards {
        let flags = if *id == me { "myself,master" } else { "master" };
        let (host, resp, bus) = (&peer.host, peer.ports.resp, peer.ports.bus);
        let _ = write!(lines, "{id} {host}:{resp}@{bus} {flags} - 0 0 {epoch} connected");
        for (first, last) in ranges {
            let _ = if first == last {
                write!(lines, " {first}")
            } else {
                write!(lines, " {first}-{last}")
            };
        }
        lines.push('\n');
    }
    lines
}

/// `ok` even while part of the cluster is down: several clients drop a node that says otherwise.
fn info(epoch: u64, known: usize, serving: usize) -> String {
    [
        "cluster_enabled:1".to_owned(),
        "cluster_state:ok".to_owned(),
        format!("cluster_slots_assigned:{SLOTS}"),
        format!("cluster_slots_ok:{SLOTS}"),
        "cluster_slots_pfail:0".to_owned(),
        "cluster_slots_fail:0".to_owned(),
        format!("cluster_known_nodes:{known}"),
        format!("cluster_size:{serving}"),
        format!("cluster_current_epoch:{epoch}"),
        format!("cluster_my_epoch:{epoch}"),
        String::new(),
    ]
    .join("\r\n")
}
