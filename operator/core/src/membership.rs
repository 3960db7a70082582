//! Who should be a member next: decided from the ring, the nodes and the intent, with no memory of how it came to be.

use ringcache_api::document::MAX_MEMBERS;
use ringcache_api::{Document, Incarnation, Member, MemberState};

use crate::facts::number;
use crate::{Intent, Observed, ObservedNode, Phase, Place, Said};

/// Those that are there begin without the others when these have been waited for so long, in seconds: each slot would move
/// once if all joined at once, but one node that cannot start must not keep the others from serving.
pub(crate) const PATIENCE_SECONDS: u64 = 30;

/// Why there is no document for a ring without nodes.
pub(crate) const NO_NODES: &str = "waits for nodes that can own slots";

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
    pub(crate) replacement: Option<(Incarnation, Incarnation)>,
    /// Why no document can be written now.
    pub(crate) blocked: Option<String>,
    /// Whether some take part without others that are wanted, which have been waited for.
    pub(crate) is_short: bool,
}

/// Decides the membership.
pub(crate) fn next<'a>(intent: &'a Intent, observed: &'a Observed) -> Membership<'a> {
    let mut roster = Roster::of(intent, observed);
    roster.let_stopping_leave();
    roster.fill();
    roster.shrink();
    roster.roll();
    roster.activate();
    if !roster.members.iter().any(|m| m.state != MemberState::Leaving) {
        roster.next.blocked.get_or_insert_with(|| NO_NODES.into());
    }
    Membership { members: roster.members, ..roster.next }
}

struct Roster<'a> {
    observed: &'a Observed,
    ring: Option<&'a Document>,
    intent: &'a Intent,
    wanted: usize,
    members: Vec<Member>,
    /// New nodes of the wanted template that answer, on hosts that stay.
    spares: Vec<&'a ObservedNode>,
    /// New nodes that do not answer yet, or rest before they are tried again.
    coming: Vec<&'a ObservedNode>,
    /// Whether nobody has a share yet: then newcomers need not wait for theirs.
    founding: bool,
    next: Membership<'a>,
}

impl<'a> Roster<'a> {
    fn of(intent: &'a Intent, observed: &'a Observed) -> Self {
        let ring = observed.ring();
        let template = observed.template(intent);
        let members = ring.map_or_else(|| survivors(observed), |ring| remaining(observed, ring));
        let stored = observed.stored().into_iter().flat_map(|document| &document.members);
        let mut next = Membership {
            members: Vec::new(),
            start: 0,
            kept: Vec::new(),
            lost: stored.filter(|m| observed.is_gone(&m.uid)).collect(),
            replacement: None,
            blocked: None,
            is_short: false,
        };
        if ring.is_none()
            && let Some(node) = observed.nodes.iter().find(|node| may_own_unseen(observed, node))
        {
            next.blocked = Some(format!("waits for {} to answer: it may own slots", node.name));
        }
        let settled = ring.is_some_and(|ring| observed.is_accepted(ring));
        let (mut spares, mut coming) = (Vec::new(), Vec::new());
        for node in &observed.nodes {
            if observed.awaits_retry(node, intent) {
                coming.push(node);
                continue;
            }
            let alive = node.phase.is_up() && !node.stopping;
            let known = ring.map_or(&members, |ring| &ring.members);
            let member = known.iter().any(|m| m.uid.uid() == node.uid && !observed.is_gone(&m.uid));
            if !alive || member {
                continue;
            }
            let fits = node.template == template && !node.draining;
            match observed.state(node) {
                None if observed.is_outcast(node) => {}
                None if fits => coming.push(node),
                // An outdated node that cannot be stopped yet still uses a place: with its replacement there would be one node
                // too many.
                None if !settled && !observed.never_ran(node) => coming.push(node),
                Some(state) if fits && state.epoch == 0 && state.is_empty() => {
                    spares.push(node);
                }
                _ => {}
            }
        }
        spares.sort_by_key(|node| number(&node.name));
        // What is nearest to taking part is kept first.
        coming.sort_by_key(|node| {
            (observed.awaits_retry(node, intent), node.trouble.is_some(), number(&node.name))
        });
        let founding = members.is_empty();
        Self {
            observed,
            ring,
            intent,
            wanted: intent.nodes,
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

    fn is_draining(&self, member: &Member) -> bool {
        self.node_of(member).is_some_and(|node| node.draining)
    }

    /// Whether another node must take the member's place.
    fn is_to_replace(&self, member: &Member) -> bool {
        self.node_of(member).is_some_and(|node| self.observed.must_be_replaced(node, self.intent))
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

    /// Too few: leaving members come back, then new nodes join, all at once so that every slot moves once, unless some of them keep
    /// the others waiting.
    fn fill(&mut self) {
        self.take_back(false);
        if self.spares.len() < self.missing() {
            // A node on its way out that answers is better than one that does not exist yet: its slots stay where they are.
            self.take_back(true);
        }
        let missing = self.missing().min(MAX_MEMBERS.saturating_sub(self.members.len()));
        self.next.start = missing.saturating_sub(self.spares.len() + self.coming.len());
        self.next.kept.extend(self.spares.iter().chain(&self.coming).take(missing));
        let admitted = missing.min(self.spares.len());
        self.next.is_short = admitted < missing && !self.are_more_expected();
        if admitted == missing || self.next.is_short {
            for spare in self.spares.drain(..admitted).collect::<Vec<_>>() {
                self.admit(spare);
            }
        }
    }

    /// Whether nodes that do not answer yet are likely to, soon.
    fn are_more_expected(&self) -> bool {
        let is_due = |node: &&ObservedNode| {
            node.phase == Phase::Exited || node.silent_seconds >= PATIENCE_SECONDS
        };
        self.next.start > 0 && !self.observed.starts_fail || !self.coming.iter().all(is_due)
    }

    fn take_back(&mut self, to_replace: bool) {
        let mut back: Vec<usize> = (0..self.members.len())
            .filter(|&i| {
                let member = &self.members[i];
                member.state == MemberState::Leaving
                    && self.observed.state_of(&member.uid).is_some()
                    && self.node_of(member).is_some_and(|n| n.phase != Phase::Stopping)
                    && self.is_to_replace(member) == to_replace
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

    /// Too many: those go first that would be replaced anyway, then those that have not got their share yet, then one of the zone and
    /// the host that have most of them, so that the loss of a host stays as small as it can be.
    fn shrink(&mut self) {
        for _ in self.wanted..self.staying() {
            let staying = self.members.iter().filter(|m| m.state != MemberState::Leaving);
            let nodes: Vec<_> = staying.clone().filter_map(|m| self.node_of(m)).collect();
            let first = staying.max_by_key(|member| {
                let joining = member.state == MemberState::Joining;
                let to_replace = (self.is_draining(member), self.is_to_replace(member));
                (to_replace, joining, self.around(member, &nodes), number(&member.name))
            });
            let Some(first) = first.map(|member| member.uid.clone()) else { return };
            for member in self.members.iter_mut().filter(|member| member.uid == first) {
                member.state = MemberState::Leaving;
            }
        }
    }

    /// How many of the nodes `others` run in the member's zone, and on its host. 0 where that is not known.
    fn around(&self, member: &Member, others: &[&'a ObservedNode]) -> (usize, usize) {
        let Some(Place { zone, host }) = self.node_of(member).map(|node| &node.place) else {
            return (0, 0);
        };
        let alike = |own: &Option<String>, part: fn(&Place) -> &Option<String>| {
            let is_alike = |other: &&&ObservedNode| own.is_some() && part(&other.place) == own;
            others.iter().filter(is_alike).count()
        };
        (alike(zone, |place| &place.zone), alike(host, |place| &place.host))
    }

    /// Replaces one member, those on hosts that are about to go first: a new node joins and the old one leaves in the same document, so that exactly the
    /// old one's slots move, to the new one.
    fn roll(&mut self) {
        let whole = self.staying() == self.wanted && self.members.len() == self.wanted;
        let victims = self.members.iter().filter(|m| self.is_to_replace(m));
        let new = self.members.iter().filter(|m| !self.is_to_replace(m));
        let new = new.filter_map(|m| self.node_of(m)).chain(self.spares.first().copied());
        let new: Vec<_> = new.collect();
        // The next new node goes where there are fewest of them, if it must be spread: there one has to make room for it.
        let first =
            victims.min_by_key(|m| (!self.is_draining(m), self.around(m, &new), number(&m.name)));
        let Some(victim) = first.map(|m| m.uid.clone()) else { return };
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
        self.next.replacement = self.observed.state(surge).map(|s| (victim, s.incarnation.clone()));
    }

    /// Whether nodes live that are neither members nor about to be: the last replaced one must have ended before the next
    /// one is replaced, or a roll would need room for more than one node too many.
    fn others_are_around(&self) -> bool {
        self.observed.nodes.iter().any(|node| {
            let is = |other: &&ObservedNode| other.uid == node.uid;
            !node.phase.is_over()
                && !node.is_left_behind()
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
        let state = observed.state(node).filter(|state| !state.is_empty())?;
        ring.incarnation(state.incarnation)
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
        && observed.state_of(&member.uid).is_some_and(|said| said.is_empty())
        && !observed.states().any(|said| said.awaits(&member.uid))
}

/// Whether the node, without a document that can be trusted, may own any slot, as one that does not answer may. A lost one
/// may come back: it must be declared gone, by an incarnation that only the document can name. When a ring is founded there
/// is nothing yet that it could own.
fn may_own_unseen(observed: &Observed, node: &ObservedNode) -> bool {
    match node.phase {
        Phase::Exited => false,
        Phase::Pending if observed.never_ran(node) => false,
        Phase::Lost => {
            let known = observed.stored().is_some_and(|document| {
                let members = document.members.iter().map(|member| &member.uid);
                members.chain(&document.gone).any(|incarnation| incarnation.uid() == node.uid)
            });
            let founding =
                observed.stored().is_none() && observed.states().all(|state| state.epoch == 0);
            !known && !founding
        }
        _ => observed.state(node).is_none() && !observed.is_outcast(node),
    }
}

/// Without a document to build upon: everybody alive who has taken part, or was meant to.
fn survivors(observed: &Observed) -> Vec<Member> {
    let took_part = observed.nodes.iter().filter_map(|node| {
        let meant = |uid| observed.stored().is_some_and(|d| d.incarnation(uid).is_some());
        let state = observed.state(node).filter(|s| s.epoch > 0 || meant(s.incarnation))?;
        Some(member(node, state, MemberState::Active))
    });
    took_part.collect()
}

fn member(node: &ObservedNode, said: Said<'_>, state: MemberState) -> Member {
    Member {
        name: node.name.clone(),
        uid: said.incarnation.clone(),
        host: node.host.clone(),
        ports: node.ports,
        state,
    }
}
