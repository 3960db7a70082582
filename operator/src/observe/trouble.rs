//! Why Kubernetes cannot start a node, in its own words, for those who read the status.

use k8s_openapi::api::core::v1::Pod;
use ringcache_operator_core::Phase;

use super::container::{container, terminated};
use super::phase::phase;

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

fn waiting(pod: &Pod) -> Option<String> {
    let container = container(pod)?;
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
    terminated(pod).map_or_else(
        || "it ended".to_owned(),
        |end| {
            let code = format!("exit code {}", end.exit_code);
            said(end.reason.as_deref().unwrap_or("Ended"), Some(&code))
        },
    )
}

fn said(reason: &str, message: Option<&str>) -> String {
    match message {
        Some(message) if !message.is_empty() => format!("{reason}: {message}"),
        _ => reason.to_owned(),
    }
}
