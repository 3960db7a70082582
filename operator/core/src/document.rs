//! The next ring document for a membership: intended owners with as few moves as possible, from where slots really are.

use std::collections::BTreeSet;

use ringcache_api::document::{FORMAT_VERSION, HashRule, SlotRange};
use ringcache_api::{Document, Incarnation, Member, MemberState};
use ringcache_ring::{Holders, SLOTS, SlotSet, Target, assign};

use crate::Observed;
use crate::membership::Membership;

/// The document to write, or `None` if the stored one says it all or none can be written now.
pub(crate) fn next(observed: &Observed, membership: &Membership<'_>) -> Option<Document> {
    if membership.blocked.is_some() {
        return None;
    }
    let ring = observed.ring();
    let mut members = membership.members.clone();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    if ring.is_some_and(|ring| ring.members == members) {
        return None;
    }
    let slots = match ring {
        // Nobody's share changes: what is on its way must not be sent elsewhere.
        Some(ring) if same_owners(&ring.members, &members) => ring.slots.clone(),
        _ => assigned(observed, &members, membership.replacement.as_ref())?,
    };
    let document = Document {
        version: FORMAT_VERSION,
        cluster: observed.cluster.clone(),
        epoch: observed.highest_epoch().saturating_add(1),
        hash: HashRule::default(),
        gone: gone(observed, membership),
        members,
        slots,
        checksum: String::new(),
    };
    Some(document.sealed())
}

fn owners(members: &[Member]) -> impl Iterator<Item = &Member> {
    members.iter().filter(|m| m.state != MemberState::Leaving)
}

fn same_owners(before: &[Member], after: &[Member]) -> bool {
    owners(before).map(|m| &m.uid).eq(owners(after).map(|m| &m.uid))
}

fn assigned(
    observed: &Observed,
    members: &[Member],
    replacement: Option<&(Incarnation, Incarnation)>,
) -> Option<Vec<SlotRange>> {
    let owners: Vec<&Member> = owners(members).collect();
    let targets: Vec<_> = owners.iter().map(|m| Target { name: &m.name, weight: 1 }).collect();
    let assignment = assign(&holders(observed, &owners, replacement), &targets).ok()?;
    let ranges = assignment.ranges().map(|(range, owner)| SlotRange {
        range: range.into_inner(),
        owner: owners[usize::from(owner)].name.clone(),
    });
    Some(ranges.collect())
}

/// Who holds each slot, as an index into `owners`: who says so; else who should own it. What a
/// replaced member holds counts as its replacement's.
#[expect(clippy::large_stack_arrays, reason = "64 KiB, once, in a call chain without recursion")]
fn holders(
    observed: &Observed,
    owners: &[&Member],
    replacement: Option<&(Incarnation, Incarnation)>,
) -> Holders {
    let mut holders: Holders = [None; SLOTS as usize];
    let mut set = |slots: &SlotSet, owner: usize| {
        for slot in slots.iter() {
            holders[usize::from(slot)] = Some(owner as u16);
        }
    };
    let served = observed.served();
    for (i, member) in owners.iter().enumerate() {
        let intended = observed
            .ring()
            .map(|ring| ring.incarnation(&member.uid).map(|m| ring.intended(&m.name)));
        set(&intended.flatten().unwrap_or_default().difference(&served), i);
    }
    for (i, member) in owners.iter().enumerate() {
        let from =
            replacement.filter(|(_, to)| *to == member.uid).map_or(&member.uid, |(from, _)| from);
        set(&observed.state_of(from).map(|said| said.slots()).unwrap_or_default(), i);
    }
    holders
}

/// The dead of the next document: those of the stored one, the members that have died since, and dead targets of sealed
/// slots. Entries go once every member has accepted a document with them, their nodes are no more, and nobody waits for their
/// answer.
fn gone(observed: &Observed, membership: &Membership<'_>) -> BTreeSet<Incarnation> {
    let awaited: BTreeSet<&Incarnation> =
        observed.states().flat_map(|s| s.sealed).map(|sealed| &sealed.to).collect();
    let told = observed.ring().is_some_and(|ring| observed.is_accepted(ring));
    let known = observed.stored().into_iter().flat_map(|document| document.gone.iter());
    let known = known.filter(|uid| !told || observed.may_return(uid)).cloned();
    let dead = awaited.into_iter().filter(|uid| observed.is_gone(uid)).cloned();
    let lost = membership.lost.iter().map(|member| member.uid.clone());
    known.chain(dead).chain(lost).collect()
}
