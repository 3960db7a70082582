//! What a plan is called, and what it says besides its steps.

use std::collections::HashSet;

use ringcache_api::{Document, Incarnation, Member, MemberState};

use crate::membership::{Membership, NO_NODES};
use crate::plan::{Note, Operation, Size, Step};
use crate::troubles::with_troubles;
use crate::{Intent, Observed, ObservedNode, Phase};

/// The operation in progress, told from the members before and after.
pub(crate) fn operation(
    intent: &Intent,
    observed: &Observed,
    next: &Membership<'_>,
    steps: &[Step],
) -> Operation {
    if !next.lost.is_empty() {
        let lost = next.lost.iter().map(|member| member.name.clone()).collect();
        return Operation::Repair { lost };
    }
    let Some(ring) = observed.ring() else {
        let took_part = observed.states().any(|state| state.epoch > 0);
        return match observed.stored() {
            None if !took_part => Operation::Create { nodes: intent.nodes },
            _ => Operation::Restore,
        };
    };
    let with = |state: MemberState| -> HashSet<&Incarnation> {
        let members = ring.members.iter().chain(&next.members);
        members.filter(|m| m.state == state).map(|m| &m.uid).collect()
    };
    let (joining, leaving) = (with(MemberState::Joining), with(MemberState::Leaving));
    let is_to_replace = |m: &&Member| {
        observed.node(&m.uid).is_some_and(|node| observed.must_be_replaced(node, intent))
    };
    let to_replace = ring.members.iter().filter(is_to_replace).count();
    let staying = ring.members.iter().filter(|m| m.state != MemberState::Leaving).count();
    let (members, wanted) = (ring.members.len(), intent.nodes);
    // What is left of a lost node, or of one that never ran, may stay for as long as its host does: there is nothing to wait for.
    let is_left_over =
        |node: &&ObservedNode| matches!(node.phase, Phase::Lost | Phase::Pending) && node.stopping;
    let existing = observed.nodes.iter().filter(|node| !is_left_over(node)).count();
    // The operator ends no member.
    let is_ending =
        |m: &&Member| observed.node(&m.uid).is_some_and(|node| node.phase == Phase::Stopping);
    let ending: Vec<String> =
        ring.members.iter().filter(is_ending).map(|m| m.name.clone()).collect();
    let is_staying = |m: &&Member| m.state != MemberState::Leaving && !is_ending(m);
    let others = ring.members.iter().filter(is_staying).count();
    // Otherwise fewer nodes are wanted than stay, or more than there were.
    let have_successors = others < wanted && others + ending.len() >= wanted
        || others == wanted && !joining.is_empty();
    let handing_over = joining.is_empty() && !leaving.is_empty();
    if !ending.is_empty() && have_successors {
        Operation::Replace { ending }
    } else if staying < wanted {
        Operation::ScaleOut { from: staying, to: wanted }
    } else if staying > wanted {
        Operation::ScaleIn { from: members, to: wanted }
    } else if to_replace > 0 && !handing_over {
        Operation::Roll { outdated: to_replace, nodes: wanted }
    } else if !leaving.is_empty() {
        Operation::ScaleIn { from: members, to: wanted }
    } else if !joining.is_empty() {
        Operation::ScaleOut { from: wanted - joining.len().min(wanted), to: wanted }
    } else if !observed.is_converged() {
        Operation::Converge
    } else if !steps.is_empty() || existing > members {
        Operation::TidyUp
    } else {
        Operation::Steady
    }
}

/// What the plan waits for, and what the user should know beforehand.
pub(crate) fn notes(
    intent: &Intent,
    observed: &Observed,
    next: &Membership<'_>,
    written: Option<&Document>,
) -> Vec<Note> {
    // Which nodes a new ring waits for says more.
    let is_coming = next.start > 0 || !next.kept.is_empty();
    let blocked = next.blocked.iter().filter(|why| *why != NO_NODES || !is_coming);
    let mut notes: Vec<Note> = blocked.cloned().map(Note::Text).collect();
    notes.extend(too_small(intent, observed, next).map(Note::Text));
    let staying = next.members.iter().filter(|m| m.state != MemberState::Leaving).count();
    let is_short = next.is_short && staying > 0;
    notes.extend(is_short.then_some(Note::Missing { nodes: staying, wanted: intent.nodes }));
    if written.is_some() {
        return notes;
    }
    let waits = |verb: &str, names: &[String]| {
        (!names.is_empty()).then(|| Note::Text(format!("waits for {} to {verb}", names.join(", "))))
    };
    let coming = |phases: &[Phase]| {
        let kept = next.kept.iter().copied().filter(|node| phases.contains(&node.phase));
        with_troubles(&kept.collect::<Vec<_>>())
    };
    notes.extend(waits("start", &coming(&[Phase::Pending, Phase::Starting])));
    notes.extend(waits("rest before another try", &coming(&[Phase::Exited])));
    let Some(ring) = observed.ring() else { return notes };
    let silent: Vec<_> = ring
        .members
        .iter()
        .filter(|m| !observed.is_gone(&m.uid) && observed.state_of(&m.uid).is_none())
        .map(|m| m.name.clone())
        .collect();
    notes.extend(waits("answer", &silent));
    let ending: Vec<_> = observed
        .nodes
        .iter()
        .filter(|node| node.phase == Phase::Stopping)
        .map(|node| node.name.clone())
        .collect();
    notes.extend(waits("end", &ending));
    match observed.slots_to_go(ring) {
        0 => {}
        slots => notes.push(Note::SlotsToGo(slots)),
    }
    notes
}

/// A warning when fewer nodes shall hold more than they can.
fn too_small(intent: &Intent, observed: &Observed, next: &Membership<'_>) -> Option<String> {
    let leaving = next.members.iter().any(|m| m.state == MemberState::Leaving);
    let stored = observed.used_bytes();
    let room = intent.memory_bytes.saturating_mul(intent.nodes as u64);
    (leaving && stored > room).then(|| {
        format!(
            "{} nodes of {} cannot hold the {} stored now: the coldest entries will go",
            intent.nodes,
            Size(intent.memory_bytes),
            Size(stored.checked_next_multiple_of(1 << 20).unwrap_or(stored)),
        )
    })
}
