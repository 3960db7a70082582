//! Rules for the document that a plan writes.

use ringcache_api::document::MAX_DOCUMENT_BYTES;
use ringcache_api::{Document, DocumentError, Incarnation, Member, MemberState};

use super::Violation;
use crate::{Intent, Observed, ObservedNode, Phase};

pub(super) fn check(
    document: &Document,
    intent: &Intent,
    observed: &Observed,
    found: &mut Vec<Violation>,
) {
    // Among others: every slot has an intended owner, and it is a member that is not leaving.
    if let Err(error) = document.validate() {
        found.push(Violation::Document(error.to_string()));
    }
    if document.clone().sealed() != *document {
        found.push(Violation::Document("the checksum is not that of the content".into()));
    }
    let bytes = document.to_json().len();
    if bytes > MAX_DOCUMENT_BYTES {
        found.push(Violation::Document(DocumentError::TooLarge(bytes).to_string()));
    }
    if document.cluster.uid != observed.cluster.uid {
        found.push(Violation::OtherCluster(document.cluster.uid.clone()));
    }
    let seen = observed.highest_epoch();
    if document.epoch <= seen {
        found.push(Violation::Epoch { epoch: document.epoch, seen });
    }
    gone(document, observed, found);
    newcomers(document, observed, found);
    removals(document, observed, found);
    leaving(document, intent, observed, found);
}

fn gone(document: &Document, observed: &Observed, found: &mut Vec<Violation>) {
    let known = observed.stored().map(|stored| &stored.gone);
    for uid in &document.gone {
        if !known.is_some_and(|known| known.contains(uid)) && !observed.is_gone(uid) {
            found.push(Violation::NotGone(uid.clone()));
        }
        if document.incarnation(uid).is_some() {
            found.push(Violation::GoneMember(uid.clone()));
        }
    }
    let told = observed.ring().is_some_and(|ring| observed.is_accepted(ring));
    let forgotten = known.into_iter().flatten().filter(|uid| !document.gone.contains(uid));
    for uid in forgotten {
        if !told || is_awaited(uid, observed) || may_return(uid, observed) {
            found.push(Violation::Forgotten(uid.clone()));
        }
    }
}

/// Whether some node holds a sealed slot that it will only drop when this incarnation answers or is declared gone.
fn is_awaited(uid: &Incarnation, observed: &Observed) -> bool {
    observed.states().any(|said| said.awaits(uid))
}

/// Whether a node with that uid still exists and is not known to run anything else: it may come back, and must find that
/// everybody knows better.
fn may_return(uid: &Incarnation, observed: &Observed) -> bool {
    let runs_another =
        |node: &ObservedNode| observed.state(node).is_some_and(|said| said.incarnation != uid);
    observed.nodes.iter().any(|node| node.uid == uid.uid() && !runs_another(node))
}

fn newcomers(document: &Document, observed: &Observed, found: &mut Vec<Violation>) {
    let known =
        |m: &&Member| observed.ring().is_some_and(|ring| ring.incarnation(&m.uid).is_some());
    for member in document.members.iter().filter(|m| !known(m)) {
        if observed.state_of(&member.uid).is_none() {
            found.push(Violation::Unknown(member.uid.clone()));
        }
        let stays = observed.ring().is_some() && member.state != MemberState::Leaving;
        if stays && observed.node(&member.uid).is_some_and(|node| node.draining) {
            found.push(Violation::Draining(member.uid.clone()));
        }
    }
}

fn removals(document: &Document, observed: &Observed, found: &mut Vec<Violation>) {
    for node in &observed.nodes {
        let stays = |uid| document.incarnation(uid).is_some();
        match observed.state(node) {
            Some(state) if !state.is_empty() && !stays(state.incarnation) => {
                found.push(Violation::Stranded(node.name.clone()));
            }
            // Without a document to build upon, one that does not answer may be anything.
            None if observed.ring().is_none() && is_unaccounted(node, document, observed) => {
                found.push(Violation::Stranded(node.name.clone()));
            }
            _ => {}
        }
    }
    let Some(ring) = observed.ring() else { return };
    for member in ring.members.iter().filter(|m| document.incarnation(&m.uid).is_none()) {
        let why = if observed.is_gone(&member.uid) {
            (!document.gone.contains(&member.uid)).then_some("it is dead, but not declared gone")
        } else {
            may_not_leave(member, ring, observed)
        };
        if let Some(why) = why {
            found.push(Violation::Removed { name: member.name.clone(), why });
        }
    }
}

/// Whether a node that does not answer may own slots after `document`, which does not say that it is gone.
fn is_unaccounted(node: &ObservedNode, document: &Document, observed: &Observed) -> bool {
    let declared = document.gone.iter().any(|incarnation| incarnation.uid() == node.uid);
    match node.phase {
        Phase::Exited => false,
        Phase::Pending if observed.never_ran(node) => false,
        Phase::Lost => !declared && document.epoch > 1,
        _ => !observed.is_outcast(node),
    }
}

fn may_not_leave(member: &Member, ring: &Document, observed: &Observed) -> Option<&'static str> {
    let Some(state) = observed.state_of(&member.uid) else { return Some("it does not answer") };
    if member.state != MemberState::Leaving {
        Some("it was not leaving")
    } else if !state.is_empty() {
        Some("it holds slots")
    } else if !observed.is_accepted(ring) {
        Some("not every member has accepted that it leaves")
    } else if is_awaited(&member.uid, observed) {
        Some("another node waits for its answer about a slot")
    } else {
        None
    }
}

/// Members start to leave because there are too many, or one is replaced, or they were told to end by somebody else.
fn leaving(document: &Document, intent: &Intent, observed: &Observed, found: &mut Vec<Violation>) {
    let Some(ring) = observed.ring() else { return };
    let told_to_end =
        |m: &Member| observed.node(&m.uid).is_some_and(|node| node.phase == Phase::Stopping);
    let owner = |m: &&Member| m.state != MemberState::Leaving && !told_to_end(m);
    let before: Vec<&Member> =
        ring.members.iter().filter(owner).filter(|m| !observed.is_gone(&m.uid)).collect();
    let starts_to_leave = |m: &&&Member| {
        document.incarnation(&m.uid).is_some_and(|m| m.state == MemberState::Leaving)
    };
    let leaving = before.iter().filter(starts_to_leave).count();
    let surplus = before.len().saturating_sub(intent.nodes);
    let allowed = surplus.max(1);
    if leaving > allowed {
        found.push(Violation::TooManyLeave { leaving, allowed });
    }
    if leaving == 0 || surplus > 0 {
        return;
    }
    let after = document.members.iter().filter(owner).count();
    if after < before.len() {
        found.push(Violation::TooManyLeave { leaving, allowed: 0 });
    }
    let others = document.members.iter().filter(|m| m.state == MemberState::Leaving).count();
    if others > leaving || !observed.is_converged() {
        found.push(Violation::NotConverged);
    }
}
