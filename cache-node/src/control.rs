//! The control thread: it alone runs the cluster state machine, and answers what others ask of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringcache_api::{Document, Incarnation};
use ringcache_cluster::{Cluster, Config, Refusal};
use ringcache_ring::SLOTS;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::bus::{Inbound, Links};
use crate::node::{Node, node_id};
use crate::requests::Request;
use crate::routes::{Peer, Routes};
use crate::slots::NodeSlots;

/// Pause between ticks while slots are on the move, and while nothing is.
const BUSY_TICK: Duration = Duration::from_millis(1);
const IDLE_TICK: Duration = Duration::from_millis(20);
/// Events handled before the outbox is sent.
const BATCH: usize = 64;

/// The control thread's state.
pub struct Control {
    node: Arc<Node>,
    cluster: Cluster,
    links: Links,
    routed_epoch: u64,
}

impl Control {
    /// A node without a document. `inbox` is where the bus delivers.
    pub fn new(node: Arc<Node>, inbox: mpsc::Sender<Inbound>) -> Self {
        let cluster = Cluster::new(&node.incarnation, Config::default());
        let links = Links::new(Arc::clone(&node), inbox);
        Self { node, cluster, links, routed_epoch: 0 }
    }

    /// Runs until every other thread has stopped asking.
    pub async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut inbox: mpsc::Receiver<Inbound>,
    ) {
        let mut inbound = Vec::with_capacity(BATCH);
        loop {
            let tick = if self.cluster.is_busy() { BUSY_TICK } else { IDLE_TICK };
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.answer(request),
                    None => return,
                },
                _ = inbox.recv_many(&mut inbound, BATCH) => {
                    for event in inbound.drain(..) {
                        self.take_in(event);
                    }
                }
                () = tokio::time::sleep(tick) => {}
            }
            let mut slots = NodeSlots::new(&self.node);
            let now = self.node.clock.monotonic_ms();
            self.node.control_turn_ms.store(now, Ordering::Relaxed);
            self.cluster.tick(now, &mut slots);
            self.publish_routes();
            self.send();
        }
    }

    fn answer(&mut self, request: Request) {
        // An answer that nobody waits for any more is no error.
        match request {
            Request::Push(document, reply) => {
                let _ = reply.send(self.push(&document));
            }
            Request::Knowledge(reply) => {
                let _ = reply.send(self.cluster.knowledge(self.node.clock.monotonic_ms()));
            }
        }
    }

    fn push(&mut self, document: &Arc<Document>) -> Result<u64, Refusal> {
        self.cluster.admit(&self.node.args.cluster_uid, document)?;
        self.learn(document);
        Ok(self.cluster.epoch())
    }

    fn take_in(&mut self, event: Inbound) {
        match event {
            Inbound::Connected(peer) => self.cluster.reconnected(&peer),
            Inbound::Document(from, document) => {
                if self.is_ours(&from, &document) {
                    self.learn(&document);
                }
            }
            Inbound::Messages { from, document, messages, news } => {
                if !self.is_ours(&from, &document) {
                    return;
                }
                self.learn(&document);
                let now = self.node.clock.monotonic_ms();
                let mut slots = NodeSlots::new(&self.node);
                for message in messages {
                    self.cluster.receive(now, &from, message, &mut slots);
                }
                if let Some(document) = self.cluster.news_for(&from) {
                    let _ = news.try_send(Arc::clone(document)); // one is on its way, or the connection has ended
                }
            }
        }
    }

    fn is_ours(&self, from: &Incarnation, document: &Document) -> bool {
        let is_ours = document.cluster.uid == self.node.args.cluster_uid;
        if !is_ours {
            warn!(%from, uid = document.cluster.uid, "messages of another cluster ignored");
        }
        is_ours
    }

    fn learn(&mut self, document: &Arc<Document>) {
        let mut slots = NodeSlots::new(&self.node);
        if self.cluster.learn(document, &mut slots) {
            info!(
                epoch = document.epoch,
                members = document.members.len(),
                "ring document accepted"
            );
            self.links.follow(document);
        }
    }

    /// Publishes who owns what, if that changed: a copy of the table with the changes in it.
    fn publish_routes(&mut self) {
        let moved = self.cluster.take_moved();
        let Some(document) = self.cluster.document() else { return };
        let current = self.node.routes.load();
        let mut routes = if self.routed_epoch == document.epoch {
            if moved.is_empty() {
                return;
            }
            Routes::clone(&current)
        } else {
            let peers: Vec<Peer> = document.members.iter().map(peer).collect();
            let me = peers.iter().position(|p| p.incarnation == self.node.incarnation);
            let mut routes = Routes::empty(peers, me.map(|index| index as u16));
            routes.epoch = document.epoch;
            for slot in 0..SLOTS {
                route(&self.cluster, &mut routes, slot);
            }
            self.routed_epoch = document.epoch;
            routes
        };
        for slot in &moved {
            route(&self.cluster, &mut routes, *slot);
        }
        routes.revision = current.revision + 1;
        self.node.routes.store(Arc::new(routes));
        for slot in moved {
            self.node.wake(slot);
        }
    }

    fn send(&mut self) {
        let Some(document) = self.cluster.document().cloned() else { return };
        for (to, message) in self.cluster.outbox() {
            self.links.send(&to, &document, message);
        }
    }
}

fn route(cluster: &Cluster, routes: &mut Routes, slot: u16) {
    let owner = cluster.route(slot).and_then(|uid| routes.index(uid));
    routes.set_owner(slot, owner);
}

fn peer(member: &ringcache_api::Member) -> Peer {
    Peer {
        name: member.name.clone(),
        incarnation: member.uid.clone(),
        node_id: node_id(&member.uid),
        host: member.host.clone(),
        ports: member.ports,
    }
}

impl Routes {
    fn index(&self, uid: &Incarnation) -> Option<u16> {
        self.peers.iter().position(|p| p.incarnation == *uid).map(|index| index as u16)
    }
}
