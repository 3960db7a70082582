//! How many evictions the budget allows while the operator works, as Kubernetes counts: healthy nodes above it.

use ringcache_api::MemberState;
use ringcache_operator_core::Phase;
use ringcache_operator_core::budget::{all_available, min_available};

use crate::world::{World, spec};

/// The evictions that are allowed after each round, until there is nothing left to do. None is while a node is on its way out.
fn allowed(world: &mut World) -> Vec<usize> {
    let mut allowed = Vec::new();
    for _ in 0..300 {
        let (observed, plan) = (world.observe(), world.plan());
        world.execute(&plan, usize::MAX);
        let healthy = world.nodes.iter().filter(|node| node.phase == Phase::Running).count();
        let now = healthy.saturating_sub(min_available(&observed, &plan));
        let is_going = world.nodes.iter().any(|node| node.phase == Phase::Stopping)
            || world
                .stored
                .iter()
                .flat_map(|d| &d.members)
                .any(|m| m.state == MemberState::Leaving);
        assert!(!is_going || now == 0, "a second one could be evicted: {plan}");
        assert!(now <= 1, "{now} could be evicted at once: {plan}");
        allowed.push(now);
        if !plan.poll_soon() {
            return allowed;
        }
        world.tick(0);
    }
    panic!("does not settle");
}

#[test]
fn at_rest_one_node_may_be_evicted_the_only_one_too() {
    for nodes in [1, 2, 3, 7] {
        assert_eq!(allowed(&mut World::steady(nodes)), [1], "{nodes} nodes");
    }
}

#[test]
fn while_an_evicted_node_is_on_its_way_out_no_second_one_may_be_evicted() {
    for nodes in [1, 2, 3] {
        let mut world = World::steady(nodes);
        world.terminate(0, 30);
        let allowed = allowed(&mut world);
        assert!(allowed.len() > 30, "it ends when it wants to: {allowed:?}");
        assert_eq!(allowed.iter().sum::<usize>(), 1, "only when it has ended: {allowed:?}");
    }
}

#[test]
fn between_an_eviction_and_the_next_look_no_second_one_may_be_evicted() {
    let mut world = World::steady(3);
    let min = min_available(&world.observe(), &world.plan());
    world.terminate(0, 5);
    let healthy = world.nodes.iter().filter(|node| node.phase == Phase::Running).count();
    assert_eq!(healthy, min, "Kubernetes counts one less by itself");
}

#[test]
fn while_nodes_are_replaced_or_taken_away_none_of_them_may_be_evicted() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 4] = [
        ("scale in", |world| world.edit(|spec| spec.nodes = 2)),
        ("scale out", |world| world.edit(|spec| spec.nodes = 6)),
        ("roll", |world| world.program = "2.0".into()),
        ("drain", |world| world.nodes[1].draining = true),
    ];
    for (name, change) in changes {
        let mut world = World::steady(4);
        change(&mut world);
        assert_eq!(allowed(&mut world).last(), Some(&1), "{name}");
    }
}

#[test]
fn a_node_that_cannot_start_holds_no_eviction_back() {
    let mut world = World::steady(3);
    world.room = world.nodes.len();
    world.nodes[1].draining = true;
    for _ in 0..3 {
        world.round();
    }
    assert_eq!(world.nodes.len(), 4, "its replacement waits for room");
    assert_eq!(min_available(&world.observe(), &world.plan()), 2);
}

#[test]
fn with_evictions_blocked_every_node_is_needed_and_so_are_those_to_come() {
    assert_eq!(all_available(&World::new(spec(3, "")).observe(), 3), 3);
    let mut world = World::steady(5);
    assert_eq!(all_available(&world.observe(), 2), 5, "before they have handed over");
    world.terminate(0, 9);
    assert_eq!(all_available(&world.observe(), 2), 4, "one that was told to end is not asked");
}
