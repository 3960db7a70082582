//! Intent and observation to a plan: deterministic, without memory, zero steps when there is nothing to do.

use std::collections::HashSet;

use ringcache_api::Document;

use crate::facts::number;
use crate::lag::Lag;
use crate::membership::{self, Membership};
use crate::plan::{Draft, Operation, Plan, Step};
use crate::{Intent, Observed, ObservedNode, Phase, document, operation};

/// What to do now.
pub fn plan(intent: &Intent, observed: &Observed) -> Plan<Draft> {
    if intent.deleting {
        return Plan::new(Operation::Delete, delete(observed), Vec::new());
    }
    decide(intent, observed).with_lag(Lag::of(intent, observed))
}

fn decide(intent: &Intent, observed: &Observed) -> Plan<Draft> {
    let membership = membership::next(intent, observed);
    let document = document::next(observed, &membership);
    let mut steps = Vec::new();
    let in_force = document.as_ref().or(observed.ring());
    steps.extend(document.iter().map(|d| Step::WriteDocument { document: d.clone() }));
    steps.extend(in_force.into_iter().flat_map(|document| push(observed, document)));
    steps.extend(configure(intent, observed));
    // What has ended is cleared away first: it may be what a quota has no room for a new node for.
    let (over, others): (Vec<Step>, Vec<Step>) =
        stop(intent, observed, &membership).into_iter().partition(|step| clears(observed, step));
    steps.extend(over);
    steps.extend(start(intent, observed, &membership));
    steps.extend(others);
    let operation = operation::operation(intent, observed, &membership, &steps);
    let notes = operation::notes(intent, observed, &membership, document.as_ref());
    Plan::new(operation, steps, notes)
}

fn by_number(observed: &Observed) -> Vec<&ObservedNode> {
    let mut nodes: Vec<_> = observed.nodes.iter().collect();
    nodes.sort_by_key(|node| (number(&node.name), &node.name));
    nodes
}

fn delete(observed: &Observed) -> Vec<Step> {
    let told = |node: &ObservedNode| node.stopping || node.phase == Phase::Stopping;
    let nodes = by_number(observed).into_iter().filter(|node| !told(node));
    nodes.map(|node| stop_node(node, "the cluster is being deleted")).collect()
}

/// Whether the step stops a node that has ended already.
fn clears(observed: &Observed, step: &Step) -> bool {
    let Step::StopNode { uid, .. } = step else { return false };
    observed.nodes.iter().any(|node| node.uid == *uid && node.phase.is_over())
}

fn stop_node(node: &ObservedNode, reason: &str) -> Step {
    Step::StopNode { name: node.name.clone(), uid: node.uid.clone(), reason: reason.into() }
}

/// Members must know the document, and so must those that took part before it: it tells them that they do not any more.
fn push(observed: &Observed, document: &Document) -> Vec<Step> {
    let behind = by_number(observed).into_iter().filter(|node| {
        observed.state(node).is_some_and(|state| {
            state.epoch < document.epoch
                && (state.epoch > 0 || document.incarnation(state.incarnation).is_some())
        })
    });
    behind
        .map(|node| Step::PushDocument {
            name: node.name.clone(),
            uid: node.uid.clone(),
            epoch: document.epoch,
        })
        .collect()
}

/// Nodes are asked for what they know only: what one of an older version does not know it would never report.
fn configure(intent: &Intent, observed: &Observed) -> Vec<Step> {
    let differs = by_number(observed).into_iter().filter(|node| {
        node.phase != Phase::Stopping
            && observed.state(node).is_some_and(|state| !state.settings.agree_with(intent.settings))
    });
    differs
        .map(|node| Step::Configure {
            name: node.name.clone(),
            uid: node.uid.clone(),
            settings: intent.settings,
        })
        .collect()
}

/// New nodes under the lowest free names. A name is taken while any node or member has it, or somebody else.
fn start(intent: &Intent, observed: &Observed, membership: &Membership<'_>) -> Vec<Step> {
    let stored = observed.document.iter().flat_map(|document| &document.members);
    let members = stored.chain(&membership.members).map(|member| member.name.as_str());
    let nodes = observed.nodes.iter().map(|node| node.name.as_str());
    let foreign = observed.foreign.iter().map(String::as_str);
    let taken: HashSet<&str> = nodes.chain(members).chain(foreign).collect();
    (0_u64..)
        .map(|n| format!("{}-{n}", observed.cluster.name))
        .filter(|name| !taken.contains(name.as_str()))
        .take(membership.start)
        .map(|name| Step::StartNode {
            name,
            template: observed.template(intent),
            settings: intent.settings,
        })
        .collect()
}

/// Nodes that have ended are cleared away; others go when they are no members, hold nothing and nothing calls for them.
fn stop(intent: &Intent, observed: &Observed, membership: &Membership<'_>) -> Vec<Step> {
    let ring = observed.ring();
    let settled = ring.is_some_and(|ring| observed.is_accepted(ring));
    let mut steps = Vec::new();
    for node in by_number(observed) {
        let is_member = |members: &[ringcache_api::Member]| {
            members.iter().any(|m| m.uid.uid() == node.uid && !observed.is_gone(&m.uid))
        };
        if node.phase.is_over() {
            let lost = node.phase == Phase::Lost;
            let reason = if lost { "its host is lost" } else { "it has ended" };
            let stays = node.stopping || observed.awaits_retry(node, intent);
            steps.extend((!stays).then(|| stop_node(node, reason)));
            continue;
        }
        let called_for = node.phase == Phase::Stopping
            || node.stopping
            || observed.stored().is_some_and(|stored| is_member(&stored.members))
            || is_member(&membership.members)
            || membership.kept.iter().any(|kept| kept.uid == node.uid);
        if called_for {
            continue;
        }
        match observed.state(node) {
            None if observed.is_outcast(node) => {
                steps.push(stop_node(node, "it was declared gone, and others have its slots"));
            }
            Some(state) if !state.is_empty() => {}
            Some(state) if state.epoch == 0 => steps.push(stop_node(node, "it is not needed")),
            Some(_) if settled => steps.push(stop_node(node, "it has handed everything over")),
            None if settled || observed.never_ran(node) => {
                steps.push(stop_node(node, "it is not needed"));
            }
            _ => {}
        }
    }
    steps
}
