//! Who should be a member next: decided from the ring, the nodes and the intent, with no memory of how it came to be.

use std::cmp::Reverse;

use ringcache_api::admin::NodeState;
use ringcache_api::document::MAX_MEMBERS;
use ringcache_api::{Document, Incarnation, Member, MemberState};

use crate::facts::{self, number};
use crate::{Intent, Observed, ObservedNode, Phase, Template};

/// The members of the next document, and what is needed to get further.
pub(crate) struct Membership<'a> {
    /// Members of the next document.
    pub(crate) members: Vec<Member>,
    /// Nodes to start.
    pub(crate) start: usize,
    /// Nodes that are no members and stay, because they will be.
    pub(crate) kept: Vec<&'a ObservedNode>,
    /// Members of the stored document that are proven dead.
    pub(crate) lost: Vec<&'a Member>,
    /// A member that is replaced and who replaces it, to get exactly its slots.
    pub(crate) heir: Option<(Incarnation, Incarnation)>,
    /// Why no document can be written now.
    pub(crate) blocked: Option<String>,
}

/// Decides the membership.
pub(crate) fn next<'a>(intent: &Intent, observed: &'a Observed) -> Membership<'a> {
    let mut crew = Crew::muster(intent, observed);
    crew.let_stopping_leave();
    crew.fill();
    crew.shrink();
    crew.roll();
    crew.activate();
    if !crew.members.iter().any(|m| m.state != MemberState::Leaving) {
        crew.next.blocked.get_or_insert_with(|| "waits for nodes that can own slots".into());
    }
    Membership { members: crew.members, ..crew.next }
}

struct Crew<'a> {
    observed: &'a Observed,
    ring: Option<&'a Document>,
    wanted: usize,
    template: Template,
    members: Vec<Member>,
    /// New nodes of the wanted template that answer.
    spares: Vec<&'a ObservedNode>,
    /// New nodes that do not answer yet.
    coming: Vec<&'a ObservedNode>,
    /// Whether nobody has a share yet: then newcomers need not wait for theirs.
    founding: bool,
    next: Membership<'a>,
}

impl<'a> Crew<'a> {
    fn muster(intent: &Intent, observed: &'a Observed) -> Self {
        let ring = observed.ring();
        let template =
            Template { memory_bytes: intent.memory_bytes, program: observed.program.clone() };
        let members = ring.map_or_else(|| survivors(observed), |ring| remaining(observed, ring));
        let stored = observed.stored().into_iter().flat_map(|document| &document.members);
        let mut next = Membership {
            members: Vec::new(),
            start: 0,
            kept: Vec::new(),
            lost: stored.filter(|m| observed.is_gone(&m.uid)).collect(),
            heir: None,
            blocked: None,
        };
        // Without a document that can be trusted a node that does not answer may own any slot.
        let silent = |n: &&ObservedNode| n.phase != Phase::Exited && observed.state(n).is_none();
        if ring.is_none()
            && let Some(node) = observed.nodes.iter().find(silent)
        {
            next.blocked = Some(format!("waits for {} to answer: it may own slots", node.name));
        }
        let settled = ring.is_some_and(|ring| observed.is_accepted(ring));
        let (mut spares, mut coming) = (Vec::new(), Vec::new());
        for node in &observed.nodes {
            let alive = matches!(node.phase, Phase::Starting | Phase::Running);
            let known = ring.map_or(&members, |ring| &ring.members);
            let member = known.iter().any(|m| m.uid.uid() == node.uid && !observed.is_gone(&m.uid));
            if !alive || member {
                continue;
            }
            let fits = node.template == template;
            match observed.state(node) {
                // One that does not fit counts as long as it cannot be stopped safely: another in its place would be one too many.
                None if fits || !settled => coming.push(node),
                Some(state) if fits && state.epoch == 0 && facts::is_empty(state) => {
                    spares.push(node);
                }
                _ => {}
            }
        }
        spares.sort_by_key(|node| number(&node.name));
        coming.sort_by_key(|node| number(&node.name));
        let founding = members.is_empty();
        Self {
            observed,
            ring,
            wanted: intent.nodes,
            template,
            members,
            spares,
            coming,
            founding,
            next,
        }
    }

    fn staying(&self) -> usize {
        self.members.iter().filter(|m| m.state != MemberState::Leaving).count()
    }

    fn missing(&self) -> usize {
        self.wanted.saturating_sub(self.staying())
    }

    fn node_of(&self, member: &Member) -> Option<&'a ObservedNode> {
        self.observed.node(&member.uid)
    }

    fn is_outdated(&self, member: &Member) -> bool {
        self.node_of(member).is_some_and(|node| node.template != self.template)
    }

    /// A node that was told to end, by whomever, hands over while it still can.
    fn let_stopping_leave(&mut self) {
        let observed = self.observed;
        for member in &mut self.members {
            if observed.node(&member.uid).is_some_and(|node| node.phase == Phase::Stopping) {
                member.state = MemberState::Leaving;
            }
        }
    }

    /// Too few: leaving members come back, then new nodes join, all at once so that every slot moves once.
    fn fill(&mut self) {
        self.take_back(false);
        if self.spares.len() < self.missing() {
            // A node on its way out that answers is better than one that does not exist yet: its slots stay where they are.
            self.take_back(true);
        }
        let missing = self.missing().min(MAX_MEMBERS.saturating_sub(self.members.len()));
        self.next.start = missing.saturating_sub(self.spares.len() + self.coming.len());
        self.next.kept.extend(self.spares.iter().chain(&self.coming).take(missing));
        if self.spares.len() >= missing {
            for spare in self.spares.drain(..missing).collect::<Vec<_>>() {
                self.admit(spare);
            }
        }
    }

    fn take_back(&mut self, outdated: bool) {
        let mut back: Vec<usize> = (0..self.members.len())
            .filter(|&i| {
                let member = &self.members[i];
                member.state == MemberState::Leaving
                    && self.observed.state_of(&member.uid).is_some()
                    && self.node_of(member).is_some_and(|n| n.phase != Phase::Stopping)
                    && self.is_outdated(member) == outdated
            })
            .collect();
        back.sort_by_key(|&i| number(&self.members[i].name));
        back.truncate(self.missing());
        for i in back {
            self.members[i].state = MemberState::Active;
        }
    }

    fn admit(&mut self, node: &ObservedNode) {
        let Some(state) = self.observed.state(node) else { return };
        let joins = if self.founding { MemberState::Active } else { MemberState::Joining };
        self.members.push(member(node, state, joins));
    }

    /// Too many: those go first that would be replaced anyway, then those that have not got their share yet.
    fn shrink(&mut self) {
        let excess = self.staying().saturating_sub(self.wanted);
        let mut order: Vec<usize> = (0..self.members.len())
            .filter(|&i| self.members[i].state != MemberState::Leaving)
            .collect();
        order.sort_by_key(|&i| {
            let member = &self.members[i];
            let joining = member.state == MemberState::Joining;
            Reverse((self.is_outdated(member), joining, number(&member.name)))
        });
        for i in order.into_iter().take(excess) {
            self.members[i].state = MemberState::Leaving;
        }
    }

    /// Replaces one out-of-date member: a new node joins and the old one leaves in the same document, so that exactly the
    /// old one's slots move, to the new one.
    fn roll(&mut self) {
        let whole = self.staying() == self.wanted && self.members.len() == self.wanted;
        let outdated = self.members.iter().filter(|m| self.is_outdated(m));
        let Some(victim) = outdated.min_by_key(|m| number(&m.name)).map(|m| m.uid.clone()) else {
            return;
        };
        if !whole {
            return;
        }
        self.next.kept.extend(self.spares.first().or(self.coming.first()));
        let at_rest = self.ring.is_some_and(|ring| ring.members == self.members)
            && self.observed.is_converged()
            && !self.others_are_around();
        if !at_rest {
            return;
        }
        if self.spares.is_empty() {
            self.next.start = usize::from(self.coming.is_empty());
            return;
        }
        let surge = self.spares.remove(0);
        self.admit(surge);
        for member in self.members.iter_mut().filter(|m| m.uid == victim) {
            member.state = MemberState::Leaving;
        }
        self.next.heir = self.observed.state(surge).map(|s| (victim, s.incarnation.clone()));
    }

    /// Whether nodes live that are neither members nor about to be: the last replaced one must have ended before the next
    /// one is replaced, or a roll would need room for more than one node too many.
    fn others_are_around(&self) -> bool {
        self.observed.nodes.iter().any(|node| {
            let is = |other: &&ObservedNode| other.uid == node.uid;
            node.phase != Phase::Exited
                && !self.members.iter().any(|m| m.uid.uid() == node.uid)
                && !self.spares.iter().chain(&self.coming).any(is)
        })
    }

    /// Joining members that have received their share are active.
    fn activate(&mut self) {
        let Some(ring) = self.ring.filter(|_| self.observed.is_converged()) else { return };
        for member in &mut self.members {
            if member.state == MemberState::Joining && ring.incarnation(&member.uid).is_some() {
                member.state = MemberState::Active;
            }
        }
    }
}

/// The members of a ring without the dead ones and without those that have left. Whoever holds slots and is no member (an
/// older document was restored while it did not answer) comes back, to hand them over.
fn remaining(observed: &Observed, ring: &Document) -> Vec<Member> {
    let stays = |m: &&Member| !observed.is_gone(&m.uid) && !has_left(observed, ring, m);
    let members = ring.members.iter().filter(stays).cloned();
    let stranded = observed.nodes.iter().filter_map(|node| {
        let state = observed.state(node).filter(|state| !facts::is_empty(state))?;
        ring.incarnation(&state.incarnation)
            .is_none()
            .then(|| member(node, state, MemberState::Leaving))
    });
    members.chain(stranded).collect()
}

/// Whether a leaving member can be forgotten: it and everybody else have accepted that it leaves, it holds nothing, and
/// nobody waits for its answer about a slot. Forgotten earlier, such a slot would wait for ever.
fn has_left(observed: &Observed, ring: &Document, member: &Member) -> bool {
    member.state == MemberState::Leaving
        && observed.is_accepted(ring)
        && observed.state_of(&member.uid).is_some_and(facts::is_empty)
        && !observed
            .states()
            .any(|s| s.ownership.sealed.iter().any(|sealed| sealed.to == member.uid))
}

/// Without a document to build upon: everybody alive who has taken part, or was meant to.
fn survivors(observed: &Observed) -> Vec<Member> {
    let took_part = observed.nodes.iter().filter_map(|node| {
        let meant = |uid| observed.stored().is_some_and(|d| d.incarnation(uid).is_some());
        let state = observed.state(node).filter(|s| s.epoch > 0 || meant(&s.incarnation))?;
        Some(member(node, state, MemberState::Active))
    });
    took_part.collect()
}

fn member(node: &ObservedNode, run: &NodeState, state: MemberState) -> Member {
    Member {
        name: node.name.clone(),
        uid: run.incarnation.clone(),
        host: node.host.clone(),
        ports: node.ports,
        state,
    }
}
