//! How many nodes must stay available, so that whoever evicts pods takes one at a time, and none while another is on its way out.

use ringcache_api::{Document, MemberState};

use crate::{Observed, ObservedNode, Phase, Plan};

/// The fewest nodes that must be available once `plan` has been carried out: all but one, or all while one is on its way out.
///
/// It is a number of nodes: between an eviction and our next look Kubernetes counts one node less, and allows no second one.
pub fn min_available<S>(observed: &Observed, plan: &Plan<S>) -> usize {
    let document = plan.document().or(observed.stored());
    let is_one_going = observed.nodes.iter().any(|node| is_going(observed, document, node));
    let counted = observed.nodes.iter().filter(|node| counts(node)).count();
    if is_one_going { counted } else { counted.saturating_sub(1) }
}

/// The nodes of which none may be evicted: all that are to stay, or are about to come.
pub fn all_available(observed: &Observed, wanted: usize) -> usize {
    observed.nodes.iter().filter(|node| node.phase.is_up()).count().max(wanted)
}

/// Whether the node is available, or may be before we look again. One that cannot start holds no eviction back: where there is no
/// room for another node, a drain would wait for ever.
fn counts(node: &ObservedNode) -> bool {
    let cannot_start = node.phase == Phase::Pending && node.trouble.is_some();
    node.phase.is_up() && !cannot_start && !node.is_stuck()
}

/// Whether the node was told to end, hands its slots over to others, or has done so.
fn is_going(observed: &Observed, document: Option<&Document>, node: &ObservedNode) -> bool {
    let mut members = document.into_iter().flat_map(|document| &document.members);
    let member = members.find(|member| member.uid.uid() == node.uid);
    if !node.phase.is_up() {
        return node.phase == Phase::Stopping && !(member.is_none() && node.is_left_behind());
    }
    match member {
        Some(member) => member.state == MemberState::Leaving,
        None => observed.state(node).is_some_and(|said| said.epoch > 0),
    }
}
