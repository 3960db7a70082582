//! What is told to be lost when nodes end.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use ringcache_operator_core::losses::{Holdings, in_words, loss};

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

#[test]
fn entries_are_told_as_of_the_last_answer_although_the_node_has_vanished_since() {
    let mut world = World::steady(2);
    let mut before = world.observe();
    before.nodes[1].state.as_mut().unwrap().stats.entries = 1234;
    world.node("simple-web-1").die();
    let (after, plan) = (world.observe(), world.plan());
    let next = plan.document().unwrap();
    let tell = |holdings: &Holdings| {
        let loss = loss(&after, next).unwrap();
        in_words(&holdings.lost(&loss, Time(Timestamp::UNIX_EPOCH)))
    };
    let unknown = "simple-web-1 ended with 8192 slots and an unknown number of entries";
    let mut holdings = Holdings::default();
    assert_eq!(tell(&holdings), unknown);
    let at = |seconds| Time(Timestamp::from_second(seconds).unwrap());
    holdings.note(&before, &at(-200));
    holdings.note(&after, &at(-100));
    let known = "simple-web-1 ended with 8192 slots and 1234 entries when asked 3 min before";
    assert_eq!(tell(&holdings), known);
    let mut later = after.clone();
    later.document = Some(next.clone());
    holdings.note(&later, &at(0));
    assert_eq!(tell(&holdings), unknown, "what is told is forgotten");
}
