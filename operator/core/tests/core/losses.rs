//! What is told to be lost when nodes end.

use ringcache_operator_core::losses::loss;

use crate::world::World;

/// The names of those who are gone by the next document, and how many slots were lost with them.
fn lost(world: &World) -> Option<(Vec<String>, usize)> {
    let (observed, plan) = (world.observe(), world.plan());
    let loss = loss(&observed, plan.document()?)?;
    Some((loss.members.iter().map(|member| member.name.clone()).collect(), loss.slots))
}

#[test]
fn a_node_that_dies_loses_the_slots_that_it_held() {
    let mut world = World::steady(2);
    world.node("simple-web-1").die();
    assert_eq!(lost(&world), Some((vec!["simple-web-1".to_owned()], 8192)));
}

#[test]
fn a_node_that_ends_before_it_has_handed_over_everything_loses_the_rest() {
    let mut world = World::steady(2);
    world.terminate(1, 4);
    let mut losses = Vec::new();
    for _ in 0..20 {
        losses.extend(lost(&world));
        world.round();
    }
    let [(names, slots)] = losses.as_slice() else { panic!("{losses:?}") };
    assert_eq!(names, &["simple-web-1".to_owned()]);
    assert!((1..8192).contains(slots), "{slots}");
}

#[test]
fn a_node_that_has_handed_over_everything_loses_nothing_even_if_it_is_still_a_member() {
    let mut world = World::steady(2);
    world.terminate(1, 100);
    while world.shares()["simple-web-1"] > 0 {
        world.round();
    }
    world.node("simple-web-1").die();
    assert_eq!(lost(&world), None);
}

#[test]
fn what_a_silent_node_may_have_is_not_lost() {
    let mut world = World::steady(3);
    world.node("simple-web-1").die();
    world.node("simple-web-2").silent = true;
    let (names, slots) = lost(&world).unwrap();
    assert_eq!(names, ["simple-web-1"]);
    assert!((5461..=5462).contains(&slots), "{slots}");
}
