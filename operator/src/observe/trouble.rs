//! Why Kubernetes cannot start a node, in its own words, for those who read the status.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use ringcache_operator_core::Phase;

use super::container::terminated;
use super::phase::phase;
use crate::objects::pod::CONTAINER;

/// Longest text: it stands beside others in one message.
const MAX_CHARS: usize = 256;

/// Why the pod does not get on, if it does not.
pub(super) fn trouble(pod: &Pod) -> Option<String> {
    let text = match phase(pod) {
        Phase::Exited => Some(ending(pod)),
        Phase::Pending | Phase::Starting => unschedulable(pod).or_else(|| waiting(pod)),
        Phase::Running | Phase::Stopping | Phase::Lost => None,
    }?;
    Some(text.chars().take(MAX_CHARS).collect())
}

fn unschedulable(pod: &Pod) -> Option<String> {
    let mut conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let condition = conditions.find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    Some(said(condition.reason.as_deref().unwrap_or("Unschedulable"), condition.message.as_deref()))
}

/// Whether no scheduler has said anything of the pod. One that does not run, or has another name, says so nowhere.
pub(super) fn untaken(pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref().filter(|spec| spec.node_name.is_none())?;
    let mut conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let name = spec.scheduler_name.as_deref().unwrap_or("default-scheduler");
    let is_seen = conditions.any(|c| c.type_ == "PodScheduled");
    (!is_seen).then(|| format!("no scheduler has taken the pod: its schedulerName is `{name}`"))
}

/// The first container that does not get on: one before the cache node's keeps that from starting, one beside it keeps the pod from
/// being ready.
fn waiting(pod: &Pod) -> Option<String> {
    let before = pod.status.iter().flat_map(|s| s.init_container_statuses.iter().flatten());
    let others = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
    before.chain(others).find_map(|container| Some(of(&container.name, stuck(container)?)))
}

fn stuck(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    match waiting.reason.as_deref()? {
        // On its way.
        "ContainerCreating" | "PodInitializing" => None,
        // The kubelet alternates between the two, each with another message: a status that repeated them would be written
        // again and again.
        "ErrImagePull" | "ImagePullBackOff" => Some(format!(
            "ImagePullBackOff: {} cannot be pulled: see the events of the pod",
            container.image
        )),
        reason => Some(said(reason, waiting.message.as_deref())),
    }
}

/// How a pod ended that should not have.
fn ending(pod: &Pod) -> String {
    let status = pod.status.as_ref();
    if let Some(reason) = status.and_then(|status| status.reason.as_deref()) {
        return said(reason, status.and_then(|status| status.message.as_deref()));
    }
    let end = terminated(pod).map(|end| (CONTAINER, end)).or_else(|| failed_before(pod));
    end.map_or_else(
        || "it ended".to_owned(),
        |(name, end)| {
            let code = format!("exit code {}", end.exit_code);
            of(name, said(end.reason.as_deref().unwrap_or("Ended"), Some(&code)))
        },
    )
}

/// The container before the cache node's that failed, so that the cache node never ran.
fn failed_before(pod: &Pod) -> Option<(&str, &ContainerStateTerminated)> {
    let before = pod.status.iter().flat_map(|s| s.init_container_statuses.iter().flatten());
    let mut ended = before.filter_map(|container| {
        Some((container.name.as_str(), container.state.as_ref()?.terminated.as_ref()?))
    });
    ended.find(|(_, end)| end.exit_code != 0)
}

/// What is told of a container: of any but the cache node's, which one it is.
fn of(name: &str, text: String) -> String {
    if name == CONTAINER { text } else { format!("{name}: {text}") }
}

fn said(reason: &str, message: Option<&str>) -> String {
    match message {
        Some(message) if !message.is_empty() => format!("{reason}: {message}"),
        _ => reason.to_owned(),
    }
}
