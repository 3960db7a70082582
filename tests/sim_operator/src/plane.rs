//! The data plane in small: one cache node for each running pod, all under the rules of ownership.
//!
//! A handover is one step here, without the seal that may stay unanswered: the cluster state machine has a simulation of its
//! own. What matters to the operator is kept: nothing moves without a document, a document alone moves nothing, slots of the
//! dead are adopted only when every other member is accounted for, and moving takes time.

mod node;
mod pod;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringcache_api::admin::{Heard, NodeState, SettingsFor, code};
use ringcache_api::{Document, Incarnation, Member, MemberState};
use ringcache_ring::SlotSet;
use tokio::time::Instant;

use node::Known;
pub(crate) use node::Node;
pub(crate) use pod::PodView;

/// How often the model takes a step while something is going on.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// Slots that a node hands over to one other in a tick.
const SLOTS_PER_TICK: usize = 2000;
/// Longest that a node serves after it was told to end; the kubelet's patience is longer.
const GRACE: Duration = Duration::from_secs(25);

/// All cache nodes of all clusters.
#[derive(Clone, Default)]
pub(crate) struct Plane {
    /// By the uid of their pods.
    pub(crate) nodes: BTreeMap<String, Node>,
    ended: BTreeMap<Incarnation, Instant>,
    /// Checksum of each document that any node was given, by cluster uid and epoch.
    documents: BTreeMap<(String, u64), String>,
    /// Whether one operator acts at a time, so that nothing older is ever pushed.
    pub(crate) single_writer: bool,
    /// Slots adopted since the last reset: in a planned operation none.
    pub(crate) adopted: usize,
    /// What broke a rule.
    pub(crate) violations: Vec<String>,
}

/// Why a node refuses a document or settings.
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Plane {
    /// The same nodes for another run, which has a clock of its own.
    pub(crate) fn resumed(&self) -> Self {
        let mut plane = self.clone();
        for node in plane.nodes.values_mut() {
            node.started = Instant::now();
        }
        plane
    }

    /// Starts nodes for pods that run and ends those whose pods do not; true if anything has changed.
    pub(crate) fn follow(&mut self, pods: &[PodView], dark: impl Fn(&str) -> bool) -> bool {
        let now = Instant::now();
        let mut changed = false;
        for pod in pods.iter().filter(|pod| pod.running && !dark(&pod.host)) {
            let fresh = !self.nodes.contains_key(&pod.uid)
                && !self.ended.keys().any(|incarnation| incarnation.uid() == pod.uid);
            if fresh {
                self.nodes.insert(pod.uid.clone(), pod.start(now));
                changed = true;
            }
            if let Some(node) = self.nodes.get_mut(&pod.uid)
                && pod.deleting
                && node.terminating.is_none()
            {
                node.terminating = Some(now);
                changed = true;
            }
        }
        let lives = |uid: &String| {
            pods.iter().any(|pod| pod.uid == *uid && pod.running && !dark(&pod.host))
        };
        let dead: Vec<String> = self.nodes.keys().filter(|uid| !lives(uid)).cloned().collect();
        for uid in dead {
            self.end(&uid);
            changed = true;
        }
        changed
    }

    /// The process ends, and with it all that it held.
    pub(crate) fn end(&mut self, uid: &str) {
        if let Some(node) = self.nodes.remove(uid) {
            self.ended.insert(node.incarnation, Instant::now());
        }
    }

    /// Gossip, handover and adoption, once each; true if anything has changed.
    pub(crate) fn tick(&mut self) -> bool {
        let uids: Vec<String> = self.nodes.keys().cloned().collect();
        let mut changed = self.gossip();
        for uid in &uids {
            changed |= self.hand_over(uid);
        }
        for uid in &uids {
            changed |= self.adopt(uid);
        }
        if changed {
            self.assert_single_owners();
        }
        changed
    }

    /// Nodes that were told to end and may: they hold nothing, or their grace is over.
    pub(crate) fn finished(&self) -> Vec<String> {
        let over = |node: &Node| {
            node.terminating.is_some_and(|since| node.owned.is_empty() || since.elapsed() >= GRACE)
        };
        self.nodes.iter().filter(|(_, node)| over(node)).map(|(uid, _)| uid.clone()).collect()
    }

    pub(crate) fn at(&self, address: &str) -> Option<&Node> {
        self.nodes.values().find(|node| node.address == address)
    }

    /// The answer of the node at `address`, if one runs there.
    pub(crate) fn state(&self, address: &str) -> Option<NodeState> {
        let node = self.at(address)?;
        let members = node.known.iter().flat_map(|known| &known.document.members);
        let others = members.filter(|member| member.uid != node.incarnation);
        let heard = others.map(|member| Heard {
            incarnation: member.uid.clone(),
            ms_ago: self.heard_by(node, &member.uid),
        });
        Some(node.state(heard.collect()))
    }

    fn heard_by(&self, node: &Node, other: &Incarnation) -> u64 {
        if self.find(other).is_some() {
            return 0;
        }
        let ended = self.ended.get(other).copied();
        let since = ended.map_or(node.started, |ended| ended.max(node.started));
        since.elapsed().as_millis() as u64
    }

    /// The node at `address` is given a document.
    pub(crate) fn push(
        &mut self,
        address: &str,
        document: &Document,
    ) -> Option<Result<(), Refusal>> {
        let uid = self.at(address)?.incarnation.uid().to_owned();
        let key = (document.cluster.uid.clone(), document.epoch);
        let sent = self.documents.entry(key).or_insert_with(|| document.checksum.clone());
        if *sent != document.checksum {
            self.violations.push(format!("O15: two documents have epoch {}", document.epoch));
        }
        let node = self.nodes.get_mut(&uid)?;
        let stale = document.epoch < node.epoch();
        if stale && self.single_writer {
            let (name, epoch) = (&node.name, node.epoch());
            let text = format!("O15: {name} has epoch {epoch} and was given {}", document.epoch);
            self.violations.push(text);
        }
        Some(accept(node, document))
    }

    /// The node at `address` is given settings, and takes them if it is the one that they are for.
    pub(crate) fn configure(
        &mut self,
        address: &str,
        asked: &SettingsFor,
    ) -> Option<Result<(), Refusal>> {
        let node = self.nodes.values_mut().find(|node| node.address == address)?;
        if let Some(to) = asked.to.as_ref().filter(|to| **to != node.incarnation) {
            let message = format!("the settings are for {to}");
            return Some(Err(Refusal { code: code::OTHER_INCARNATION, message }));
        }
        node.settings = asked.settings.over(node.settings);
        Some(Ok(()))
    }

    pub(crate) fn find(&self, incarnation: &Incarnation) -> Option<&Node> {
        self.nodes.get(incarnation.uid()).filter(|node| node.incarnation == *incarnation)
    }

    /// Every message carries the sender's document: members of one learn of a newer one without the operator.
    fn gossip(&mut self) -> bool {
        let mut news: Vec<(String, Arc<Known>)> = Vec::new();
        for known in self.nodes.values().filter_map(|node| node.known.as_ref()) {
            for member in &known.document.members {
                if let Some(node) = self.find(&member.uid)
                    && node.known.is_some()
                    && node.epoch() < known.document.epoch
                {
                    news.push((member.uid.uid().to_owned(), known.clone()));
                }
            }
        }
        let changed = !news.is_empty();
        for (uid, known) in news {
            if let Some(node) = self.nodes.get_mut(&uid)
                && node.epoch() < known.document.epoch
            {
                node.known = Some(known);
            }
        }
        changed
    }

    /// From the live owner to the intended one, when both have accepted the same document.
    fn hand_over(&mut self, uid: &str) -> bool {
        let source = &self.nodes[uid];
        let Some(known) = source.known.clone().filter(|_| source.is_member()) else { return false };
        let own = source.incarnation.clone();
        let mut changed = false;
        for member in known.document.members.iter().filter(|member| member.uid != own) {
            changed |= self.hand_over_to(uid, member, &known);
        }
        changed
    }

    fn hand_over_to(&mut self, uid: &str, member: &Member, known: &Known) -> bool {
        let ready = self.find(&member.uid).is_some_and(|target| {
            target.epoch() == known.document.epoch
                && member.state != MemberState::Leaving
                && !known.document.gone.contains(&member.uid)
        });
        if !ready {
            return false;
        }
        let due = self.nodes[uid].owned.intersection(&known.intended[&member.name]);
        if due.is_empty() {
            return false;
        }
        let slots: SlotSet = match due.len() {
            few if few <= SLOTS_PER_TICK => due,
            _ => due.iter().take(SLOTS_PER_TICK).collect(),
        };
        let count = slots.len() as u64;
        if let Some(source) = self.nodes.get_mut(uid) {
            source.owned = source.owned.difference(&slots);
            source.handed_out += count;
        }
        if let Some(target) = self.nodes.get_mut(member.uid.uid()) {
            target.owned = target.owned.union(&slots);
            target.handed_in += count;
        }
        true
    }

    /// What should be the node's and is nobody's: every other member has accepted the same document and does not own it, or
    /// is gone.
    fn adopt(&mut self, uid: &str) -> bool {
        let node = &self.nodes[uid];
        let Some(known) = node.known.clone() else { return false };
        let Some(me) = known.document.incarnation(&node.incarnation) else { return false };
        let mut free = known.intended[&me.name].difference(&node.owned);
        if free.is_empty() {
            return false;
        }
        let others = known.document.members.iter().filter(|m| m.uid != me.uid);
        for other in others.filter(|m| !known.document.gone.contains(&m.uid)) {
            let answer = self.find(&other.uid);
            let Some(other) = answer.filter(|other| other.epoch() == known.document.epoch) else {
                return false;
            };
            free = free.difference(&other.owned);
        }
        let Some(node) = self.nodes.get_mut(uid).filter(|_| !free.is_empty()) else { return false };
        node.owned = node.owned.union(&free);
        node.adopted += free.len() as u64;
        self.adopted += free.len();
        true
    }

    fn assert_single_owners(&mut self) {
        let mut all: BTreeMap<&str, (SlotSet, usize)> = BTreeMap::new();
        for node in self.nodes.values() {
            let (slots, count) = all.entry(&node.cluster_uid).or_default();
            *slots = slots.union(&node.owned);
            *count += node.owned.len();
        }
        if all.values().any(|(slots, count)| slots.len() != *count) {
            self.violations.push("O5: some slot has two owners".into());
        }
    }

    /// Slots of the cluster that some node serves.
    pub(crate) fn served(&self, cluster_uid: &str) -> usize {
        let nodes = self.nodes.values().filter(|node| node.cluster_uid == cluster_uid);
        nodes.map(|node| node.owned.len()).sum()
    }

    /// Whether every slot is where the newest document wants it, and every member knows that document.
    pub(crate) fn is_converged(&self, cluster_uid: &str) -> bool {
        let nodes: Vec<&Node> =
            self.nodes.values().filter(|node| node.cluster_uid == cluster_uid).collect();
        let Some(known) =
            nodes.iter().filter_map(|n| n.known.as_ref()).max_by_key(|k| k.document.epoch)
        else {
            return false;
        };
        known.document.members.iter().all(|member| {
            self.find(&member.uid).is_some_and(|node| {
                node.epoch() == known.document.epoch && node.owned == known.intended[&member.name]
            })
        })
    }
}

fn accept(node: &mut Node, document: &Document) -> Result<(), Refusal> {
    let known = node.known.as_ref().map(|known| &known.document);
    let refuse = |code, message| Err(Refusal { code, message });
    if document.cluster.uid != node.cluster_uid {
        return refuse(code::OTHER_CLUSTER, "another cluster's document".to_owned());
    }
    match known {
        Some(known) if known.epoch == document.epoch && known.checksum == document.checksum => {}
        Some(known) if known.epoch >= document.epoch => {
            return refuse(code::STALE_EPOCH, format!("epoch {} is in force", known.epoch));
        }
        _ => node.known = Some(Arc::new(Known::new(document.clone()))),
    }
    Ok(())
}
