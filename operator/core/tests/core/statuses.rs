//! The status tells the truth, and changes only when there is something new to say.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;
use ringcache_api::admin::Sealed;
use ringcache_api::status::{CacheClusterStatus, condition, reason};
use ringcache_operator_core::{Observed, Outcome, Trouble, Violation, status, validate};

use crate::world::{World, spec};

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

fn report(world: &World, previous: Option<&CacheClusterStatus>, second: i64) -> CacheClusterStatus {
    status(Outcome::Planned(&world.plan()), &world.observe(), previous, &at(second))
}

/// `Type=Status (Reason)` of each condition.
fn conditions(status: &CacheClusterStatus) -> Vec<String> {
    let conditions = status.conditions.iter();
    conditions.map(|c| format!("{}={} ({})", c.type_, c.status, c.reason)).collect()
}

#[test]
fn a_steady_cluster_is_ready_and_nothing_else() {
    let status = report(&World::steady(3), None, 5);
    assert_eq!(
        conditions(&status),
        [
            "Ready=True (Serving)",
            "Reconciling=False (Steady)",
            "Stalled=False (AsExpected)",
            "RingConverged=True (Converged)",
        ]
    );
    assert_eq!((status.observed_generation, status.nodes, status.ready_nodes), (1, 3, 3));
    assert_eq!(status.selector, "ringcache.dev/cluster=simple-web");
    assert_eq!(status.ring.as_ref().map(|ring| ring.epoch), Some(1));
    assert_eq!(status.operation, None);
    assert_eq!(status.members.iter().map(|m| m.slots).sum::<i32>(), 16384);
}

#[test]
fn a_new_cluster_is_not_ready_until_it_serves() {
    let mut world = World::new(spec(2, ""));
    let status = report(&world, None, 0);
    assert_eq!(
        conditions(&status),
        [
            "Ready=False (NoRing)",
            "Reconciling=True (OperationInProgress)",
            "Stalled=False (AsExpected)",
            "RingConverged=False (NoRing)",
        ]
    );
    world.settle();
    assert_eq!(conditions(&report(&world, Some(&status), 9))[0], "Ready=True (Serving)");
}

#[test]
fn a_scaling_cluster_is_ready_and_reconciling() {
    let mut world = World::steady(2);
    world.edit(|spec| spec.nodes = 3);
    let status = report(&world, None, 0);
    assert_eq!(
        conditions(&status)[..2],
        ["Ready=True (Serving)", "Reconciling=True (OperationInProgress)"]
    );
    let operation = status.operation.unwrap();
    assert_eq!(
        (operation.type_.as_str(), operation.message.as_str()),
        ("ScaleOut", "from 2 to 3 nodes")
    );
    assert_eq!(status.observed_generation, 2);
    world.round();
    world.round();
    assert_eq!(conditions(&report(&world, None, 0))[3], "RingConverged=False (Moving)");
}

#[test]
fn a_cluster_that_lost_a_node_is_not_ready_until_its_slots_are_served() {
    let mut world = World::steady(3);
    world.node("simple-web-1").die();
    let status = report(&world, None, 0);
    assert_eq!(
        conditions(&status)[..2],
        ["Ready=False (SlotsWithoutOwner)", "Reconciling=True (OperationInProgress)"]
    );
    assert_eq!((status.nodes, status.ready_nodes), (2, 2));
    world.round();
    assert_eq!(conditions(&report(&world, None, 0))[0], "Ready=True (Serving)");
}

#[test]
fn a_slot_that_is_handed_over_this_moment_is_served() {
    let world = World::steady(2);
    let mut observed = world.observe();
    let target = observed.nodes[1].state.as_ref().unwrap().incarnation.clone();
    let source = observed.nodes[0].state.as_mut().unwrap();
    let slots = std::mem::take(&mut source.ownership.owned);
    source.ownership.sealed = vec![Sealed { slots, to: target }];
    let ready = |observed: &Observed| {
        let status = status(Outcome::Planned(&world.plan()), observed, None, &at(0));
        (conditions(&status)[0].clone(), status.conditions[0].message.clone())
    };
    assert_eq!(ready(&observed).0, "Ready=True (Serving)");
    // Handed over after the target had answered: nobody has it, until both are asked once more.
    observed.nodes[0].state.as_mut().unwrap().ownership.sealed.clear();
    assert!(observed.may_be_between_answers());
    let again = observed.clone().after(&world.observe());
    assert_eq!(ready(&again).0, "Ready=True (Serving)");
    assert!(!again.may_be_between_answers());
    let (condition, message) = ready(&observed);
    assert_eq!(condition, "Ready=False (SlotsWithoutOwner)");
    assert_eq!(message, "8192 of 16384 slots have no owner that answers.");
    // One that does not answer explains it.
    observed.nodes[0].state = None;
    assert!(!observed.may_be_between_answers());
    let explained =
        "8192 of 16384 slots have no owner that answers. Without an answer: simple-web-0.";
    assert_eq!(ready(&observed).1, explained);
}

#[test]
fn a_cluster_whose_addresses_lead_nowhere_is_not_ready() {
    let world = World::steady(2);
    let observed = Observed { open: false, ..world.observe() };
    let status = status(Outcome::Planned(&world.plan()), &observed, None, &at(0));
    assert_eq!(
        conditions(&status)[..2],
        ["Ready=False (NoEndpoint)", "Reconciling=False (Steady)"],
        "nothing is to be done about it but to wait"
    );
}

#[test]
fn pause_and_deletion_say_so() {
    let mut world = World::steady(1);
    world.edit(|spec| spec.paused = true);
    assert_eq!(conditions(&report(&world, None, 0))[1], "Reconciling=False (Paused)");
    world.delete();
    assert_eq!(
        conditions(&report(&world, None, 0))[..2],
        ["Ready=False (Deleting)", "Reconciling=True (Deleting)"]
    );
}

#[test]
fn an_invalid_spec_stalls_with_all_its_problems_while_the_cluster_serves_on() {
    let mut world = World::steady(2);
    world.edit(|spec| (spec.nodes, spec.memory.0) = (0, "1Ki".into()));
    let problems = validate(&world.cluster).unwrap_err();
    let status = status(Outcome::Invalid(&problems), &world.observe(), None, &at(0));
    assert_eq!(
        conditions(&status)[..3],
        ["Ready=True (Serving)", "Reconciling=False (InvalidSpec)", "Stalled=True (InvalidSpec)"]
    );
    assert_eq!(
        status.conditions[2].message,
        "`nodes` must be from 1 to 100, but is 0; `memory` must be at least 64Mi"
    );
}

#[test]
fn a_refused_plan_stalls() {
    let refused = [Violation::Paused];
    let status = status(Outcome::Refused(&refused), &World::steady(1).observe(), None, &at(0));
    assert_eq!(conditions(&status)[2], "Stalled=True (PlanRefused)");
    assert_eq!(status.conditions[2].message, "the cluster is paused, but the plan has steps");
}

#[test]
fn a_name_that_somebody_else_has_stalls_and_a_call_that_fails_is_in_progress() {
    let world = World::steady(1);
    let plan = world.plan();
    let with =
        |trouble: &Trouble| status(Outcome::Failed(&plan, trouble), &world.observe(), None, &at(0));
    let conflict = with(&Trouble::NameConflict("Service shop/web is somebody else's".into()));
    assert_eq!(
        conditions(&conflict)[..3],
        ["Ready=True (Serving)", "Reconciling=False (Steady)", "Stalled=True (NameConflict)"]
    );
    assert_eq!(conflict.conditions[2].message, "Service shop/web is somebody else's");
    let failing = with(&Trouble::Failing("list pods: forbidden".into()));
    assert_eq!(
        conditions(&failing)[1..3],
        ["Reconciling=True (Failing)", "Stalled=False (AsExpected)"]
    );
    assert_eq!(failing.conditions[1].message, "list pods: forbidden");
}

#[test]
fn an_operation_says_what_it_waits_for_and_what_fails() {
    let mut world = World::steady(2);
    world.room = world.nodes.len();
    world.edit(|spec| spec.nodes = 3);
    world.round();
    let plan = world.plan();
    let fails = Trouble::Failing("a quota is exceeded".into());
    let status = status(Outcome::Failed(&plan, &fails), &world.observe(), None, &at(0));
    assert_eq!(
        status.operation.unwrap().message,
        "from 2 to 3 nodes; waits for simple-web-2 (Unschedulable: 0/3 nodes are available) to start; a quota is exceeded"
    );
}

#[test]
fn the_status_of_an_unchanged_cluster_is_equal_whenever_it_is_taken() {
    let world = World::steady(3);
    let first = report(&world, None, 100);
    assert_eq!(report(&world, Some(&first), 4000), first);
}

#[test]
fn moving_slots_do_not_change_the_status_every_second() {
    let mut world = World::steady(2);
    world.edit(|spec| spec.nodes = 4);
    let mut distinct = vec![report(&world, None, 0)];
    let mut rounds = 0;
    while world.round().poll_soon() {
        rounds += 1;
        let next = report(&world, distinct.last(), rounds);
        if distinct.last() != Some(&next) {
            distinct.push(next);
        }
    }
    assert!(distinct.len() < 7, "{} reports in {rounds} rounds", distinct.len());
}

proptest! {
    #[test]
    fn the_transition_time_moves_exactly_with_the_status(scales in prop::collection::vec((1..5_i32, 0..4), 1..8)) {
        let mut world = World::new(spec(2, ""));
        let mut previous: Option<CacheClusterStatus> = None;
        let mut second = 0;
        for (nodes, rounds) in scales {
            world.edit(|spec| spec.nodes = nodes);
            for _ in 0..rounds {
                second += 1;
                world.round();
                let now = report(&world, previous.as_ref(), second);
                let types: Vec<_> = now.conditions.iter().map(|c| c.type_.as_str()).collect();
                prop_assert_eq!(types, condition::ALL);
                for (i, condition) in now.conditions.iter().enumerate() {
                    prop_assert!(reason::ALL.contains(&condition.reason.as_str()));
                    prop_assert_eq!(condition.observed_generation, Some(now.observed_generation));
                    let before = previous.as_ref().map(|p| &p.conditions[i]);
                    let since = match before {
                        Some(before) if before.status == condition.status => before.last_transition_time.clone(),
                        _ => at(second),
                    };
                    prop_assert_eq!(&condition.last_transition_time, &since);
                }
                previous = Some(now);
            }
        }
    }
}
