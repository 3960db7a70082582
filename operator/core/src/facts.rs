//! What follows from an observation without any choice: who answers, who is proven dead, whether the ring has converged.

use ringcache_api::{Document, Incarnation};
use ringcache_ring::{SLOTS, SlotSet};

use crate::{Intent, Observed, ObservedNode, Phase, Said, Template};

/// An epoch above this is no epoch: a document every microsecond would take three centuries to get there.
const MAX_EPOCH: u64 = 1 << 53;

impl Observed {
    /// What new nodes are started as.
    pub fn template(&self, intent: &Intent) -> Template {
        Template {
            memory_bytes: intent.memory_bytes,
            program: self.program.clone(),
            pod: self.pod.clone(),
        }
    }

    /// The node's own answer, if it is an answer of this node of this cluster (behind a port that was reused may sit another)
    /// and its incarnation has not been declared gone: then what it says of itself counts no more.
    pub fn state<'a>(&self, node: &'a ObservedNode) -> Option<Said<'a>> {
        self.answer(node).filter(|said| !self.is_declared_gone(said.incarnation))
    }

    /// Whether the node runs on although it has been declared gone: its host was cut off and came back. Others have taken
    /// its slots over, and nobody listens to it any more.
    pub fn is_outcast(&self, node: &ObservedNode) -> bool {
        self.answer(node).is_some_and(|said| self.is_declared_gone(said.incarnation))
    }

    fn answer<'a>(&self, node: &'a ObservedNode) -> Option<Said<'a>> {
        node.state.as_ref().map(Said::from).filter(|said| {
            !node.phase.is_over()
                && said.epoch <= MAX_EPOCH
                && said.cluster_uid == self.cluster.uid
                && said.incarnation.uid() == node.uid
        })
    }

    fn is_declared_gone(&self, incarnation: &Incarnation) -> bool {
        self.stored().is_some_and(|document| document.gone.contains(incarnation))
    }

    /// Whether another node must take the place of this one: its host is about to go, or it was started as something else.
    pub(crate) fn must_be_replaced(&self, node: &ObservedNode, intent: &Intent) -> bool {
        node.draining || !intent.paused && node.template != self.template(intent)
    }

    /// Whether what is left of the node stays as evidence until it is worth another try, which a node started otherwise is at
    /// once.
    pub fn awaits_retry(&self, node: &ObservedNode, intent: &Intent) -> bool {
        node.phase == Phase::Exited && node.resting && node.template == self.template(intent)
    }

    /// Whether the node provably owns nothing because its process has never run: it does not answer, and no document counts on
    /// it, as one might that was written just before we looked.
    pub fn never_ran(&self, node: &ObservedNode) -> bool {
        let documents = self.document.iter().flat_map(|document| &document.members);
        node.phase == Phase::Pending
            && node.state.is_none()
            && !documents.map(|member| member.uid.uid()).any(|uid| uid == node.uid)
    }

    /// The node whose uid the incarnation has, whatever runs in it now.
    pub fn node(&self, incarnation: &Incarnation) -> Option<&ObservedNode> {
        self.nodes.iter().find(|node| node.uid == incarnation.uid())
    }

    /// The answer of exactly this incarnation.
    pub fn state_of(&self, incarnation: &Incarnation) -> Option<Said<'_>> {
        self.states().find(|said| said.incarnation == incarnation)
    }

    /// The answers of all nodes that answer.
    pub fn states(&self) -> impl Iterator<Item = Said<'_>> {
        self.nodes.iter().filter_map(|node| self.state(node))
    }

    /// Whether the incarnation is *proven* dead: its node does not exist any more, has ended, or runs another incarnation; or
    /// that was proven before. A node that does not answer proves nothing.
    pub fn is_gone(&self, incarnation: &Incarnation) -> bool {
        if self.is_declared_gone(incarnation) {
            return true;
        }
        match self.node(incarnation) {
            None => true,
            Some(node) if node.phase.is_over() => true,
            Some(node) => self.state(node).is_some_and(|said| said.incarnation != incarnation),
        }
    }

    /// Whether the incarnation may still be running or come back: its node exists and nothing else is known to run in it.
    pub(crate) fn may_return(&self, incarnation: &Incarnation) -> bool {
        self.node(incarnation)
            .is_some_and(|node| self.state(node).is_none_or(|said| said.incarnation == incarnation))
    }

    /// The highest epoch that the store or any node has seen.
    pub fn highest_epoch(&self) -> u64 {
        let stored = self.document.iter().map(|document| document.epoch);
        let answers = self.nodes.iter().filter_map(|node| self.answer(node));
        stored.chain(answers.map(|state| state.epoch)).max().unwrap_or(0)
    }

    /// The stored document, if it is this cluster's: a re-created cluster may find its predecessor's.
    pub fn stored(&self) -> Option<&Document> {
        self.document.as_ref().filter(|document| document.cluster.uid == self.cluster.uid)
    }

    /// The stored document, if it can be built upon: no node has a newer or a different one, and not all of its members
    /// are dead (then nobody is left who could tell whether it was the newest).
    pub fn ring(&self) -> Option<&Document> {
        let document = self.stored()?;
        let known = |said: Said<'_>| {
            said.epoch < document.epoch
                || (said.epoch == document.epoch && said.checksum == document.checksum)
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
            let said = self.state_of(&member.uid)?;
            Some(said.slots().intersection(&document.intended(&member.name)).len())
        };
        usize::from(SLOTS) - document.members.iter().filter_map(arrived).sum::<usize>()
    }

    /// Whether every slot is known to be where the ring wants it, and nobody is in doubt about one.
    pub fn is_converged(&self) -> bool {
        self.ring().is_some_and(|document| {
            document.members.iter().all(|m| !self.is_gone(&m.uid))
                && self.is_accepted(document)
                && self.slots_to_go(document) == 0
                && self.states().all(|said| said.sealed.is_empty())
        })
    }

    /// Slots owned by nodes that answer, or handed over by one to another this moment.
    pub fn covered(&self) -> SlotSet {
        let on_its_way = self.states().flat_map(|said| said.sealed);
        let on_its_way = on_its_way.filter(|sealed| self.state_of(&sealed.to).is_some());
        let ranges = on_its_way.flat_map(|sealed| &sealed.slots).chain(&self.seen);
        self.served().union(&ranges.map(|&(first, last)| first..=last).collect())
    }

    /// Whether slots may seem to have no owner only because nodes answer one after the other: all members answer, and a slot
    /// that one handed over after it was asked is missing in the earlier answer of the other. Asking once more tells.
    pub fn may_be_between_answers(&self) -> bool {
        let answers = |member: &ringcache_api::Member| self.state_of(&member.uid).is_some();
        self.covered().len() < usize::from(SLOTS)
            && self.stored().is_some_and(|document| document.members.iter().all(answers))
    }

    /// The same, knowing of a look a moment before.
    #[must_use]
    pub fn after(self, earlier: &Self) -> Self {
        let seen = earlier.covered();
        let seen = seen.ranges().map(std::ops::RangeInclusive::into_inner).collect();
        Self { seen, ..self }
    }

    /// Bytes that entries take at all nodes that answer.
    pub fn used_bytes(&self) -> u64 {
        self.states().map(|said| said.used_bytes).fold(0, u64::saturating_add)
    }

    /// Slots owned by nodes that answer.
    pub fn served(&self) -> SlotSet {
        self.states().map(|said| said.slots()).fold(SlotSet::new(), |all, slots| all.union(&slots))
    }
}

/// The number in `<cluster>-<n>`, for sorting; names of another form come last.
pub(crate) fn number(name: &str) -> u64 {
    name.rsplit_once('-').and_then(|(_, n)| n.parse().ok()).unwrap_or(u64::MAX)
}
