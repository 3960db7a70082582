//! Reports in the `CacheCluster`: the status, written only when it says something new, and the events that follow from it.

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource as _, ResourceExt as _};
use ringcache_api::CacheCluster;
use ringcache_api::status::{CacheClusterStatus, condition, reason};
use ringcache_operator_core::{Outcome, Trouble, status, unobserved};
use serde_json::json;

use crate::context::Context;
use crate::error::Error;
use crate::events::{EventReason, Notice};
use crate::memory::{Key, Memory, Notes};
use crate::metrics::CONTROLLER;
use crate::nodes::Nodes;
use crate::objects::meta::FIELD_MANAGER;
use crate::observe::Observation;

/// Writes the status if it differs from the one that was read.
pub(crate) async fn report<N: Nodes>(
    context: &Context<N>,
    memory: &Memory,
    key: &Key,
    observation: &Observation,
    outcome: Outcome<'_>,
) -> Result<(), Error> {
    let previous = observation.cluster.status.as_ref();
    let current = status(outcome, &observation.observed, previous, &context.clock.time());
    publish(context, memory, key, &observation.cluster, current).await
}

/// Writes into the status that the cluster cannot be looked at, and why.
pub(crate) async fn report_unobserved<N: Nodes>(
    context: &Context<N>,
    memory: &Memory,
    key: &Key,
    cluster: &CacheCluster,
    trouble: &Trouble,
) -> Result<(), Error> {
    let previous = cluster.status.clone().unwrap_or_default();
    let generation = cluster.metadata.generation.unwrap_or_default();
    let current = unobserved(&previous, trouble, generation, &context.clock.time());
    publish(context, memory, key, cluster, current).await
}

async fn publish<N: Nodes>(
    context: &Context<N>,
    memory: &Memory,
    key: &Key,
    cluster: &CacheCluster,
    current: CacheClusterStatus,
) -> Result<(), Error> {
    let previous = cluster.status.as_ref();
    // An API server whose schema is older than this operator drops what it does not know: what was read would differ for ever.
    let is_said = memory.of(key, |notes| notes.has_written(&current, context.config.resync));
    if previous == Some(&current) || is_said {
        return Ok(());
    }
    if !write(context, cluster, &current).await? {
        return Ok(());
    }
    context.metrics.status_writes.with_label_values(&[CONTROLLER]).inc();
    let regarding = cluster.object_ref(&());
    for notice in memory.of(key, |notes| news(notes, previous, &current)) {
        context.events.tell(&regarding, notice);
    }
    if let Some(operation) = begun(previous, &current) {
        context.metrics.operations.with_label_values(&[operation]).inc();
    }
    memory.of(key, |notes| notes.wrote(current));
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
        EventReason::Degraded => notes.is_news(&text),
        EventReason::SlotsWithoutOwner => {
            notes.is_hushed = !notes.is_news(&text);
            !notes.is_hushed
        }
        EventReason::OperationCompleted => notes.is_busy.replace(false) == Some(true),
        EventReason::Serving => !std::mem::take(&mut notes.is_hushed),
        _ => true,
    }
}

/// Whether there is still somebody to report to.
async fn write<N: Nodes>(
    context: &Context<N>,
    cluster: &CacheCluster,
    status: &CacheClusterStatus,
) -> Result<bool, Error> {
    let namespace = cluster.namespace().unwrap_or_default();
    let api: Api<CacheCluster> = Api::namespaced(context.client.clone(), &namespace);
    let body = json!({
        "apiVersion": CacheCluster::api_version(&()),
        "kind": CacheCluster::kind(&()),
        // Says which cluster is meant. The server takes the status of a custom resource whatever uid comes with it; the next
        // reconcile of another cluster of the same name puts its status right.
        "metadata": { "name": cluster.name_any(), "uid": cluster.uid() },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    match api.patch_status(&cluster.name_any(), &params, &Patch::Apply(body)).await {
        // Gone, or another one by now.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
        written => Ok(written.map(|_| true)?),
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
        operation_notice(previous, current),
        stalled_notice(previous, current),
        ready_notice(previous, current),
        degraded_notice(previous, current),
    ]
    .into_iter()
    .flatten()
    .collect()
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
