//! A linter over plans, independent of the planner: it derives again from the observation what makes a step safe.
//!
//! Disruptive is what makes a member give its slots away: as many may start to leave as there are too many, and otherwise
//! one, for another that joins. Ending nodes that hold nothing and that everybody has forgotten disturbs nobody.

use ringcache_api::{Incarnation, MemberState};

use crate::plan::{Checked, Draft, Plan, Step};
use crate::{Intent, Observed, ObservedNode};

mod ring;

/// Why a plan must not be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Anything but ending nodes while the cluster is being deleted.
    #[error("the cluster is being deleted, but the plan does more than end nodes")]
    Deleting,
    /// The node is not there, or it is another one of that name.
    #[error("`{name}` with uid {uid} does not exist")]
    NoSuchNode {
        /// Name in the step.
        name: String,
        /// Uid in the step.
        uid: String,
    },
    /// Two nodes would have one name.
    #[error("the name `{0}` is taken")]
    NameTaken(String),
    /// More nodes than the spec and one surge.
    #[error("{nodes} nodes would run; {wanted} are wanted, and one may come before another goes")]
    TooManyNodes {
        /// Nodes that would run, apart from those that are on their way out.
        nodes: usize,
        /// Nodes wanted.
        wanted: usize,
    },
    /// The node has, or may have, something to lose.
    #[error("`{name}` must not be stopped: {why}")]
    UnsafeStop {
        /// The node.
        name: String,
        /// What it may lose.
        why: &'static str,
    },
    /// The pushed document is not the one in force after this plan.
    #[error("epoch {pushed} is pushed to `{name}`, but epoch {stored} is stored")]
    WrongPush {
        /// The node.
        name: String,
        /// Epoch in the step.
        pushed: u64,
        /// Epoch of the document in force; 0 = none.
        stored: u64,
    },
    /// More than one document in a plan.
    #[error("the plan writes {0} documents; at most one at a time")]
    ManyDocuments(usize),
    /// The document breaks its own rules.
    #[error("{0}")]
    Document(String),
    /// It belongs to another cluster.
    #[error("the document is of the cluster with uid {0}")]
    OtherCluster(String),
    /// Epochs only grow.
    #[error("epoch {epoch} is not above {seen}, which has been seen")]
    Epoch {
        /// Of the document.
        epoch: u64,
        /// Highest seen.
        seen: u64,
    },
    /// Declared dead without proof.
    #[error("{0} is declared gone without proof")]
    NotGone(Incarnation),
    /// Dead is for ever.
    #[error("{0} is gone and a member")]
    GoneMember(Incarnation),
    /// A gone fact is forgotten too early.
    #[error("{0} is no longer declared gone, but somebody may still wait for its answer")]
    Forgotten(Incarnation),
    /// A member is left out.
    #[error("`{name}` is left out of the members: {why}")]
    Removed {
        /// The member.
        name: String,
        /// What is missing for it.
        why: &'static str,
    },
    /// A member that was never observed.
    #[error("{0} becomes a member, but does not answer")]
    Unknown(Incarnation),
    /// A newcomer that would have to be replaced at once.
    #[error("{0} becomes a member, but its host is about to go")]
    Draining(Incarnation),
    /// A slot is kept from a node that would have to hand it over first.
    #[error("`{0}` owns slots, but is no member: nobody could take them over")]
    Stranded(String),
    /// Too many at once would give their slots away.
    #[error("{leaving} members would start to leave; {allowed} may")]
    TooManyLeave {
        /// Members that would start to leave.
        leaving: usize,
        /// How many may.
        allowed: usize,
    },
    /// A member is replaced while something else is going on.
    #[error("a member is replaced before the ring has converged")]
    NotConverged,
}

/// Lets a plan pass if every step of it is safe.
pub fn check(
    plan: Plan<Draft>,
    intent: &Intent,
    observed: &Observed,
) -> Result<Plan<Checked>, Vec<Violation>> {
    let mut found = Vec::new();
    if intent.deleting {
        deletion(&plan, observed, &mut found);
    } else {
        let documents = plan.steps().iter().filter(|s| matches!(s, Step::WriteDocument { .. }));
        match documents.count() {
            0 | 1 => {}
            n => found.push(Violation::ManyDocuments(n)),
        }
        for step in plan.steps() {
            check_step(step, &plan, intent, observed, &mut found);
        }
        count_nodes(&plan, intent, observed, &mut found);
    }
    if found.is_empty() { Ok(plan.into_checked()) } else { Err(found) }
}

fn deletion(plan: &Plan<Draft>, observed: &Observed, found: &mut Vec<Violation>) {
    for step in plan.steps() {
        match step {
            Step::StopNode { name, uid, reason: _ } => {
                existing(name, uid, observed, found);
            }
            _ => found.push(Violation::Deleting),
        }
    }
}

fn check_step(
    step: &Step,
    plan: &Plan<Draft>,
    intent: &Intent,
    observed: &Observed,
    found: &mut Vec<Violation>,
) {
    match step {
        Step::WriteDocument { document } => ring::check(document, intent, observed, found),
        Step::PushDocument { name, uid, epoch } => {
            existing(name, uid, observed, found);
            let stored = plan.document().or(observed.ring()).map_or(0, |document| document.epoch);
            if *epoch != stored {
                found.push(Violation::WrongPush { name: name.clone(), pushed: *epoch, stored });
            }
        }
        Step::Configure { name, uid, settings: _ } => {
            existing(name, uid, observed, found);
        }
        Step::StartNode { name, template: _, settings: _ } => {
            let members = plan.document().into_iter().chain(&observed.document);
            let same = |step: &&Step| matches!(step, Step::StartNode { name: n, .. } if n == name);
            if observed.nodes.iter().any(|node| node.name == *name)
                || members.flat_map(|d| &d.members).any(|m| m.name == *name)
                || plan.steps().iter().filter(same).count() > 1
            {
                found.push(Violation::NameTaken(name.clone()));
            }
        }
        Step::StopNode { name, uid, reason: _ } => {
            if let Some(node) = existing(name, uid, observed, found)
                && let Some(why) = keeps(node, plan, intent, observed)
            {
                found.push(Violation::UnsafeStop { name: name.clone(), why });
            }
        }
    }
}

fn existing<'a>(
    name: &str,
    uid: &str,
    observed: &'a Observed,
    found: &mut Vec<Violation>,
) -> Option<&'a ObservedNode> {
    let node = observed.nodes.iter().find(|node| node.name == name && node.uid == uid);
    if node.is_none() {
        found.push(Violation::NoSuchNode { name: name.to_owned(), uid: uid.to_owned() });
    }
    node
}

/// Why a node must not be stopped, if there is a reason.
fn keeps(
    node: &ObservedNode,
    plan: &Plan<Draft>,
    intent: &Intent,
    observed: &Observed,
) -> Option<&'static str> {
    if node.phase.is_over() {
        let awaits_retry = observed.awaits_retry(node, intent);
        return awaits_retry
            .then_some("it is the evidence of what went wrong, until it is tried again");
    }
    if observed.is_outcast(node) {
        return None;
    }
    let documents = plan.document().into_iter().chain(&observed.document);
    let mut members = documents.flat_map(|document| &document.members);
    if members.any(|m| m.uid.uid() == node.uid && !observed.is_gone(&m.uid)) {
        return Some("it is a member");
    }
    if observed.never_ran(node) {
        return None;
    }
    let state = observed.state(node);
    if let Some(state) = state {
        if !state.is_empty() {
            return Some("it holds slots");
        }
        if observed.states().any(|said| said.awaits(state.incarnation)) {
            return Some("another node waits for its answer about a slot");
        }
        if state.epoch == 0 {
            return None;
        }
    }
    let accepted = observed.ring().is_some_and(|ring| observed.is_accepted(ring));
    (!accepted).then_some("not every member is known to have forgotten it")
}

/// Counts the nodes that run to stay, or are to be tried again: not those that have ended, are told to end, leave, or have
/// left.
fn count_nodes(
    plan: &Plan<Draft>,
    intent: &Intent,
    observed: &Observed,
    found: &mut Vec<Violation>,
) {
    let starts = plan.steps().iter().filter(|s| matches!(s, Step::StartNode { .. })).count();
    if starts == 0 {
        return;
    }
    let stays = |node: &&ObservedNode| {
        let stopped = |s: &Step| matches!(s, Step::StopNode { uid, .. } if *uid == node.uid);
        let documents = plan.document().into_iter().chain(observed.stored());
        let mut members = documents.flat_map(|document| &document.members);
        let member = members.find(|m| m.uid.uid() == node.uid && !observed.is_gone(&m.uid));
        let has_left = member.is_none() && observed.state(node).is_some_and(|s| s.epoch > 0);
        (node.phase.is_up() && !node.stopping || observed.awaits_retry(node, intent))
            && !plan.steps().iter().any(stopped)
            && !member.is_some_and(|m| m.state == MemberState::Leaving)
            && !has_left
    };
    let nodes = observed.nodes.iter().filter(stays).count() + starts;
    if nodes > intent.nodes + 1 {
        found.push(Violation::TooManyNodes { nodes, wanted: intent.nodes });
    }
}
