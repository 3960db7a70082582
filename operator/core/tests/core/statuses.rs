//! The status tells the truth, and changes only when there is something new to say.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;
use ringcache_api::admin::Sealed;
use ringcache_api::status::{CacheClusterStatus, LostEntries, condition, reason};
use ringcache_operator_core::{
    Held, Observed, Outcome, Planned, Trouble, Violation, status, unobserved, validate,
};

use crate::world::{World, spec};

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

fn report(world: &World, previous: Option<&CacheClusterStatus>, second: i64) -> CacheClusterStatus {
    let (plan, held) = (world.plan(), world.in_force().held);
    let outcome = Outcome { held: held.as_ref(), ..Outcome::of(&plan) };
    status(outcome, &world.observe(), previous, &at(second))
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
            "Degraded=False (AsExpected)",
            "UpToDate=True (UpToDate)",
            "EntriesLost=False (AsExpected)",
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
            "Degraded=False (AsExpected)",
            "UpToDate=False (NoAnswer)",
            "EntriesLost=False (AsExpected)",
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
        let status = status(Outcome::of(&world.plan()), observed, None, &at(0));
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
    let status = status(Outcome::of(&world.plan()), &observed, None, &at(0));
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
fn a_deletion_that_the_platform_carries_out_says_what_is_left_and_when_it_is_stuck() {
    let mut world = World::steady(2);
    let deleted = |world: &World, previous: Option<&CacheClusterStatus>, second| {
        let outcome = Outcome::new(Planned::Deletion);
        status(outcome, &world.observe(), previous, &at(second))
    };
    let began = deleted(&world, Some(&report(&world, None, 0)), 100);
    assert_eq!(
        conditions(&began)[..3],
        ["Ready=False (Deleting)", "Reconciling=True (Deleting)", "Stalled=False (AsExpected)"]
    );
    assert_eq!(began.summary.as_ref().unwrap().state, "Deleting");
    let operation = began.operation.as_ref().unwrap();
    assert_eq!(
        (operation.type_.as_str(), operation.message.as_str()),
        ("Delete", "all nodes end; left are simple-web-0, simple-web-1")
    );
    assert_eq!(deleted(&world, Some(&began), 699), began, "said once");
    let stuck = deleted(&world, Some(&began), 700);
    assert_eq!(conditions(&stuck)[4], "Degraded=True (NoProgress)");
    world.nodes.retain(|node| node.name != "simple-web-0");
    let later = deleted(&world, Some(&stuck), 701);
    assert_eq!(later.operation.unwrap().message, "all nodes end; left are simple-web-1");
}

#[test]
fn an_invalid_spec_stalls_with_all_its_problems_while_the_cluster_serves_on() {
    let mut world = World::steady(2);
    world.edit(|spec| (spec.nodes, spec.memory.0) = (0, "1Ki".into()));
    let status = report(&world, None, 0);
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
    let refused = [Violation::ManyDocuments(2)];
    let planned = Planned::Refused(&refused);
    let outcome = Outcome::new(planned);
    let status = status(outcome, &World::steady(1).observe(), None, &at(0));
    assert_eq!(conditions(&status)[2], "Stalled=True (PlanRefused)");
    assert_eq!(status.conditions[2].message, "the plan writes 2 documents; at most one at a time");
}

#[test]
fn a_cluster_that_was_never_valid_stalls() {
    let problems = validate(&spec(0, "")).unwrap_err();
    let held = Held::Invalid(problems);
    let outcome = Outcome { held: Some(&held), ..Outcome::new(Planned::Nothing) };
    let status = status(outcome, &World::new(spec(0, "")).observe(), None, &at(0));
    assert_eq!(
        conditions(&status)[..3],
        ["Ready=False (NoRing)", "Reconciling=False (InvalidSpec)", "Stalled=True (InvalidSpec)"]
    );
}

#[test]
fn a_cluster_that_cannot_be_looked_at_says_so_and_keeps_the_rest() {
    let steady = report(&World::steady(2), None, 5);
    let trouble = Trouble::Failing("Kubernetes API: pods is forbidden".into());
    let status = unobserved(&steady, &trouble, 2, &at(9));
    assert_eq!(
        conditions(&status)[..3],
        ["Ready=True (Serving)", "Reconciling=True (Failing)", "Stalled=False (AsExpected)"]
    );
    assert_eq!(status.conditions.len(), steady.conditions.len());
    assert_eq!(unobserved(&status, &trouble, 2, &at(99)), status, "said once");
    let first = unobserved(&CacheClusterStatus::default(), &trouble, 1, &at(0));
    assert_eq!(conditions(&first), ["Reconciling=True (Failing)"]);
}

#[test]
fn an_operation_that_gets_no_further_is_degraded_until_it_does() {
    let mut world = World::steady(2);
    world.room = 2;
    world.edit(|spec| spec.nodes = 3);
    world.round();
    let began = report(&world, None, 100);
    let operation = began.operation.as_ref().unwrap();
    assert_eq!((&operation.started_at, &operation.progressed_at), (&Some(at(100)), &Some(at(100))));
    let later = report(&world, Some(&began), 699);
    assert_eq!(later, began, "nothing has changed");
    let stuck = report(&world, Some(&later), 700);
    assert_eq!(conditions(&stuck)[4], "Degraded=True (NoProgress)");
    assert_eq!(
        stuck.conditions[4].message,
        "No progress since 1970-01-01T00:01:40Z: from 2 to 3 nodes; waits for simple-web-2 (Unschedulable: 0/3 nodes are \
         available) to start."
    );
    world.room = 3;
    (0..3).for_each(|_| drop(world.round()));
    let moving = report(&world, Some(&stuck), 800);
    assert_eq!(conditions(&moving)[4], "Degraded=False (AsExpected)");
    let operation = moving.operation.as_ref().unwrap();
    assert_eq!((&operation.started_at, &operation.progressed_at), (&Some(at(100)), &Some(at(800))));
}

#[test]
fn nodes_that_were_waited_for_in_vain_are_missing() {
    let mut world = World::steady(2);
    world.room = 3;
    world.edit(|spec| spec.nodes = 4);
    (0..8).for_each(|_| drop(world.round()));
    let status = report(&world, None, 0);
    assert_eq!(
        conditions(&status)[3..5],
        ["RingConverged=True (Converged)", "Degraded=True (NodesMissing)"]
    );
    assert_eq!(
        status.conditions[4].message,
        "from 3 to 4 nodes; 3 of 4 nodes go on without the others; waits for simple-web-3 (Unschedulable: 0/3 nodes are \
         available) to start."
    );
}

#[test]
fn missing_nodes_are_missing_until_the_operation_gets_on() {
    let mut world = World::steady(2);
    world.room = 3;
    world.edit(|spec| spec.nodes = 4);
    (0..8).for_each(|_| drop(world.round()));
    let began = report(&world, None, 0);
    // A new operator has waited for nobody yet, and one that comes again is new.
    world.nodes.iter_mut().for_each(|node| node.silent_ticks = 0);
    let lasting = report(&world, Some(&began), 100);
    assert_eq!(conditions(&lasting)[4], "Degraded=True (NodesMissing)");
    assert_eq!(conditions(&report(&world, None, 100))[4], "Degraded=False (AsExpected)");
    world.room = 4;
    (0..8).for_each(|_| drop(world.round()));
    let done = report(&world, Some(&lasting), 200);
    assert_eq!(conditions(&done)[4], "Degraded=False (AsExpected)");
}

#[test]
fn an_operation_whose_times_an_older_operator_did_not_write_is_timed_from_now_on() {
    let mut world = World::steady(2);
    world.room = 2;
    world.edit(|spec| spec.nodes = 3);
    world.round();
    let mut older = report(&world, None, 100);
    let operation = older.operation.as_mut().unwrap();
    (operation.started_at, operation.progressed_at) = (None, None);
    let timed = report(&world, Some(&older), 101);
    let operation = timed.operation.as_ref().unwrap();
    assert_eq!((&operation.started_at, &operation.progressed_at), (&Some(at(101)), &Some(at(101))));
    assert_eq!(report(&world, Some(&timed), 102), timed);
}

#[test]
fn a_name_that_somebody_else_has_stalls_and_a_call_that_fails_is_in_progress() {
    let world = World::steady(1);
    let plan = world.plan();
    let with = |trouble: &Trouble| {
        status(
            Outcome { trouble: Some(trouble), ..Outcome::of(&plan) },
            &world.observe(),
            None,
            &at(0),
        )
    };
    let conflict = with(&Trouble::NameConflict("Service shop/web is somebody else's".into()));
    assert_eq!(
        conditions(&conflict)[..3],
        ["Ready=True (Serving)", "Reconciling=False (NameConflict)", "Stalled=True (NameConflict)"]
    );
    assert_eq!(conflict.conditions[2].message, "Service shop/web is somebody else's");
    let ending = with(&Trouble::Ending("Service shop/web is still being deleted".into()));
    assert_eq!(
        conditions(&ending)[1..3],
        ["Reconciling=True (OperationInProgress)", "Stalled=False (AsExpected)"]
    );
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
    let status = status(
        Outcome { trouble: Some(&fails), ..Outcome::of(&plan) },
        &world.observe(),
        None,
        &at(0),
    );
    assert_eq!(
        status.operation.unwrap().message,
        "from 2 to 3 nodes; waits for simple-web-2 (Unschedulable: 0/3 nodes are available) to start; a quota is exceeded"
    );
}

#[test]
fn what_was_lost_is_a_condition_for_a_day_and_stays_in_the_status() {
    let world = World::steady(2);
    let lost = |entries| LostEntries {
        at: at(100),
        nodes: vec!["simple-web-1".to_owned(), "simple-web-2".to_owned()],
        slots: 8192,
        entries,
        asked_at: entries.map(|_| at(93)),
    };
    let told = |entries, second| {
        let observed = Observed { lost: Some(lost(entries)), ..world.observe() };
        let status = status(Outcome::of(&world.plan()), &observed, None, &at(second));
        assert_eq!(status.lost_entries, Some(lost(entries)));
        assert_eq!(conditions(&status)[0], "Ready=True (Serving)");
        assert_eq!(conditions(&status)[4], "Degraded=False (AsExpected)");
        (conditions(&status)[6].clone(), status.conditions[6].message.clone())
    };
    let begins = "At 1970-01-01T00:01:40Z simple-web-1, simple-web-2 ended with 8192 slots and";
    for (entries, held) in [
        (Some(1234), "1234 entries when asked 7 s before"),
        (Some(0), "no entries when asked 7 s before"),
        (None, "an unknown number of entries"),
    ] {
        let expected = ("EntriesLost=True (NodesEnded)".to_owned(), format!("{begins} {held}."));
        assert_eq!(told(entries, 100), expected);
        assert_eq!(told(entries, 86_499), expected);
    }
    assert_eq!(told(None, 86_500), ("EntriesLost=False (AsExpected)".to_owned(), String::new()));
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
    while world.round_of(1).poll_soon() {
        rounds += 1;
        let next = report(&world, distinct.last(), rounds);
        if distinct.last() != Some(&next) {
            distinct.push(next);
        }
    }
    assert!(rounds > 50, "slots moved for {rounds} rounds only");
    assert!(distinct.len() < 14, "{} reports in {rounds} rounds", distinct.len());
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
                prop_assert_eq!(types, condition::ALWAYS);
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
