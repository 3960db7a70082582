//! What is reported: numbers, members and conditions, changed only when they say something new.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use ringcache_api::Document;
use ringcache_api::document::ClusterRef;
use ringcache_api::status::{
    CacheClusterStatus, MemberStatus, OperationStatus, RingStatus, condition, reason,
};
use ringcache_ring::SLOTS;

use crate::facts::number;
use crate::operation::with_trouble;
use crate::plan::{Checked, Operation, Plan};
use crate::{Observed, SpecProblem, Violation};

/// Label that all nodes of a cluster carry; its value is the cluster's name.
pub const CLUSTER_LABEL: &str = "ringcache.dev/cluster";

/// Longest message of an operation, in characters.
const MAX_OPERATION_CHARS: usize = 1024;

/// What came of one run.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The plan that is, or was, executed.
    Planned(&'a Plan<Checked>),
    /// The spec is invalid; nothing is changed.
    Invalid(&'a [SpecProblem]),
    /// The plan was refused; nothing is changed.
    Refused(&'a [Violation]),
}

/// The status to report. Equal to `previous` unless something has changed: then nothing needs to be written.
pub fn status(
    outcome: Outcome<'_>,
    observed: &Observed,
    previous: Option<&CacheClusterStatus>,
    now: &Time,
) -> CacheClusterStatus {
    let ring = observed.stored();
    let operation = match outcome {
        Outcome::Planned(plan) => under_way(plan.operation(), observed),
        Outcome::Invalid(_) | Outcome::Refused(_) => None,
    };
    let verdicts = [
        ready(outcome, observed),
        reconciling(outcome),
        stalled(outcome),
        ring_converged(outcome, observed),
    ];
    let conditions = verdicts.map(|verdict| verdict.condition(observed.generation, previous, now));
    let answering = |document: &&Document| {
        document.members.iter().filter(|m| observed.state_of(&m.uid).is_some()).count()
    };
    CacheClusterStatus {
        observed_generation: observed.generation,
        nodes: count(observed.nodes.iter().filter(|node| !node.phase.is_over()).count()),
        ready_nodes: count(ring.as_ref().map_or(0, answering)),
        selector: selector(&observed.cluster),
        endpoints: observed.endpoints.clone(),
        ring: ring.map(|ring| RingStatus {
            epoch: ring.epoch.try_into().unwrap_or(i64::MAX),
            checksum: ring.checksum.clone(),
        }),
        members: ring.map(|ring| members(ring, observed)).unwrap_or_default(),
        operation,
        conditions: conditions.into(),
    }
}

/// A count as the API conventions want it; all of ours are small.
fn count(n: usize) -> i32 {
    n.try_into().unwrap_or(i32::MAX)
}

fn selector(cluster: &ClusterRef) -> String {
    format!("{CLUSTER_LABEL}={}", cluster.name)
}

fn members(ring: &Document, observed: &Observed) -> Vec<MemberStatus> {
    let member = |m: &ringcache_api::Member| MemberStatus {
        name: m.name.clone(),
        state: m.state,
        ready: observed.state_of(&m.uid).is_some(),
        slots: count(ring.intended(&m.name).len()),
    };
    ring.members.iter().map(member).collect()
}

fn under_way(operation: &Operation, observed: &Observed) -> Option<OperationStatus> {
    match operation {
        Operation::Steady | Operation::Paused => None,
        operation => Some(OperationStatus {
            type_: operation.kind().to_owned(),
            message: bounded(&with_troubles(operation, observed), MAX_OPERATION_CHARS),
        }),
    }
}

/// What is done, and which nodes the platform cannot start.
fn with_troubles(operation: &Operation, observed: &Observed) -> String {
    let mut troubled: Vec<_> =
        observed.nodes.iter().filter(|node| node.trouble.is_some()).collect();
    troubled.sort_by_key(|node| (number(&node.name), &node.name));
    let names = troubled.into_iter().map(with_trouble);
    std::iter::once(operation.to_string()).chain(names).collect::<Vec<_>>().join("; ")
}

fn bounded(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    text.chars().take(max_chars - 1).chain(['…']).collect()
}

/// One condition's content.
struct Verdict {
    type_: &'static str,
    status: bool,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn new(
        type_: &'static str,
        status: bool,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { type_, status, reason, message: message.into() }
    }

    /// As a condition whose transition time moves only when its status does.
    fn condition(
        self,
        generation: i64,
        previous: Option<&CacheClusterStatus>,
        now: &Time,
    ) -> Condition {
        let Self { type_, status, reason, message } = self;
        let status = if status { "True" } else { "False" };
        let before = previous.into_iter().flat_map(|p| &p.conditions).find(|c| c.type_ == type_);
        let since = before.filter(|c| c.status == status).map_or(now, |c| &c.last_transition_time);
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: Some(generation),
            last_transition_time: since.clone(),
        }
    }
}

/// Judged by what the nodes own. What the platform thinks of them counts only where it decides whether clients get to any.
fn ready(outcome: Outcome<'_>, observed: &Observed) -> Verdict {
    let verdict =
        |status, reason, message: String| Verdict::new(condition::READY, status, reason, message);
    if matches!(outcome, Outcome::Planned(plan) if *plan.operation() == Operation::Delete) {
        return verdict(false, reason::DELETING, "The cluster is being deleted.".into());
    }
    let served = observed.covered().len();
    if served == usize::from(SLOTS) && !observed.open {
        let message = "All slots are served, but clients are not sent to any node yet.".into();
        return verdict(false, reason::NO_ENDPOINT, message);
    }
    if served == usize::from(SLOTS) {
        return verdict(true, reason::SERVING, format!("All {SLOTS} slots are served."));
    }
    if observed.ring().is_none() && served == 0 {
        return verdict(false, reason::NO_RING, "There is no ring yet.".into());
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

fn reconciling(outcome: Outcome<'_>) -> Verdict {
    let verdict = |status, reason, message: &str| {
        Verdict::new(condition::RECONCILING, status, reason, message)
    };
    match outcome {
        Outcome::Invalid(_) => verdict(false, reason::INVALID_SPEC, "Waits for a valid spec."),
        Outcome::Refused(_) => verdict(false, reason::PLAN_REFUSED, "The plan was refused."),
        Outcome::Planned(plan) => match plan.operation() {
            Operation::Steady => verdict(false, reason::STEADY, "Nothing to do."),
            Operation::Paused => verdict(false, reason::PAUSED, "`paused` is true."),
            Operation::Delete => verdict(true, reason::DELETING, "All nodes end."),
            operation => verdict(
                true,
                reason::OPERATION_IN_PROGRESS,
                &format!("{}: {operation}.", operation.kind()),
            ),
        },
    }
}

fn stalled(outcome: Outcome<'_>) -> Verdict {
    let verdict =
        |status, reason, message: String| Verdict::new(condition::STALLED, status, reason, message);
    match outcome {
        Outcome::Planned(_) => verdict(false, reason::AS_EXPECTED, String::new()),
        Outcome::Invalid(problems) => verdict(true, reason::INVALID_SPEC, joined(problems)),
        Outcome::Refused(violations) => verdict(true, reason::PLAN_REFUSED, joined(violations)),
    }
}

fn ring_converged(outcome: Outcome<'_>, observed: &Observed) -> Verdict {
    let verdict = |status, reason, message: &str| {
        Verdict::new(condition::RING_CONVERGED, status, reason, message)
    };
    let rewritten = matches!(outcome, Outcome::Planned(plan) if plan.document().is_some());
    if observed.ring().is_none() && !rewritten {
        verdict(false, reason::NO_RING, "There is no ring yet.")
    } else if observed.is_converged() && !rewritten {
        verdict(true, reason::CONVERGED, "Every slot is where it should be.")
    } else {
        verdict(false, reason::MOVING, "Slots are on their way to where they should be.")
    }
}

/// Messages side by side, within what a condition may hold.
fn joined(messages: &[impl ToString]) -> String {
    const MAX_CHARS: usize = 4096;
    let text = messages.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    bounded(&text, MAX_CHARS)
}
