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
use crate::plan::{Checked, Note, Operation, Plan};
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
    /// Some of what the plan, or a repair, would do fails.
    Failed(&'a Plan<Checked>, &'a Trouble),
}

impl<'a> Outcome<'a> {
    fn plan(self) -> Option<&'a Plan<Checked>> {
        match self {
            Self::Planned(plan) | Self::Failed(plan, _) => Some(plan),
            Self::Invalid(_) | Self::Refused(_) => None,
        }
    }

    fn trouble(self) -> Option<&'a Trouble> {
        match self {
            Self::Failed(_, trouble) => Some(trouble),
            Self::Planned(_) | Self::Invalid(_) | Self::Refused(_) => None,
        }
    }
}

/// Why a plan is not carried out, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An object of somebody else has a name that is needed. It is not touched, and waiting does not help.
    NameConflict(String),
    /// A call fails again and again. It is repeated.
    Failing(String),
}

impl Trouble {
    fn text(&self) -> &str {
        match self {
            Self::NameConflict(text) | Self::Failing(text) => text,
        }
    }
}

/// The status to report. Equal to `previous` unless something has changed: then nothing needs to be written.
pub fn status(
    outcome: Outcome<'_>,
    observed: &Observed,
    previous: Option<&CacheClusterStatus>,
    now: &Time,
) -> CacheClusterStatus {
    let ring = observed.stored();
    let operation = outcome.plan().and_then(|plan| under_way(plan, outcome.trouble(), observed));
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

fn under_way(
    plan: &Plan<Checked>,
    trouble: Option<&Trouble>,
    observed: &Observed,
) -> Option<OperationStatus> {
    match plan.operation() {
        Operation::Steady | Operation::Paused => None,
        operation => Some(OperationStatus {
            type_: operation.kind().to_owned(),
            message: bounded(&message(plan, trouble, observed), MAX_OPERATION_CHARS),
        }),
    }
}

/// What is done, what it waits for, which nodes the platform cannot start, and what fails.
fn message(plan: &Plan<Checked>, trouble: Option<&Trouble>, observed: &Observed) -> String {
    let lasting = |note: &&Note| !matches!(note, Note::SlotsToGo(_));
    let notes: Vec<String> = plan.notes().iter().filter(lasting).map(ToString::to_string).collect();
    let mut troubled: Vec<_> =
        observed.nodes.iter().filter(|node| node.trouble.is_some()).collect();
    troubled.sort_by_key(|node| (number(&node.name), &node.name));
    let troubled = troubled.into_iter().map(with_trouble);
    let troubled = troubled.filter(|text| !notes.iter().any(|note| note.contains(text)));
    let troubled: Vec<String> = troubled.collect();
    let fails = trouble.map(|trouble| trouble.text().to_owned());
    let parts = std::iter::once(plan.operation().to_string());
    parts.chain(notes).chain(troubled).chain(fails).collect::<Vec<_>>().join("; ")
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
    if outcome.plan().is_some_and(|plan| *plan.operation() == Operation::Delete) {
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
        Outcome::Failed(_, Trouble::Failing(text)) => verdict(true, reason::FAILING, text),
        Outcome::Planned(plan) | Outcome::Failed(plan, _) => match plan.operation() {
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
        Outcome::Failed(_, Trouble::NameConflict(text)) => {
            verdict(true, reason::NAME_CONFLICT, text.clone())
        }
        Outcome::Planned(_) | Outcome::Failed(..) => {
            verdict(false, reason::AS_EXPECTED, String::new())
        }
        Outcome::Invalid(problems) => verdict(true, reason::INVALID_SPEC, joined(problems)),
        Outcome::Refused(violations) => verdict(true, reason::PLAN_REFUSED, joined(violations)),
    }
}

fn ring_converged(outcome: Outcome<'_>, observed: &Observed) -> Verdict {
    let verdict = |status, reason, message: &str| {
        Verdict::new(condition::RING_CONVERGED, status, reason, message)
    };
    let rewritten = outcome.plan().is_some_and(|plan| plan.document().is_some());
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
