//! The operation in the status: what is done, since when, and when it last got any further.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ringcache_api::status::{CacheClusterStatus, OperationStatus, condition, reason};
use ringcache_ring::SLOTS;

use super::{Outcome, Planned, Verdict, bounded};
use crate::Observed;
use crate::facts::number;
use crate::plan::{Note, Operation, Plan};
use crate::troubles::with_troubles;

/// Longest message of an operation, in characters.
const MAX_OPERATION_CHARS: usize = 1024;
/// An operation that gets no further for so long needs a person: as long as a Deployment has by default.
const PROGRESS_DEADLINE_SECONDS: i64 = 600;

/// What is under way. `current` is the rest of the new status.
pub(super) fn operation(
    outcome: Outcome<'_>,
    observed: &Observed,
    current: &CacheClusterStatus,
    previous: Option<&CacheClusterStatus>,
    now: &Time,
) -> Option<OperationStatus> {
    let operation = Some(outcome.operation()).filter(|it| **it != Operation::Steady)?;
    let (type_, notes) = (kind(operation, previous, observed), notes(outcome));
    let slots_to_go = notes.iter().find_map(|note| match note {
        Note::SlotsToGo(slots) => Some(rounded(*slots)),
        Note::Text(_) | Note::Missing { .. } => None,
    });
    let before = previous.and_then(|previous| previous.operation.as_ref());
    let before = before.filter(|before| before.type_ == type_);
    let has_progressed = |before: &OperationStatus| {
        before.slots_to_go != slots_to_go || previous.is_none_or(|p| !is_as_far(p, current))
    };
    let started_at = before.and_then(|before| before.started_at.clone());
    let progressed_at = before.filter(|before| !has_progressed(before));
    let progressed_at = progressed_at.and_then(|before| before.progressed_at.clone());
    Some(OperationStatus {
        type_: type_.to_owned(),
        message: bounded(&message(outcome, observed), MAX_OPERATION_CHARS),
        slots_to_go,
        started_at: started_at.or_else(|| Some(now.clone())),
        progressed_at: progressed_at.or_else(|| Some(now.clone())),
    })
}

/// What the operation is called. Once a dead node has been given up, or one that was told to end has ended, a plan sees only that there is
/// one too few, as when more are wanted: while the spec is the same, it goes on with what it has begun.
fn kind<'a>(
    operation: &'a Operation,
    previous: Option<&'a CacheClusterStatus>,
    observed: &Observed,
) -> &'a str {
    let before = previous.filter(|status| status.observed_generation == observed.generation);
    let before = before.and_then(|status| status.operation.as_ref());
    match (operation, before.map(|before| before.type_.as_str())) {
        (Operation::ScaleOut { .. }, Some(begun @ ("Repair" | "Replace"))) => begun,
        _ => operation.kind(),
    }
}

/// To the next power of two: another number at every look would be another status at every look.
fn rounded(slots: usize) -> i32 {
    let slots = slots.min(usize::from(SLOTS)).next_power_of_two();
    slots.try_into().unwrap_or(i32::MAX)
}

/// Whether two statuses show the same members and document. How many nodes there are does not count: one that ends at once comes again
/// and again.
fn is_as_far(one: &CacheClusterStatus, other: &CacheClusterStatus) -> bool {
    let epoch = |status: &CacheClusterStatus| status.ring.as_ref().map(|ring| ring.epoch);
    one.ready_nodes == other.ready_nodes
        && one.members == other.members
        && epoch(one) == epoch(other)
}

fn notes(outcome: Outcome<'_>) -> &[Note] {
    outcome.plan().map_or(&[], Plan::notes)
}

/// What is done, and what keeps it from being done.
fn message(outcome: Outcome<'_>, observed: &Observed) -> String {
    let parts = std::iter::once(outcome.operation().to_string());
    parts.chain(obstacles(outcome, observed)).collect::<Vec<_>>().join("; ")
}

/// What is waited for, which nodes the platform cannot start, and what fails.
pub(super) fn obstacles(outcome: Outcome<'_>, observed: &Observed) -> Vec<String> {
    let mut nodes: Vec<_> = observed.nodes.iter().collect();
    nodes.sort_by_key(|node| (number(&node.name), &node.name));
    let lasting = |note: &&Note| !matches!(note, Note::SlotsToGo(_));
    let mut said: Vec<String> =
        notes(outcome).iter().filter(lasting).map(ToString::to_string).collect();
    if matches!(outcome.planned, Planned::Deletion) && !nodes.is_empty() {
        let left: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        said.push(format!("left are {}", left.join(", ")));
    }
    let is_untold = |cause: &String| !said.iter().any(|note| note.contains(cause));
    nodes.retain(|node| node.trouble.as_ref().is_some_and(is_untold));
    said.extend(with_troubles(&nodes));
    said.extend(outcome.trouble.map(|trouble| trouble.text().to_owned()));
    said
}

/// Whether the cluster is short of nodes, or does not get where it should be, for longer than it should take.
pub(super) fn degraded(
    outcome: Outcome<'_>,
    operation: Option<&OperationStatus>,
    previous: Option<&CacheClusterStatus>,
    now: &Time,
) -> Verdict {
    let verdict = |status, reason, message: String| {
        Verdict::new(condition::DEGRADED, status, reason, message)
    };
    let Some(operation) = operation else {
        return verdict(false, reason::AS_EXPECTED, String::new());
    };
    let stuck_since = operation.progressed_at.as_ref().filter(|progressed| {
        now.0.as_second() - progressed.0.as_second() >= PROGRESS_DEADLINE_SECONDS
    });
    if let Some(since) = stuck_since {
        let message = format!("No progress since {}: {}.", since.0, operation.message);
        return verdict(true, reason::NO_PROGRESS, message);
    }
    let are_missing = notes(outcome).iter().any(|note| matches!(note, Note::Missing { .. }));
    if are_missing || were_missing(operation, previous) {
        return verdict(true, reason::NODES_MISSING, format!("{}.", operation.message));
    }
    verdict(false, reason::AS_EXPECTED, String::new())
}

/// Whether nodes were missing and the operation has got no further since. It is waited for them anew after each attempt to start
/// them and by each new operator: they are not there meanwhile either.
fn were_missing(operation: &OperationStatus, previous: Option<&CacheClusterStatus>) -> bool {
    let Some(previous) = previous else { return false };
    let is_the_same = |before: &OperationStatus| {
        before.type_ == operation.type_
            && before.progressed_at.is_some()
            && before.progressed_at == operation.progressed_at
    };
    previous.operation.as_ref().is_some_and(is_the_same)
        && previous.conditions.iter().any(|before| {
            before.type_ == condition::DEGRADED
                && before.status == "True"
                && before.reason == reason::NODES_MISSING
        })
}
