//! What a pod object alone tells: phase, rest after a failure, trouble.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use ringcache_operator_core::Phase;
use serde_json::{Value, json};

use super::super::fixture::{START, ended, pod, time};
use super::super::phase::phase;
use super::super::rest::{failures, is_resting};
use super::super::trouble::trouble;
use crate::objects::meta::FAILURES;

#[test]
fn phases_follow_what_kubernetes_knows_for_certain() {
    for (status, deleting, expected) in [
        (json!(null), false, Phase::Pending),
        (json!({"phase": "Pending"}), false, Phase::Pending),
        (json!({"phase": "Pending"}), true, Phase::Pending),
        (json!({"phase": "Running"}), false, Phase::Starting),
        (json!({"phase": "Running", "podIP": "10.0.0.1"}), false, Phase::Running),
        (json!({"phase": "Running", "podIP": "10.0.0.1"}), true, Phase::Stopping),
        (json!({"phase": "Succeeded", "podIP": "10.0.0.1"}), false, Phase::Exited),
        (json!({"phase": "Failed"}), false, Phase::Exited),
        (json!({"phase": "Failed"}), true, Phase::Exited),
    ] {
        let mut pod = pod("web-0", status.clone());
        pod.metadata.deletion_timestamp = deleting.then(|| time(START));
        assert_eq!(phase(&pod), expected, "{status} deleting: {deleting}");
    }
}

/// A pod with a container beside the cache node's, as injected ones are; `state` is that of the cache node's.
fn with_another(phase: &str, state: &Value, more: &Value) -> Pod {
    let container = |name: &str, state: &Value| json!({"name": name, "image": "x", "imageID": "", "ready": true, "restartCount": 0, "state": state});
    let mut own = container("cache-node", state);
    own.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let running = json!({"running": {"startedAt": START}});
    let statuses = [container("proxy", &running), own];
    pod("web-0", json!({"phase": phase, "podIP": "10.0.0.1", "containerStatuses": statuses}))
}

#[test]
fn what_the_node_is_follows_from_its_container_whatever_runs_beside_it() {
    let running = json!({"running": {"startedAt": START}});
    let ended =
        json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": START}});
    let waiting = json!({"waiting": {"reason": "ImagePullBackOff"}});
    let nothing = json!({});
    let ran_before = json!({"restartCount": 1, "lastState": ended});
    let case = |phase, state, more| super::super::phase::phase(&with_another(phase, state, more));
    assert_eq!(case("Running", &running, &nothing), Phase::Running);
    assert_eq!(case("Running", &ended, &nothing), Phase::Exited);
    assert_eq!(case("Pending", &waiting, &nothing), Phase::Pending);
    assert_eq!(case("Pending", &waiting, &ran_before), Phase::Starting, "it may have owned slots");
    assert_eq!(case("Pending", &running, &nothing), Phase::Starting, "others are not there yet");
    let told = trouble(&with_another("Running", &ended, &nothing));
    assert_eq!(told.as_deref(), Some("OOMKilled: exit code 137"));
    // Somebody changed the policy: the kubelet starts the container again.
    let mut restarted = with_another("Running", &ended, &nothing);
    restarted.spec.as_mut().unwrap().restart_policy = Some("Always".to_owned());
    assert_eq!(phase(&restarted), Phase::Running);
}

#[test]
fn a_pod_that_is_about_to_be_evicted_hands_over_before_it_is_told_to_end() {
    let condition = |status: &str| json!({"type": "DisruptionTarget", "status": status});
    let phase_with = |status: &str| {
        let status =
            json!({"phase": "Running", "podIP": "10.0.0.1", "conditions": [condition(status)]});
        phase(&pod("web-0", status))
    };
    assert_eq!(phase_with("True"), Phase::Stopping);
    assert_eq!(phase_with("False"), Phase::Running);
}

/// A pod that came after `failures` others and ended a second after it had started, at `START`.
fn failed(failures: u32) -> Pod {
    let mut pod = pod("web-0", ended("2025-12-31T23:59:59Z", START));
    let annotations = pod.metadata.annotations.as_mut().unwrap();
    annotations.insert(FAILURES.to_owned(), failures.to_string());
    pod
}

fn seconds_later(seconds: i64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

#[test]
fn the_first_failure_is_tried_again_at_once_and_then_ever_later() {
    assert!(!is_resting(&failed(0), seconds_later(0)));
    for (count, seconds) in
        [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (33, 300), (u32::MAX, 300)]
    {
        assert!(is_resting(&failed(count), seconds_later(seconds - 1)), "{count}");
        assert!(!is_resting(&failed(count), seconds_later(seconds)), "{count}");
    }
}

#[test]
fn a_host_whose_clock_is_ahead_prolongs_the_rest_a_little_and_not_for_ever() {
    assert!(is_resting(&failed(1), seconds_later(-299)));
    assert!(!is_resting(&failed(1), seconds_later(-300)));
}

#[test]
fn a_node_that_ran_for_long_is_replaced_at_once() {
    let ran = |started: &str| {
        let mut pod = failed(3);
        pod.status = serde_json::from_value(ended(started, START)).unwrap();
        pod
    };
    let (short, long) = (ran("2025-12-31T23:50:01Z"), ran("2025-12-31T23:50:00Z"));
    assert!(is_resting(&short, seconds_later(1)) && !is_resting(&long, seconds_later(1)));
    assert_eq!((failures([&short]), failures([&long])), (4, 0));
}

#[test]
fn a_pod_that_the_kubelet_refused_rests_from_its_start() {
    let mut refused = failed(1);
    let status =
        json!({"phase": "Failed", "reason": "OutOfcpu", "message": "no room", "startTime": START});
    refused.status = serde_json::from_value(status).unwrap();
    assert!(is_resting(&refused, seconds_later(9)) && !is_resting(&refused, seconds_later(10)));
    assert_eq!(trouble(&refused).as_deref(), Some("OutOfcpu: no room"));
}

#[test]
fn failures_are_counted_from_the_worst_and_only_from_failures() {
    let (mut stopped, running) = (failed(7), pod("web-1", json!({"phase": "Running"})));
    stopped.metadata.deletion_timestamp = Some(time(START));
    assert!(!is_resting(&stopped, seconds_later(1)), "it was told to end");
    assert_eq!(failures([&stopped, &running]), 0);
    assert_eq!(failures([&failed(0), &failed(2), &running]), 3);
    assert_eq!(failures([&failed(u32::MAX)]), u32::MAX);
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending", "containerStatuses": [{
        "name": "cache-node", "image": "cache:9", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
    }]})
}

#[test]
fn trouble_is_told_in_the_words_of_kubernetes() {
    let unschedulable = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"},
    ]});
    let pull = "ImagePullBackOff: cache:9 cannot be pulled: see the events of the pod";
    for (status, expected) in [
        (unschedulable, Some("Unschedulable: 0/3 nodes are available")),
        (waiting("ErrImageNeverPull", "not present"), Some("ErrImageNeverPull: not present")),
        (waiting("ErrImagePull", "rpc error"), Some(pull)),
        (waiting("ImagePullBackOff", "Back-off"), Some(pull)),
        (waiting("CreateContainerConfigError", ""), Some("CreateContainerConfigError")),
        (waiting("ContainerCreating", ""), None),
        (waiting("PodInitializing", ""), None),
        (json!({"phase": "Pending"}), None),
        (json!({"phase": "Running", "podIP": "10.0.0.1"}), None),
    ] {
        assert_eq!(trouble(&pod("web-0", status.clone())).as_deref(), expected, "{status}");
    }
}

#[test]
fn trouble_of_a_container_beside_or_before_the_cache_node_is_told_with_its_name() {
    let container = |name: &str, state: &Value| json!({"name": name, "image": "x:1", "imageID": "", "ready": false, "restartCount": 0, "state": state});
    let waits =
        |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    let told = |phase: &str, before: Value, beside: Value| {
        let status =
            json!({"phase": phase, "initContainerStatuses": before, "containerStatuses": beside});
        trouble(&pod("web-0", status))
    };
    let node = container("cache-node", &waits("PodInitializing", ""));
    let pull = container("proxy", &waits("ErrImagePull", "rpc error"));
    let expected = "proxy: ImagePullBackOff: x:1 cannot be pulled: see the events of the pod";
    assert_eq!(told("Pending", json!([pull]), json!([node])).as_deref(), Some(expected));
    let runs = container("cache-node", &json!({"running": {"startedAt": START}}));
    assert_eq!(told("Pending", json!([]), json!([runs, pull])).as_deref(), Some(expected));
    let done = container("copy", &json!({"terminated": {"exitCode": 0}}));
    let failed = container("migrate", &json!({"terminated": {"exitCode": 3, "reason": "Error"}}));
    let told = told("Failed", json!([done, failed]), json!([node]));
    assert_eq!(told.as_deref(), Some("migrate: Error: exit code 3"));
}

#[test]
fn trouble_is_cut_to_what_a_status_has_room_for() {
    for (length, expected) in [(247, 256), (248, 256), (100_000, 256), (246, 255)] {
        let text = trouble(&pod("web-0", waiting("ErrorAbc", &"é".repeat(length - 1)))).unwrap();
        assert_eq!(text.chars().count(), expected, "{length}");
    }
}
