//! How long a failed pod is kept before the next try, so that a node that cannot run does not make a storm of pods.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use ringcache_operator_core::Phase;

use super::container::terminated;
use super::phase::{is_stopping, phase};
use crate::objects::meta::FAILURES;

/// A node that ran so long did not fail at its start: it is replaced at once.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// The first wait; the very first failure is tried again at once.
const FIRST_BACKOFF: Duration = Duration::from_secs(10);
/// The longest wait.
const MAX_BACKOFF: Duration = Duration::from_mins(5);

/// How many failures a new pod comes after: one more than the worst of those that failed soon after their start.
pub(crate) fn failures<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> u32 {
    let counts = pods.into_iter().filter(|pod| failed_early(pod)).map(recorded_failures);
    counts.max().map_or(0, |most| most.saturating_add(1))
}

/// Whether the pod failed soon after its start and its wait is not over.
pub(super) fn is_resting(pod: &Pod, now: Timestamp) -> bool {
    let Some(ended) = ended_at(pod).filter(|_| failed_early(pod)) else { return false };
    let backoff = SignedDuration::try_from(backoff(recorded_failures(pod))).unwrap_or_default();
    // The host's clock wrote the time. One that is ahead of ours makes the wait longer, but not by more than the longest wait.
    let farthest = SignedDuration::try_from(MAX_BACKOFF).unwrap_or_default();
    let waited = now.duration_since(ended);
    -farthest < waited && waited < backoff
}

/// As the kubelet does it: nothing, 10 s, 20 s, 40 s and so on.
fn backoff(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => {
            let factor = 1_u32.checked_shl(doublings).filter(|_| doublings < 8);
            factor.map_or(MAX_BACKOFF, |factor| (FIRST_BACKOFF * factor).min(MAX_BACKOFF))
        }
    }
}

/// A pod that was told to end did not fail.
fn failed_early(pod: &Pod) -> bool {
    let ran = || {
        let terminated = terminated(pod)?;
        let (started, finished) =
            (terminated.started_at.as_ref()?, terminated.finished_at.as_ref()?);
        Some(finished.0.duration_since(started.0))
    };
    phase(pod) == Phase::Exited && !is_stopping(pod) && ran().is_none_or(|ran| ran < SETTLED_AFTER)
}

fn recorded_failures(pod: &Pod) -> u32 {
    let text = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(FAILURES));
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// When it ended. A pod that the kubelet refused never had a container: then its first moment is its last.
fn ended_at(pod: &Pod) -> Option<Timestamp> {
    let finished = terminated(pod).and_then(|terminated| terminated.finished_at.as_ref());
    let refused = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    let time = finished.or(refused).or(pod.metadata.creation_timestamp.as_ref());
    time.map(|time| time.0)
}
