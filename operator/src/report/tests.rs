//! What a change of status tells people.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use ringcache_api::status::OperationStatus;

use super::*;

fn with(conditions: &[(&str, bool, &str)], operation: Option<(&str, &str)>) -> CacheClusterStatus {
    let condition = |&(type_, status, reason): &(&str, bool, &str)| Condition {
        type_: type_.into(),
        status: if status { "True" } else { "False" }.into(),
        reason: reason.into(),
        message: format!("message of {reason}"),
        observed_generation: Some(1),
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    };
    CacheClusterStatus {
        ready_nodes: 3,
        conditions: conditions.iter().map(condition).collect(),
        operation: operation.map(|(type_, message)| OperationStatus {
            type_: type_.into(),
            message: message.into(),
            slots_to_go: None,
            started_at: None,
            progressed_at: None,
        }),
        ..CacheClusterStatus::default()
    }
}

fn told(previous: Option<&CacheClusterStatus>, current: &CacheClusterStatus) -> Vec<String> {
    let told = notices(previous, current);
    told.iter().map(|notice| format!("{}: {}", notice.reason.name(), notice.note)).collect()
}

const CONVERGED: (&str, bool, &str) = (condition::RING_CONVERGED, true, reason::CONVERGED);

#[test]
fn an_operation_is_told_when_it_begins_and_when_everything_is_done() {
    let out = with(&[], Some(("ScaleOut", "from 3 to 5 nodes")));
    let tidy = with(&[], Some(("TidyUp", "what is no longer needed goes")));
    let steady = with(&[CONVERGED], None);
    assert_eq!(told(None, &out), ["OperationInitiated: ScaleOut: from 3 to 5 nodes"]);
    assert_eq!(told(Some(&out), &out), [""; 0]);
    assert_eq!(told(Some(&out), &tidy), [""; 0], "how every operation ends");
    assert_eq!(told(Some(&tidy), &steady), ["OperationCompleted: 3 nodes serve by epoch 0"]);
    assert_eq!(told(Some(&steady), &steady), [""; 0]);
}

#[test]
fn a_repair_is_told_like_any_other_operation() {
    let repair = with(&[], Some(("Repair", "web-1 died")));
    assert_eq!(told(None, &repair), ["OperationInitiated: Repair: web-1 died"]);
    assert_eq!(told(Some(&repair), &repair), [""; 0]);
    let restore = with(&[], Some(("Restore", "the ring document is written again")));
    let told = told(None, &restore);
    assert_eq!(told, ["OperationInitiated: Restore: the ring document is written again"]);
}

/// What an operator tells of statuses that it writes one after the other.
fn story(statuses: &[&CacheClusterStatus]) -> Vec<String> {
    let mut notes = Notes::default();
    let steps = statuses.windows(2).map(|pair| (Some(pair[0]), pair[1]));
    let told = steps.flat_map(|(previous, current)| news(&mut notes, previous, current));
    told.map(|notice| notice.reason.name().to_owned()).collect()
}

#[test]
fn only_what_has_begun_is_completed() {
    const KEPT: (&str, bool, &str) = (condition::RECONCILING, true, reason::FAILING);
    let out = with(&[], Some(("ScaleOut", "from 3 to 5 nodes")));
    let converge = with(&[], Some(("Converge", "slots move")));
    let (steady, kept) = (with(&[CONVERGED], None), with(&[CONVERGED, KEPT], None));
    assert_eq!(story(&[&steady, &kept, &steady]), [""; 0], "a write failed for a while");
    assert_eq!(
        story(&[&steady, &kept, &converge, &steady]),
        [""; 0],
        "nobody was told that it began"
    );
    let whole = ["OperationInitiated", "OperationCompleted"];
    assert_eq!(story(&[&steady, &out, &kept, &kept, &steady, &kept, &steady]), whole);
    let after_a_restart = story(&[&out, &kept, &steady]);
    assert_eq!(after_a_restart, ["OperationCompleted"]);
}

#[test]
fn a_pause_in_the_middle_is_no_completion() {
    let roll = with(&[], Some(("Roll", "2 to be replaced of 3")));
    let waits = [
        CONVERGED,
        (condition::RECONCILING, false, reason::PAUSED),
        (condition::UP_TO_DATE, false, reason::ROLLING_OUT),
    ];
    let paused = with(&waits, None);
    assert_eq!(told(Some(&roll), &paused), [""; 0]);
    let steady = with(&[CONVERGED, (condition::UP_TO_DATE, true, reason::UP_TO_DATE)], None);
    let begun = told(Some(&paused), &roll);
    assert_eq!(begun, ["OperationInitiated: Roll: 2 to be replaced of 3"]);
    assert_eq!(told(Some(&roll), &steady), ["OperationCompleted: 3 nodes serve by epoch 0"]);
}

#[test]
fn what_a_person_must_see_to_is_told_once_and_again_when_it_changes() {
    let invalid = with(&[(condition::STALLED, true, reason::INVALID_SPEC)], None);
    let refused = with(&[(condition::STALLED, true, reason::PLAN_REFUSED)], None);
    let fine = with(&[(condition::STALLED, false, reason::AS_EXPECTED)], None);
    assert_eq!(told(Some(&fine), &invalid), ["InvalidSpec: message of InvalidSpec"]);
    assert_eq!(told(Some(&invalid), &invalid), [""; 0]);
    assert_eq!(told(Some(&invalid), &refused), ["PlanRefused: message of PlanRefused"]);
    assert_eq!(told(Some(&refused), &fine), [""; 0]);
}

#[test]
fn slots_without_an_owner_are_told_and_their_return_too() {
    let serves = with(&[(condition::READY, true, reason::SERVING)], None);
    let lacks = with(&[(condition::READY, false, reason::SLOTS_WITHOUT_OWNER)], None);
    assert_eq!(told(None, &lacks), [""; 0], "it has never served yet");
    assert_eq!(told(Some(&lacks), &serves), ["Serving: message of Serving"]);
    assert_eq!(told(Some(&serves), &lacks), ["SlotsWithoutOwner: message of SlotsWithoutOwner"]);
}

#[test]
fn an_operation_counts_as_begun_once() {
    let out = with(&[], Some(("ScaleOut", "from 3 to 5 nodes")));
    assert_eq!(begun(None, &out), Some("ScaleOut"));
    assert_eq!(begun(Some(&out), &out), None);
    assert_eq!(begun(Some(&out), &with(&[], None)), None);
}
