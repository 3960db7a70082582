//! What users, hosts and nodes do that nobody should.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use ringcache_operator_core::budget::min_available;
use ringcache_operator_core::{Outcome, Phase, check, plan, status};

use crate::world::World;

/// A roll is stopped by `paused: true`; then somebody makes a mistake in another field, and the roll goes on.
#[test]
fn a_mistake_in_a_paused_spec_does_not_let_the_roll_go_on() {
    let mut world = World::steady(3);
    world.edit(|spec| spec.memory.0 = "512Mi".into());
    (0..4).for_each(|_| drop(world.round()));
    world.edit(|spec| spec.paused = true);
    world.settle();
    let outdated = |world: &World| {
        let nodes = world.observe().nodes;
        nodes.iter().filter(|node| node.template.memory_bytes == 256 << 20).count()
    };
    assert_eq!(outdated(&world), 2);
    world.edit(|spec| spec.nodes = 0);
    (0..100).for_each(|_| drop(world.round()));
    assert_eq!(outdated(&world), 2, "`paused` is true all the time");
}

/// A pod was bound to a host that died before its container ran; Kubernetes deletes it after five minutes, and its object stays until the
/// host is back. Nothing of the ring depends on it.
#[test]
fn what_is_left_of_a_node_that_never_ran_holds_no_drain_back() {
    let mut world = World::steady(3);
    world.room = 3;
    world.edit(|spec| spec.nodes = 4);
    (0..6).for_each(|_| drop(world.round()));
    assert_eq!(world.nodes[3].phase, Phase::Pending);
    world.terminate(3, 1_000_000);
    world.edit(|spec| spec.nodes = 3);
    world.room = usize::MAX;
    world.nodes[1].draining = true;
    for _ in 0..300 {
        world.round();
    }
    let left: Vec<&str> =
        world.nodes.iter().filter(|node| node.draining).map(|node| node.name.as_str()).collect();
    assert_eq!(left, [""; 0], "fifty minutes after the cordon: {}", world.plan());
}

/// A node has handed everything over and everybody has forgotten it; its host dies before its pod has gone.
#[test]
fn what_is_left_of_a_node_that_has_handed_over_holds_no_drain_back() {
    let mut world = World::steady(4);
    world.terminate(3, 1_000_000);
    world.edit(|spec| spec.nodes = 3);
    (0..30).for_each(|_| drop(world.round()));
    let gone = world.nodes[3].name.clone();
    assert!(world.stored.as_ref().unwrap().members.iter().all(|member| member.name != gone));
    // Its host is dead: it does not answer any more, and no member names it as one that it listens for.
    world.nodes[3].silent = true;
    world.nodes[1].draining = true;
    for _ in 0..300 {
        world.round();
    }
    let observed = world.observe();
    let is_drained = world.nodes.iter().all(|node| !node.draining);
    let min = min_available(&observed, &world.plan());
    assert!(is_drained, "not drained, and {min} of 3 must stay available: {}", world.plan());
}

/// A volume that does not exist, or a network plugin that hangs: the pod is `ContainerCreating` for ever, for which Kubernetes has no words
/// in the pod's status.
#[test]
fn a_node_whose_container_is_never_created_holds_no_eviction_back_and_is_told_of() {
    let mut world = World::steady(3);
    world.room = 3;
    world.edit(|spec| spec.nodes = 4);
    (0..6).for_each(|_| drop(world.round()));
    let mut observed = world.observe();
    let stuck = observed.nodes.iter_mut().find(|node| node.phase == Phase::Pending).unwrap();
    stuck.trouble = None;
    stuck.silent_seconds = 3600;
    let intent = world.intent();
    let plan = check(plan(&intent, &observed), &intent, &observed).unwrap();
    let now = Time(Timestamp::from_second(7200).unwrap());
    let status = status(Outcome::of(&plan), &observed, None, &now);
    println!("{}", status.operation.unwrap().message);
    assert_eq!(min_available(&observed, &plan), 2, "of three that serve one may go");
}

/// A node says what cannot be.
#[test]
fn a_node_that_claims_the_last_epoch_there_is_ends_no_reconcile() {
    let world = World::steady(3);
    let mut observed = world.observe();
    observed.nodes[0].state.as_mut().unwrap().epoch = u64::MAX;
    let intent = world.intent();
    let checked = check(plan(&intent, &observed), &intent, &observed);
    assert!(checked.is_ok(), "{checked:?}");
}

/// The same with sizes.
#[test]
fn a_node_that_claims_more_bytes_than_there_are_ends_no_reconcile() {
    let mut world = World::steady(3);
    world.edit(|spec| spec.nodes = 2);
    let mut observed = world.observe();
    observed.nodes[0].state.as_mut().unwrap().stats.used_bytes = u64::MAX;
    observed.nodes[1].state.as_mut().unwrap().stats.used_bytes = 5;
    plan(&world.intent(), &observed);
}
