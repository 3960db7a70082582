//! Cache nodes without sockets and without data, for simulations of the operator.
//!
//! What a node decides is the product's own: the ownership machine, which documents and settings are accepted, the state that the
//! operator reads, when a node ends that was told to. Made up are the store, which is empty, and the network: every message between
//! nodes that are not isolated arrives, one hop a round, so that nodes die between any two messages of a handover. Settings are taken as
//! they are: their bounds belong to the admin port.

mod load;
mod node;
mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;

use ringcache_api::admin::{NodeState, SettingsFor};
use ringcache_api::{Document, Incarnation};
use ringcache_cluster::Message;
use ringcache_ring::SlotSet;

pub use load::{Load, NODE_BYTES};
pub use node::{Node, Start};
pub use ringcache_cluster::Refusal;

/// Between two rounds while messages are under way that somebody waits for.
const HOP_MS: u64 = 2;
/// Between two rounds while a handover waits for somebody who does not answer.
const RETRY_MS: u64 = 100;
/// Between two rounds while somebody is missing. A node takes a second in which it did nothing for a pause, in which it could hear
/// nobody.
const IDLE_MS: u64 = 900;

/// A message under way, or the news of a document.
#[derive(Clone)]
struct Packet {
    from: Arc<Incarnation>,
    to: Incarnation,
    document: Arc<Document>,
    message: Option<Message>,
}

impl Packet {
    /// Whether somebody waits for it. Heartbeats may come when they will.
    fn is_urgent(&self) -> bool {
        !matches!(self.message, Some(Message::Heartbeat { .. }))
    }
}

/// All nodes of all clusters, and the network between them.
#[derive(Clone, Default)]
pub struct Nodes {
    running: BTreeMap<Incarnation, Node>,
    net: Vec<Packet>,
    now_ms: u64,
    handed: u64,
    adopted: u64,
    news: bool,
    /// Whether anything may follow from what has just happened.
    stirred: bool,
    violations: Vec<String>,
}

impl Nodes {
    /// A process begins.
    pub fn start(&mut self, start: Start) {
        self.running.insert(start.incarnation.clone(), Node::new(start));
        self.stirred = true;
    }

    /// A process ends at once, and with it all that it held.
    pub fn end(&mut self, incarnation: &Incarnation) {
        self.news |= self.running.remove(incarnation).is_some();
    }

    /// A process is told to end, if it was not before.
    pub fn terminate(&mut self, incarnation: &Incarnation) {
        let now_ms = self.now_ms;
        if let Some(node) = self.running.get_mut(incarnation) {
            self.news |= node.terminate(now_ms);
        }
    }

    /// From now on nothing of one reaches the others, and nothing of them reaches it; or it does again.
    pub fn isolate(&mut self, incarnation: &Incarnation, isolated: bool) {
        let node = self.running.get_mut(incarnation);
        if let Some(node) = node.filter(|node| node.is_isolated() != isolated) {
            node.isolate(isolated);
            self.stirred = true;
        }
    }

    /// All that run.
    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.running.values()
    }

    /// One that runs.
    pub fn get(&self, incarnation: &Incarnation) -> Option<&Node> {
        self.running.get(incarnation)
    }

    /// What it answers to `GET /admin/v1/state`.
    pub fn state(&mut self, incarnation: &Incarnation) -> Option<NodeState> {
        let now_ms = self.now_ms;
        self.running.get_mut(incarnation).map(|node| node.state(now_ms))
    }

    /// It is given a document by the operator.
    pub fn push(
        &mut self,
        incarnation: &Incarnation,
        document: &Arc<Document>,
    ) -> Option<Result<u64, Refusal>> {
        let answer = self.running.get_mut(incarnation)?.push(document);
        self.news |= answer.is_ok();
        self.stirred = true;
        self.check_owners();
        Some(answer)
    }

    /// It is given settings by the operator; an error is who they are for.
    pub fn configure(
        &mut self,
        incarnation: &Incarnation,
        asked: SettingsFor,
    ) -> Option<Result<(), Incarnation>> {
        Some(self.running.get_mut(incarnation)?.configure(asked))
    }

    /// Up to when they have lived, in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Lets time pass up to `now_ms`.
    pub fn run_until(&mut self, now_ms: u64) {
        while self.now_ms < now_ms {
            let pause = if self.stirred {
                HOP_MS
            } else if self.iter().any(Node::is_busy) {
                RETRY_MS
            } else if self.is_somebody_missing() {
                IDLE_MS
            } else {
                // Heartbeats and nothing else: as if all had been stopped, and gone on.
                u64::MAX
            };
            self.now_ms = self.now_ms.saturating_add(pause).min(now_ms);
            self.round();
        }
    }

    /// Whether some member of some document does not run: how long it has been silent counts.
    fn is_somebody_missing(&self) -> bool {
        let documents = self.iter().filter_map(Node::document);
        let mut members = documents.flat_map(|document| &document.members);
        members.any(|member| self.get(&member.uid).is_none_or(Node::is_isolated))
    }

    /// What was sent before arrives, everybody looks at the clock, and what they say because of that arrives.
    fn round(&mut self) {
        let mut batch = std::mem::take(&mut self.net);
        let now_ms = self.now_ms;
        for node in self.running.values_mut() {
            node.tick(now_ms, &mut batch);
        }
        self.stirred = batch.iter().any(Packet::is_urgent);
        for packet in batch {
            // What a node said before it ended still arrives.
            if self.running.get(&*packet.from).is_some_and(Node::is_isolated) {
                continue;
            }
            if let Some(node) = self.running.get_mut(&packet.to).filter(|node| !node.is_isolated())
            {
                self.news |= node.receive(now_ms, packet, &mut self.net);
            }
        }
        for node in self.running.values_mut() {
            let (moved, handed, adopted) = node.take_changes();
            self.news |= moved;
            self.handed += handed;
            self.adopted += adopted;
        }
        self.stirred |= self.net.iter().any(Packet::is_urgent);
        self.check_owners();
    }

    /// Whether documents or slots have changed hands, or nodes have come or gone, since this was asked before.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Slots that were handed over since this was asked before.
    pub fn take_handed(&mut self) -> u64 {
        std::mem::take(&mut self.handed)
    }

    /// Slots that were adopted, nobody having owned them, since this was asked before.
    pub fn take_adopted(&mut self) -> u64 {
        std::mem::take(&mut self.adopted)
    }

    /// Nodes that were told to end and need not go on.
    pub fn finished(&mut self) -> Vec<Incarnation> {
        let now_ms = self.now_ms;
        let ended = self.running.values_mut().filter_map(|node| node.ends(now_ms));
        ended.collect()
    }

    /// Slots of a cluster that are served.
    pub fn served(&self, cluster_uid: &str) -> SlotSet {
        let nodes = self.iter().filter(|node| node.cluster_uid() == cluster_uid);
        nodes.fold(SlotSet::new(), |all, node| all.union(node.serving()))
    }

    /// Whether every slot of a cluster is where its newest document wants it, and every member has that document.
    pub fn is_converged(&self, cluster_uid: &str) -> bool {
        let nodes = || self.iter().filter(|node| node.cluster_uid() == cluster_uid);
        let Some(document) = nodes().filter_map(Node::document).max_by_key(|d| d.epoch) else {
            return false;
        };
        document.members.iter().all(|member| {
            self.get(&member.uid).is_some_and(|node| {
                node.epoch() == document.epoch && *node.serving() == document.intended(&member.name)
            })
        })
    }

    /// What broke a rule.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Whether some node that others reach knows that this one is gone, although it runs: it was isolated, and stops serving as
    /// soon as anybody tells it.
    pub fn is_outcast(&self, node: &Node) -> bool {
        let reached = self.iter().filter(|other| !other.is_isolated());
        let mut documents = reached.filter_map(Node::document);
        node.was_isolated() && documents.any(|d| d.gone.contains(node.incarnation()))
    }

    /// Two owners of a slot can only come about when a node opens one.
    fn check_owners(&mut self) {
        let opened = self.running.values_mut().filter_map(Node::take_opened).count();
        if opened == 0 {
            return;
        }
        let found = self.two_owners();
        let is_news = found.is_some() && self.violations.last() != found.as_ref();
        self.violations.extend(found.filter(|_| is_news));
    }

    /// Slots that two nodes serve, as text.
    fn two_owners(&self) -> Option<String> {
        let mut all: BTreeMap<&str, SlotSet> = BTreeMap::new();
        let takes_part = |node: &&Node| !node.is_isolated() && !self.is_outcast(node);
        for node in self.running.values().filter(takes_part) {
            let taken = all.entry(node.cluster_uid()).or_default();
            let twice = taken.intersection(node.serving());
            if let Some(slot) = twice.iter().next() {
                return Some(format!("slot {slot} and {} more have two owners", twice.len() - 1));
            }
            *taken = taken.union(node.serving());
        }
        None
    }
}
