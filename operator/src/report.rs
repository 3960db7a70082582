//! Reports in the `CacheCluster`: the status, written only when it says something new, and the events that follow from it.

use kube::api::Patch;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Resource as _, ResourceExt as _};
use ringcache_api::CacheCluster;
use ringcache_api::status::{CacheClusterStatus, condition, reason};
use ringcache_operator_core::{Outcome, Trouble, status, unobserved};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Error;
use crate::events::{EventReason, Notice};
use crate::execute::params;
use crate::memory::{Key, Memory, Notes};
use crate::metrics::CONTROLLER;
use crate::nodes::Nodes;
use crate::observe::{Observation, Resource};

mod difference;

use difference::difference;

/// A status as it was read.
struct Read<'a> {
    cluster: &'a CacheCluster,
    /// Word by word.
    stored: &'a Value,
    /// What was written, if the API server did not store all of it.
    written: Option<CacheClusterStatus>,
}

impl<'a> Read<'a> {
    fn new(memory: &Memory, key: &Key, cluster: &'a CacheCluster, stored: &'a Value) -> Self {
        let written = memory.of(key, |notes| notes.written_as(stored));
        Self { cluster, stored, written }
    }

    fn status(&self) -> Option<&CacheClusterStatus> {
        self.written.as_ref().or(self.cluster.status.as_ref())
    }
}

/// Writes the status if it differs from the one that was read.
pub(crate) async fn report<N: Nodes>(
    context: &Context<N>,
    memory: &Memory,
    key: &Key,
    observation: &Observation,
    outcome: Outcome<'_>,
) -> Result<(), Error> {
    let read = Read::new(memory, key, &observation.cluster, &observation.status);
    let now = context.clock.time();
    let current = status(outcome, &observation.observed, read.status(), &now);
    publish(context, memory, key, &read, current).await
}

/// Writes into the status that the cluster cannot be looked at, and why.
pub(crate) async fn report_unobserved<N: Nodes>(
    context: &Context<N>,
    memory: &Memory,
    key: &Key,
    Resource { cluster, status, .. }: &Resource,
    trouble: &Trouble,
) -> Result<(), Error> {
    let read = Read::new(memory, key, cluster, status);
    let previous = read.status().cloned().unwrap_or_default();
    let generation = cluster.metadata.generation.unwrap_or_default();
    let current = unobserved(&previous, trouble, generation, &context.clock.time());
    publish(context, memory, key, &read, current).await
}

async fn publish<N: Nodes>(
    context: &Context<N>,
    memory: &Memory,
    key: &Key,
    read: &Read<'_>,
    current: CacheClusterStatus,
) -> Result<(), Error> {
    let change = difference(read.stored, &json!(current));
    let is_said = read.written.as_ref().map_or(change.is_none(), |written| *written == current);
    if is_said {
        return Ok(());
    }
    let stored = match change {
        Some(change) => write(context, read.cluster, change).await?,
        // What is new is only that something has ended of which nothing was stored.
        None => Some(read.stored.clone()),
    };
    let Some(stored) = stored else { return Ok(()) };
    let previous = read.status();
    let regarding = read.cluster.object_ref(&());
    for notice in memory.of(key, |notes| news(notes, previous, &current)) {
        context.events.tell(&regarding, notice);
    }
    if let Some(operation) = begun(previous, &current) {
        context.metrics.operations.with_label_values(&[operation]).inc();
    }
    memory.of(key, |notes| notes.wrote(current, stored));
    Ok(())
}

/// What is to be told of a change of status.
fn news(
    notes: &mut Notes,
    previous: Option<&CacheClusterStatus>,
    current: &CacheClusterStatus,
) -> Vec<Notice> {
    // An operator that has just started goes on with what the last one was at.
    let was_busy = notes.is_busy.unwrap_or_else(|| operation(previous).is_some());
    notes.is_busy = Some(was_busy || operation(Some(current)).is_some_and(is_begun));
    let mut notices = notices(previous, current);
    notices.retain(|notice| is_told(notes, notice));
    notices
}

/// Whether an operation of this type is one that people are told of: the others are what every one ends with.
fn is_begun(type_: &str) -> bool {
    !matches!(type_, "Converge" | "TidyUp")
}

/// Whether the notice is to be told. What comes and goes, such as a node that answers now and then, is told once an hour in the same words,
/// and its end is told if its beginning was. So is the end of an operation.
fn is_told(notes: &mut Notes, notice: &Notice) -> bool {
    let text = format!("{}: {}", notice.reason.name(), notice.note);
    match notice.reason {
        EventReason::Degraded | EventReason::AutoscalingStopped => notes.is_news(&text),
        // That it was removed, which a pause makes it say again.
        EventReason::Autoscaled if notice.note.starts_with("`autoscaling`") => notes.is_news(&text),
        EventReason::SlotsWithoutOwner => {
            notes.is_hushed = !notes.is_news(&text);
            !notes.is_hushed
        }
        EventReason::OperationCompleted => notes.is_busy.replace(false) == Some(true),
        EventReason::Serving => !std::mem::take(&mut notes.is_hushed),
        _ => true,
    }
}

/// Writes a change of the status that was read, and of no other: a pass that is late must not mix what it saw with what another one
/// wrote since. What is stored then; `None` if the cluster is gone.
///
/// A merge patch and not apply, which an API server refuses as a whole if its definition lacks one of the fields.
async fn write<N: Nodes>(
    context: &Context<N>,
    cluster: &CacheCluster,
    change: Value,
) -> Result<Option<Value>, Error> {
    let namespace = cluster.namespace().unwrap_or_default();
    let kind = ApiResource::erase::<CacheCluster>(&());
    // Read as it comes: what this operator cannot read of the answer has been written all the same.
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &namespace, &kind);
    let patch = Patch::Merge(json!({
        "metadata": { "resourceVersion": cluster.resource_version() },
        "status": change,
    }));
    match api.patch_status(&cluster.name_any(), &params(), &patch).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        written => {
            let stored = written?.data["status"].take();
            context.metrics.status_writes.with_label_values(&[CONTROLLER]).inc();
            Ok(Some(stored))
        }
    }
}

fn operation(status: Option<&CacheClusterStatus>) -> Option<&str> {
    Some(status?.operation.as_ref()?.type_.as_str())
}

/// The operation that is under way now and was not before.
fn begun<'a>(
    previous: Option<&CacheClusterStatus>,
    current: &'a CacheClusterStatus,
) -> Option<&'a str> {
    operation(Some(current)).filter(|current| operation(previous) != Some(current))
}

/// What a change of status means to people. Derived from the two statuses alone, so a restarted operator repeats nothing.
fn notices(previous: Option<&CacheClusterStatus>, current: &CacheClusterStatus) -> Vec<Notice> {
    [
        autoscaling_notice(previous, current),
        operation_notice(previous, current),
        stalled_notice(previous, current),
        ready_notice(previous, current),
        degraded_notice(previous, current),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// That another number of nodes is in force, and that autoscaling stops or was removed.
fn autoscaling_notice(
    previous: Option<&CacheClusterStatus>,
    current: &CacheClusterStatus,
) -> Option<Notice> {
    let now = find(Some(current), condition::AUTOSCALING_ACTIVE)?;
    let is_new = find(previous, condition::AUTOSCALING_ACTIVE)
        .is_none_or(|before| before.reason != now.reason);
    if is_new && now.reason == reason::PREDICTIONS_FAILED {
        return Some(Notice::new(EventReason::AutoscalingStopped, now.message.clone()));
    }
    if is_new && now.reason == reason::AUTOSCALING_REMOVED {
        return Some(Notice::new(EventReason::Autoscaled, now.message.clone()));
    }
    let (before, after) = (previous?.autoscaling.as_ref()?, current.autoscaling.as_ref()?);
    let step = after.last_step.as_ref().filter(|step| step.to_nodes == after.nodes);
    let predicted = step.map(|step| {
        format!(" {} % of the reads are predicted to be hits.", step.predicted_hit_percent)
    });
    let note = || {
        let (from, to) = (before.nodes, after.nodes);
        format!("From {from} to {to} nodes.{} {}", predicted.unwrap_or_default(), now.message)
    };
    (before.nodes != after.nodes).then(|| Notice::new(EventReason::Autoscaled, note()))
}

fn operation_notice(
    previous: Option<&CacheClusterStatus>,
    current: &CacheClusterStatus,
) -> Option<Notice> {
    let note = |operation: &ringcache_api::status::OperationStatus| {
        format!("{}: {}", operation.type_, operation.message)
    };
    // A name that somebody else has is the rest of an operation: it is done when the name is ours.
    let was_busy = operation(previous).is_some() || is_kept_from_more(previous);
    let is_done = holds(current, condition::RING_CONVERGED) && !is_kept_from_more(Some(current));
    match &current.operation {
        None if was_busy && is_done => {
            let epoch = current.ring.as_ref().map_or(0, |ring| ring.epoch);
            let note = format!("{} nodes serve by epoch {epoch}", current.ready_nodes);
            Some(Notice::new(EventReason::OperationCompleted, note))
        }
        None => None,
        Some(now) if operation(previous) == Some(&now.type_) => None,
        Some(now) if !is_begun(&now.type_) => None,
        Some(now) => Some(Notice::new(EventReason::OperationInitiated, note(now))),
    }
}

/// Whether something is missing that no plan has a step for: an object whose name somebody else has, or whose writing fails; or nodes
/// that are replaced when the spec is carried out again.
fn is_kept_from_more(status: Option<&CacheClusterStatus>) -> bool {
    let is_for = |type_, reasons: &[&str]| {
        find(status, type_).is_some_and(|found| reasons.contains(&found.reason.as_str()))
    };
    is_for(condition::RECONCILING, &[reason::NAME_CONFLICT, reason::FAILING])
        || is_for(condition::UP_TO_DATE, &[reason::ROLLING_OUT])
}

fn stalled_notice(
    previous: Option<&CacheClusterStatus>,
    current: &CacheClusterStatus,
) -> Option<Notice> {
    let stalled = find(Some(current), condition::STALLED).filter(|c| c.status == "True")?;
    let before = find(previous, condition::STALLED);
    if before.is_some_and(|c| c.reason == stalled.reason && c.message == stalled.message) {
        return None;
    }
    let reason = match stalled.reason.as_str() {
        reason::INVALID_SPEC => EventReason::InvalidSpec,
        reason::NAME_CONFLICT => EventReason::NameConflict,
        _ => EventReason::PlanRefused,
    };
    Some(Notice::new(reason, stalled.message.clone()))
}

fn ready_notice(
    previous: Option<&CacheClusterStatus>,
    current: &CacheClusterStatus,
) -> Option<Notice> {
    let ready = find(Some(current), condition::READY)?;
    let before = find(previous, condition::READY).map(|c| c.status.as_str());
    match (before, ready.status.as_str()) {
        (Some("True"), "True") => None,
        (_, "True") => Some(Notice::new(EventReason::Serving, ready.message.clone())),
        (Some("True"), _) if ready.reason == reason::SLOTS_WITHOUT_OWNER => {
            Some(Notice::new(EventReason::SlotsWithoutOwner, ready.message.clone()))
        }
        _ => None,
    }
}

fn degraded_notice(
    previous: Option<&CacheClusterStatus>,
    current: &CacheClusterStatus,
) -> Option<Notice> {
    let is_degraded = |status: &CacheClusterStatus| holds(status, condition::DEGRADED);
    let now = find(Some(current), condition::DEGRADED).filter(|_| is_degraded(current))?;
    let before = find(previous, condition::DEGRADED);
    let is_news =
        before.is_none_or(|before| before.status != "True" || before.reason != now.reason);
    is_news.then(|| Notice::new(EventReason::Degraded, now.message.clone()))
}

type Condition = k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

fn find<'a>(status: Option<&'a CacheClusterStatus>, type_: &str) -> Option<&'a Condition> {
    status?.conditions.iter().find(|condition| condition.type_ == type_)
}

fn holds(status: &CacheClusterStatus, type_: &str) -> bool {
    find(Some(status), type_).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests;
