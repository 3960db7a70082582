//! What is reported: numbers, members and conditions, changed only when they say something new.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use ringcache_api::Document;
use ringcache_api::document::ClusterRef;
use ringcache_api::status::{
    CacheClusterStatus, LostEntries, MemberStatus, OperationStatus, RingStatus, condition, reason,
};

use crate::autoscaling::Report;
use crate::plan::{Checked, Operation, Plan};
use crate::{Held, Observed, Violation, losses};

mod ready;
mod summary;
mod under_way;
mod up_to_date;

use ready::ready;
use summary::summary;
pub use up_to_date::VERSION;
use up_to_date::{up_to_date, version, versions};

/// Longest message of a condition, in characters.
const MAX_CHARS: usize = 4096;

/// Label that all nodes of a cluster carry; its value is the cluster's name.
pub const CLUSTER_LABEL: &str = "ringcache.dev/cluster";

/// What came of one run.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// What was planned.
    pub planned: Planned<'a>,
    /// Why the spec of the resource is not the one that is carried out, if it is not.
    pub held: Option<&'a Held>,
    /// Why some of what the plan, or a repair, would do fails.
    pub trouble: Option<&'a Trouble>,
    /// How the number of nodes stands, where something scales the cluster.
    pub autoscaling: Option<&'a Report>,
}

/// What was planned in one run.
#[derive(Clone, Copy, Debug)]
pub enum Planned<'a> {
    /// The plan that is, or was, executed.
    Plan(&'a Plan<Checked>),
    /// A plan that was refused; nothing is changed.
    Refused(&'a [Violation]),
    /// Nothing: there is no spec to go by.
    Nothing,
    /// Nothing: the cluster is being deleted, and the platform ends its nodes.
    Deletion,
}

impl<'a> Outcome<'a> {
    /// That so much was planned.
    pub fn new(planned: Planned<'a>) -> Self {
        Self { planned, held: None, trouble: None, autoscaling: None }
    }

    /// That everything went well.
    pub fn of(plan: &'a Plan<Checked>) -> Self {
        Self::new(Planned::Plan(plan))
    }

    fn plan(self) -> Option<&'a Plan<Checked>> {
        match self.planned {
            Planned::Plan(plan) => Some(plan),
            Planned::Refused(_) | Planned::Nothing | Planned::Deletion => None,
        }
    }

    /// What is under way, or that nothing is.
    fn operation(self) -> &'a Operation {
        match self.planned {
            Planned::Plan(plan) => plan.operation(),
            Planned::Deletion => &Operation::Delete,
            Planned::Refused(_) | Planned::Nothing => &Operation::Steady,
        }
    }
}

/// Why a plan is not carried out, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An object of somebody else has a name that is needed. It is not touched, and waiting does not help.
    NameConflict(String),
    /// An object has a name that is needed and is about to go, such as one of a deleted cluster of the same name.
    Ending(String),
    /// A call fails again and again. It is repeated.
    Failing(String),
}

impl Trouble {
    fn text(&self) -> &str {
        match self {
            Self::NameConflict(text) | Self::Ending(text) | Self::Failing(text) => text,
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
    let answering = |document: &&Document| {
        document.members.iter().filter(|m| observed.state_of(&m.uid).is_some()).count()
    };
    let mut status = CacheClusterStatus {
        observed_generation: observed.generation,
        nodes: count(observed.nodes.iter().filter(|node| !node.phase.is_over()).count()),
        ready_nodes: count(ring.as_ref().map_or(0, answering)),
        selector: selector(&observed.cluster),
        endpoints: observed.endpoints.clone(),
        ring: ring.map(|ring| RingStatus {
            epoch: ring.epoch.try_into().unwrap_or(i64::MAX),
            checksum: ring.checksum.clone(),
        }),
        image: observed.program.clone(),
        version: versions(observed),
        members: ring.map(|ring| members(ring, observed)).unwrap_or_default(),
        autoscaling: outcome.autoscaling.map(|report| report.status(previous)),
        lost_entries: observed.lost.clone(),
        summary: None,
        operation: None,
        conditions: Vec::new(),
    };
    status.operation = under_way::operation(outcome, observed, &status, previous, now);
    let verdicts = [
        ready(outcome, observed),
        reconciling(outcome, status.operation.as_ref()),
        stalled(outcome),
        ring_converged(outcome, observed),
        under_way::degraded(outcome, status.operation.as_ref(), previous, now),
        up_to_date(outcome, observed),
        entries_lost(observed, now),
    ];
    let scaling = outcome.autoscaling.map(|report| autoscaling_active(report, previous));
    let verdicts = verdicts.into_iter().chain(scaling);
    let conditions = verdicts.map(|verdict| verdict.condition(observed.generation, previous, now));
    status.conditions = conditions.collect();
    status.summary = Some(summary(&status.conditions, status.operation.as_ref()));
    status
}

/// The status when the cluster could not even be looked at: as before, but it says that, and why.
pub fn unobserved(
    previous: &CacheClusterStatus,
    trouble: &Trouble,
    generation: i64,
    now: &Time,
) -> CacheClusterStatus {
    let failing = Verdict::new(condition::RECONCILING, true, reason::FAILING, trouble.text());
    let failing = failing.condition(generation, Some(previous), now);
    let mut status = previous.clone();
    status.conditions.retain(|condition| condition.type_ != failing.type_);
    // In the order of the others.
    status.conditions.insert(status.conditions.len().min(1), failing);
    status.summary = Some(summary(&status.conditions, status.operation.as_ref()));
    status
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
        version: observed.state_of(&m.uid).map(version),
        slots: count(ring.intended(&m.name).len()),
    };
    ring.members.iter().map(member).collect()
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
    reason: Cow<'static, str>,
    message: String,
}

impl Verdict {
    fn new(
        type_: &'static str,
        status: bool,
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { type_, status, reason: reason.into(), message: message.into() }
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
            reason: reason.into_owned(),
            message,
            observed_generation: Some(generation),
            last_transition_time: since.clone(),
        }
    }
}

fn reconciling(outcome: Outcome<'_>, told: Option<&OperationStatus>) -> Verdict {
    let verdict = |status, reason, message: &str| {
        Verdict::new(condition::RECONCILING, status, reason, message)
    };
    if let Some(Trouble::Failing(text)) = outcome.trouble {
        return verdict(true, reason::FAILING, text);
    }
    if let Some(Trouble::Ending(text)) = outcome.trouble {
        return verdict(true, reason::OPERATION_IN_PROGRESS, text);
    }
    if let Planned::Refused(_) = outcome.planned {
        return verdict(false, reason::PLAN_REFUSED, "The plan was refused.");
    }
    if let (Operation::Steady, Some(Trouble::NameConflict(_))) =
        (outcome.operation(), outcome.trouble)
    {
        let message = "Waits for a name that somebody else has.";
        return verdict(false, reason::NAME_CONFLICT, message);
    }
    match (outcome.operation(), outcome.held) {
        (Operation::Steady, Some(Held::Paused(_))) => {
            verdict(false, reason::PAUSED, "`paused` is true: changes of the spec wait.")
        }
        (Operation::Steady, Some(Held::Invalid(_))) => {
            verdict(false, reason::INVALID_SPEC, "Waits for a valid spec.")
        }
        (Operation::Steady, Some(Held::Both(..))) => {
            verdict(false, reason::INVALID_SPEC, "Waits for a valid spec, and `paused` is true.")
        }
        (Operation::Steady, None) => verdict(false, reason::STEADY, "Nothing to do."),
        (Operation::Delete, _) => {
            verdict(true, reason::DELETING, "All nodes end, and nothing is repaired any more.")
        }
        (operation, _) => {
            let kind = told.map_or(operation.kind(), |told| &told.type_);
            verdict(true, reason::OPERATION_IN_PROGRESS, &format!("{kind}: {operation}."))
        }
    }
}

fn stalled(outcome: Outcome<'_>) -> Verdict {
    let verdict =
        |status, reason, message: String| Verdict::new(condition::STALLED, status, reason, message);
    match outcome {
        Outcome { trouble: Some(Trouble::NameConflict(text)), .. } => {
            verdict(true, reason::NAME_CONFLICT, text.clone())
        }
        Outcome { planned: Planned::Refused(violations), .. } => {
            verdict(true, reason::PLAN_REFUSED, joined(violations))
        }
        Outcome { held: Some(Held::Invalid(problems) | Held::Both(problems, _)), .. } => {
            verdict(true, reason::INVALID_SPEC, joined(problems))
        }
        _ => verdict(false, reason::AS_EXPECTED, String::new()),
    }
}

/// It outlasts the event, which Kubernetes forgets after an hour, and not the interest in it.
fn entries_lost(observed: &Observed, now: &Time) -> Verdict {
    const NEWS_SECONDS: i64 = 86_400;
    let verdict = |status, reason, message: String| {
        Verdict::new(condition::ENTRIES_LOST, status, reason, message)
    };
    let is_news = |lost: &&LostEntries| now.0.as_second() - lost.at.0.as_second() < NEWS_SECONDS;
    match observed.lost.as_ref().filter(is_news) {
        Some(lost) => {
            let message = format!("At {} {}.", lost.at.0, losses::in_words(lost));
            verdict(true, reason::NODES_ENDED, bounded(&message, MAX_CHARS))
        }
        None => verdict(false, reason::AS_EXPECTED, String::new()),
    }
}

/// Where something scales the cluster.
fn autoscaling_active(report: &Report, previous: Option<&CacheClusterStatus>) -> Verdict {
    let (is_active, reason, message) = report.words(previous);
    Verdict::new(condition::AUTOSCALING_ACTIVE, is_active, reason, bounded(&message, MAX_CHARS))
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
    let text = messages.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    bounded(&text, MAX_CHARS)
}
