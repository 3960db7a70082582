//! The container of a pod that the cache node runs in. Others beside it, injected by whomever, say nothing about the node.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

use crate::objects::pod::CONTAINER;

/// What the kubelet says of the cache node's container.
pub(super) fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let mut containers = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
    containers.find(|container| container.name == CONTAINER)
}

/// How the container ended.
pub(super) fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    container(pod)?.state.as_ref()?.terminated.as_ref()
}

/// Whether the container has ended and is never started again.
pub(super) fn is_over(pod: &Pod) -> bool {
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    policy == Some("Never") && terminated(pod).is_some()
}

/// Whether the container runs, or ever did.
pub(super) fn has_run(pod: &Pod) -> bool {
    container(pod).is_some_and(|container| {
        let waits = container.state.as_ref().is_none_or(|state| state.waiting.is_some());
        let ran_before =
            container.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
        !waits || ran_before || container.restart_count > 0
    })
}
