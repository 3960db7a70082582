//! Whether the cluster serves its clients, and what keeps it from doing so.

use ringcache_api::status::{condition, reason};
use ringcache_ring::SLOTS;

use super::under_way::obstacles;
use super::{MAX_CHARS, Outcome, Verdict, bounded};
use crate::plan::Operation;
use crate::{Observed, ObservedNode};

/// Judged by what the nodes own. What the platform thinks of them counts only where it decides whether clients get to any.
pub(super) fn ready(outcome: Outcome<'_>, observed: &Observed) -> Verdict {
    let verdict =
        |status, reason, message: String| Verdict::new(condition::READY, status, reason, message);
    if *outcome.operation() == Operation::Delete {
        return verdict(false, reason::DELETING, "The cluster is being deleted.".into());
    }
    let served = observed.covered().len();
    if served == usize::from(SLOTS) && !observed.open {
        let message =
            "All slots are served, but the Service that clients begin at leads to no node.".into();
        return verdict(false, reason::NO_ENDPOINT, message);
    }
    if served == usize::from(SLOTS) {
        return verdict(true, reason::SERVING, format!("All {SLOTS} slots are served."));
    }
    if observed.ring().is_none() && served == 0 {
        return no_ring(outcome, observed);
    }
    let missing = usize::from(SLOTS) - served;
    let silent = observed.stored().into_iter().flat_map(|document| &document.members);
    let silent = silent.filter(|member| observed.state_of(&member.uid).is_none());
    let silent: Vec<&str> = silent.map(|member| member.name.as_str()).collect();
    let whose = if silent.is_empty() {
        String::new()
    } else {
        format!(" Without an answer: {}.", silent.join(", "))
    };
    let message = format!("{missing} of {SLOTS} slots have no owner that answers.{whose}");
    verdict(false, reason::SLOTS_WITHOUT_OWNER, message)
}

/// Whoever waits for a first ring looks here: what keeps it from being founded stands here, and not only in the operation.
fn no_ring(outcome: Outcome<'_>, observed: &Observed) -> Verdict {
    let in_the_way = obstacles(outcome, observed).join("; ");
    let lack = match observed.stored() {
        Some(_) => "No node of the ring is left",
        None => "There is no ring yet",
    };
    let message = match in_the_way.as_str() {
        "" => format!("{lack}."),
        obstacles => format!("{lack}: {obstacles}."),
    };
    let fails = observed.starts_fail || observed.nodes.iter().any(ObservedNode::cannot_start);
    let reason = if fails { reason::NODES_CANNOT_START } else { reason::NO_RING };
    Verdict::new(condition::READY, false, reason, bounded(&message, MAX_CHARS))
}
