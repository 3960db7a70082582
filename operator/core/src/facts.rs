//! What follows from an observation without any choice: who answers, who is proven dead, whether the ring has converged.

use ringcache_api::admin::NodeState;
use ringcache_api::{Document, Incarnation};
use ringcache_ring::{SLOTS, SlotSet};

use crate::{Observed, ObservedNode, Phase};

impl Observed {
    /// The node's own answer, if it is an answer of this node of this cluster: behind a port that was reused may sit another.
    pub fn state<'a>(&self, node: &'a ObservedNode) -> Option<&'a NodeState> {
        node.state.as_ref().filter(|state| {
            node.phase != Phase::Exited
                && state.cluster_uid == self.cluster.uid
                && state.incarnation.uid() == node.uid
        })
    }

    /// The node whose uid the incarnation has, whatever runs in it now.
    pub fn node(&self, incarnation: &Incarnation) -> Option<&ObservedNode> {
        self.nodes.iter().find(|node| node.uid == incarnation.uid())
    }

    /// The answer of exactly this incarnation.
    pub fn state_of(&self, incarnation: &Incarnation) -> Option<&NodeState> {
        self.states().find(|state| state.incarnation == *incarnation)
    }

    /// The answers of all nodes that answer.
    pub fn states(&self) -> impl Iterator<Item = &NodeState> {
        self.nodes.iter().filter_map(|node| self.state(node))
    }

    /// Whether the incarnation is *proven* dead: its node does not exist any more, has ended, or runs another incarnation.
    /// A node that does not answer proves nothing.
    pub fn is_gone(&self, incarnation: &Incarnation) -> bool {
        match self.node(incarnation) {
            None => true,
            Some(node) if node.phase == Phase::Exited => true,
            Some(node) => self.state(node).is_some_and(|s| s.incarnation != *incarnation),
        }
    }

    /// The highest epoch that the store or any node has seen.
    pub fn highest_epoch(&self) -> u64 {
        let stored = self.document.iter().map(|document| document.epoch);
        stored.chain(self.states().map(|state| state.epoch)).max().unwrap_or(0)
    }

    /// The stored document, if it is this cluster's: a re-created cluster may find its predecessor's.
    pub fn stored(&self) -> Option<&Document> {
        self.document.as_ref().filter(|document| document.cluster.uid == self.cluster.uid)
    }

    /// The stored document, if it can be built upon: no node has a newer or a different one, and not all of its members
    /// are dead (then nobody is left who could tell whether it was the newest).
    pub fn ring(&self) -> Option<&Document> {
        let document = self.stored()?;
        let known = |state: &NodeState| {
            state.epoch < document.epoch
                || (state.epoch == document.epoch && state.checksum == document.checksum)
        };
        let alive = document.members.iter().any(|member| !self.is_gone(&member.uid));
        (alive && self.states().all(known)).then_some(document)
    }

    /// Whether every member that is not gone is known to have accepted the document.
    pub fn is_accepted(&self, document: &Document) -> bool {
        let accepted = |uid| self.state_of(uid).is_some_and(|state| state.epoch >= document.epoch);
        document.members.iter().all(|m| self.is_gone(&m.uid) || accepted(&m.uid))
    }

    /// Slots that are not known to be where `document` wants them; 0 = it has converged, if it is accepted too.
    pub fn slots_to_go(&self, document: &Document) -> usize {
        let arrived = |member: &ringcache_api::Member| {
            let state = self.state_of(&member.uid)?;
            Some(owned(state).intersection(&document.intended(&member.name)).len())
        };
        usize::from(SLOTS) - document.members.iter().filter_map(arrived).sum::<usize>()
    }

    /// Whether every slot is known to be where the ring wants it, and nobody is in doubt about one.
    pub fn is_converged(&self) -> bool {
        self.ring().is_some_and(|document| {
            document.members.iter().all(|m| !self.is_gone(&m.uid))
                && self.is_accepted(document)
                && self.slots_to_go(document) == 0
                && self.states().all(|state| state.ownership.sealed.is_empty())
        })
    }

    /// Slots owned by nodes that answer.
    pub fn served(&self) -> SlotSet {
        self.states().map(owned).fold(SlotSet::new(), |all, slots| all.union(&slots))
    }
}

/// The slots that a node owns.
pub(crate) fn owned(state: &NodeState) -> SlotSet {
    state.ownership.owned.iter().map(|&(first, last)| first..=last).collect()
}

/// Whether the node holds no slot, not even one that it is in doubt about.
pub(crate) fn is_empty(state: &NodeState) -> bool {
    state.ownership.owned.is_empty() && state.ownership.sealed.is_empty()
}

/// The number in `<cluster>-<n>`, for sorting; names of another form come last.
pub(crate) fn number(name: &str) -> u64 {
    name.rsplit_once('-').and_then(|(_, n)| n.parse().ok()).unwrap_or(u64::MAX)
}
