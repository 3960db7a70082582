//! What is foretold is what then happens.

use std::collections::BTreeSet;

use ringcache_operator_core::{Forecast, Operation, Plan, Step, forecast};

use crate::world::{World, spec};

/// What the planner foretells in a world, and the plans with steps that it then makes there.
fn both(world: &mut World) -> (Forecast, Vec<Plan<ringcache_operator_core::Checked>>) {
    let foretold = forecast(&world.intent(), &world.observe()).unwrap();
    let mut made = Vec::new();
    loop {
        let plan = world.round();
        let goes_on = plan.poll_soon();
        made.push(plan);
        if !goes_on {
            break;
        }
        assert!(made.len() < 300, "it does not end");
    }
    made.retain(|plan| !plan.steps().is_empty());
    (foretold, made)
}

/// Which nodes are started and stopped by the plans.
fn came_and_went<S>(plans: &[Plan<S>]) -> (BTreeSet<String>, BTreeSet<String>) {
    let steps = || plans.iter().flat_map(Plan::steps);
    let started = steps().filter_map(|step| match step {
        Step::StartNode { name, .. } => Some(name.clone()),
        _ => None,
    });
    let stopped = steps().filter_map(|step| match step {
        Step::StopNode { name, .. } => Some(name.clone()),
        _ => None,
    });
    (started.collect(), stopped.collect())
}

fn comes_true(world: &mut World) -> Forecast {
    let moved = world.moved;
    let (foretold, made) = both(world);
    assert_eq!(came_and_went(&foretold.plans), came_and_went(&made));
    let members = world.stored.iter().flat_map(|document| &document.members);
    let members: Vec<&String> = members.map(|member| &member.name).collect();
    assert_eq!(foretold.members.iter().collect::<Vec<_>>(), members);
    assert_eq!(*foretold.end.operation(), Operation::Steady);
    assert_eq!(foretold.moved as u64, world.moved - moved, "slots that change hands");
    foretold
}

#[test]
fn more_nodes_fewer_nodes_and_other_nodes_come_as_foretold() {
    let mut world = World::steady(3);
    world.edit(|spec| spec.nodes = 5);
    assert_eq!(comes_true(&mut world).members.len(), 5);
    world.edit(|spec| spec.nodes = 2);
    assert_eq!(comes_true(&mut world).members.len(), 2);
    world.program = "1.1".into();
    let (started, stopped) = came_and_went(&comes_true(&mut world).plans);
    assert_eq!((started.len(), stopped.len()), (2, 2));
}

#[test]
fn a_long_roll_is_foretold_to_its_end() {
    let mut world = World::steady(30);
    world.program = "1.1".into();
    let foretold = forecast(&world.intent(), &world.observe()).unwrap();
    assert_eq!(*foretold.end.operation(), Operation::Steady);
    assert_eq!(foretold.members.len(), 30);
}

#[test]
fn nothing_is_foretold_where_nothing_is_to_be_done_and_a_new_cluster_begins_with_its_nodes() {
    let world = World::steady(3);
    let foretold = forecast(&world.intent(), &world.observe()).unwrap();
    assert_eq!((foretold.plans.len(), foretold.moved), (0, 0));
    let mut world = World::new(spec(3, ""));
    let (foretold, made) = both(&mut world);
    assert_eq!(came_and_went(&foretold.plans), came_and_went(&made));
    assert_eq!(foretold.members.len(), 3);
    assert_eq!(foretold.moved, 0, "what nobody owned is adopted empty");
}

#[test]
fn the_rest_is_foretold_in_the_middle_of_an_operation() {
    let mut world = World::steady(2);
    world.edit(|spec| spec.nodes = 5);
    for _ in 0..40 {
        let foretold = forecast(&world.intent(), &world.observe()).unwrap();
        assert_eq!(*foretold.end.operation(), Operation::Steady, "{}", world.plan());
        assert_eq!(foretold.members.len(), 5, "{}", world.plan());
        world.round();
    }
    assert_eq!(*world.plan().operation(), Operation::Steady);
    world.program = "1.1".into();
    for _ in 0..80 {
        let foretold = forecast(&world.intent(), &world.observe()).unwrap();
        assert_eq!(*foretold.end.operation(), Operation::Steady, "{}", world.plan());
        world.round();
    }
    assert_eq!(*world.plan().operation(), Operation::Steady);
}

#[test]
fn what_died_with_a_node_is_not_told_as_moved() {
    let mut world = World::steady(3);
    let gone = world.nodes[1].uid.clone();
    world.bury(|_, node| node.uid == gone);
    let foretold = forecast(&world.intent(), &world.observe()).unwrap();
    assert_eq!(*foretold.end.operation(), Operation::Steady);
    assert!(foretold.moved < 16_384 / 2, "{}", foretold.moved);
}

#[test]
fn what_a_silent_node_holds_up_is_foretold_up_to_there() {
    let mut world = World::steady(3);
    world.node("simple-web-1").silent = true;
    world.edit(|spec| spec.nodes = 2);
    let foretold = forecast(&world.intent(), &world.observe()).unwrap();
    assert_eq!(foretold.end.operation().kind(), "ScaleIn");
    assert!(!foretold.end.notes().is_empty(), "it says what it waits for");
}
