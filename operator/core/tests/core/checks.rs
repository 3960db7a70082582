//! The check refuses every kind of bad plan: good plans, each spoilt in one way, and plans that nobody should have made.

use ringcache_api::admin::{Sealed, Settings};
use ringcache_api::document::slot_ranges;
use ringcache_api::{Document, Incarnation, MemberState};
use ringcache_operator_core::{
    Draft, Observed, Operation, Phase, Plan, Step, Template, check, plan,
};

use crate::world::{World, spec};

/// What `check` says to these steps.
fn violations(world: &World, steps: Vec<Step>) -> Vec<String> {
    let plan: Plan<Draft> = Plan::new(Operation::Converge, steps, Vec::new());
    let found = check(plan, &world.intent(), &world.observe()).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(world: &World, steps: Vec<Step>, expected: &str) {
    let found = violations(world, steps);
    assert!(found.iter().any(|text| text == expected), "expected: {expected}\nfound: {found:#?}");
}

/// The plan that the planner makes, with its document spoilt and sealed again.
#[track_caller]
fn document_refused(world: &World, spoil: impl FnOnce(&mut Document), expected: &str) {
    let draft = plan(&world.intent(), &world.observe());
    assert_eq!(violations(world, draft.steps().to_vec()), [""; 0], "the good plan passes");
    let mut document = draft.document().expect("a plan with a document").clone();
    spoil(&mut document);
    refused(world, vec![Step::WriteDocument { document: document.sealed() }], expected);
}

fn stop(world: &World, name: &str) -> Vec<Step> {
    let node = world.nodes.iter().find(|node| node.name == name).unwrap();
    vec![Step::StopNode { name: name.into(), uid: node.uid.clone(), reason: "because".into() }]
}

fn start(name: &str) -> Step {
    let template = Template { memory_bytes: 256 << 20, program: "1.0".into(), pod: String::new() };
    Step::StartNode { name: name.into(), template, settings: Settings::default() }
}

/// A next document as an operator without the planner's care might write it.
fn next(world: &World, change: impl FnOnce(&mut Document)) -> Vec<Step> {
    let mut document = world.stored.clone().unwrap();
    document.epoch += 1;
    change(&mut document);
    vec![Step::WriteDocument { document: document.sealed() }]
}

/// A member that is leaving and has handed everything over; the document is about to forget it.
fn drained() -> World {
    let mut world = World::steady(3);
    world.edit(|spec| spec.nodes = 2);
    for _ in 0..20 {
        if world.shares()["simple-web-2"] == 0 {
            return world;
        }
        world.round();
    }
    panic!("simple-web-2 is not drained");
}

/// A member that is about to be declared gone.
fn bereaved() -> World {
    let mut world = World::steady(3);
    world.node("simple-web-1").die();
    world
}

#[test]
fn anything_but_stops_is_refused_while_deleting() {
    let mut world = World::steady(1);
    world.delete();
    let expected = "the cluster is being deleted, but the plan does more than end nodes";
    refused(&world, vec![start("simple-web-1")], expected);
    assert_eq!(violations(&world, stop(&world, "simple-web-0")), [""; 0]);
}

#[test]
fn steps_for_another_node_of_that_name_are_refused() {
    let world = World::steady(1);
    let (name, uid) = ("simple-web-0".to_owned(), "u9".to_owned());
    let expected = "`simple-web-0` with uid u9 does not exist";
    let reason = String::new();
    refused(
        &world,
        vec![Step::StopNode { name: name.clone(), uid: uid.clone(), reason }],
        expected,
    );
    let push = Step::PushDocument { name: name.clone(), uid: uid.clone(), epoch: 1 };
    refused(&world, vec![push], expected);
    refused(&world, vec![Step::Configure { name, uid, settings: Settings::default() }], expected);
}

#[test]
fn a_taken_name_is_refused() {
    let mut world = World::steady(2);
    refused(&world, vec![start("simple-web-1")], "the name `simple-web-1` is taken");
    let twice = vec![start("simple-web-7"), start("simple-web-7")];
    refused(&world, twice, "the name `simple-web-7` is taken");
    // Also by a member whose node is no more: clients still know it by that name.
    world.nodes.retain(|node| node.name != "simple-web-1");
    refused(&world, vec![start("simple-web-1")], "the name `simple-web-1` is taken");
}

#[test]
fn more_than_one_node_too_many_is_refused() {
    let world = World::steady(3);
    assert_eq!(violations(&world, vec![start("simple-web-3")]), [""; 0]);
    refused(
        &world,
        vec![start("simple-web-3"), start("simple-web-4")],
        "5 nodes would run; 3 are wanted, and one may come before another goes",
    );
}

#[test]
fn a_member_is_never_stopped_even_if_it_is_empty() {
    let world = World::steady(2);
    let expected = "`simple-web-0` must not be stopped: it is a member";
    refused(&world, stop(&world, "simple-web-0"), expected);
    let world = drained();
    let expected = "`simple-web-2` must not be stopped: it is a member";
    refused(&world, stop(&world, "simple-web-2"), expected);
}

#[test]
fn a_node_with_slots_is_never_stopped() {
    let mut world = World::steady(2);
    world.stored = None;
    let expected = "`simple-web-0` must not be stopped: it holds slots";
    refused(&world, stop(&world, "simple-web-0"), expected);
}

#[test]
fn a_node_is_not_stopped_before_everybody_has_forgotten_it() {
    let mut world = drained();
    let document = world.plan().document().unwrap().clone();
    world.stored = Some(document);
    let expected =
        "`simple-web-2` must not be stopped: not every member is known to have forgotten it";
    refused(&world, stop(&world, "simple-web-2"), expected);
    world.round();
    assert_eq!(violations(&world, stop(&world, "simple-web-2")), [""; 0]);
}

/// The same, but simple-web-0 waits for simple-web-2's answer about a slot.
fn waiting(world: &World) -> Observed {
    let mut observed = world.observe();
    let to = observed.nodes[2].state.as_ref().unwrap().incarnation.clone();
    let state = observed.nodes[0].state.as_mut().unwrap();
    state.ownership.sealed = vec![Sealed { slots: vec![(0, 0)], to }];
    observed
}

fn violations_while_waiting(world: &World, steps: Vec<Step>) -> Vec<String> {
    let plan = Plan::new(Operation::Converge, steps, Vec::new());
    let found = check(plan, &world.intent(), &waiting(world)).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_node_is_neither_forgotten_nor_stopped_while_another_waits_for_its_answer() {
    let mut world = drained();
    assert!(world.plan().document().is_some(), "it would be forgotten");
    assert_eq!(plan(&world.intent(), &waiting(&world)).document(), None);
    let forget = |document: &mut Document| document.members.retain(|m| m.name != "simple-web-2");
    assert_eq!(
        violations_while_waiting(&world, next(&world, forget)),
        [
            "`simple-web-2` is left out of the members: another node waits for its answer about a slot"
        ]
    );
    world.round();
    assert_eq!(
        violations_while_waiting(&world, stop(&world, "simple-web-2")),
        ["`simple-web-2` must not be stopped: another node waits for its answer about a slot"]
    );
}

#[test]
fn what_has_ended_can_always_be_cleared_away() {
    let mut world = World::steady(2);
    world.node("simple-web-0").die();
    assert_eq!(violations(&world, stop(&world, "simple-web-0")), [""; 0]);
}

#[test]
fn only_the_stored_document_is_pushed() {
    let world = World::steady(1);
    let (name, uid) = ("simple-web-0".to_owned(), world.nodes[0].uid.clone());
    let push = vec![Step::PushDocument { name, uid, epoch: 7 }];
    refused(&world, push, "epoch 7 is pushed to `simple-web-0`, but epoch 1 is stored");
}

#[test]
fn two_documents_in_a_plan_are_refused() {
    let world = bereaved();
    let draft = plan(&world.intent(), &world.observe());
    let mut steps = draft.steps().to_vec();
    steps.push(steps[0].clone());
    refused(&world, steps, "the plan writes 2 documents; at most one at a time");
}

#[test]
fn a_document_that_breaks_its_own_rules_is_refused() {
    let spoil = |document: &mut Document| document.slots[0].range.1 -= 1;
    let expected =
        "the ring document is inconsistent: slot range 8192-16383 where one from 8191 was due";
    document_refused(&bereaved(), spoil, expected);
}

#[test]
fn a_document_that_no_reader_would_take_is_refused() {
    let world = World::steady(2);
    let steps = next(&world, |document| {
        let owner = |slot| if slot % 2 == 0 { "simple-web-0" } else { "simple-web-1" };
        document.slots = slot_ranges(owner);
    });
    let found = violations(&world, steps);
    let expected = "bytes; at most 524288 are allowed";
    assert!(found.iter().any(|text| text.ends_with(expected)), "{found:?}");
}

#[test]
fn slots_of_a_leaving_member_are_refused() {
    let mut world = World::steady(2);
    world.edit(|spec| spec.nodes = 1);
    let spoil = |document: &mut Document| document.slots[0].owner = "simple-web-1".into();
    let expected = "the ring document is inconsistent: slots 0-16383 belong to `simple-web-1`, which is leaving";
    document_refused(&world, spoil, expected);
}

#[test]
fn a_checksum_of_something_else_is_refused() {
    let world = World::steady(2);
    let mut steps = next(&world, |_| {});
    let Step::WriteDocument { document } = &mut steps[0] else { unreachable!() };
    document.checksum = "sha256:00".into();
    refused(&world, steps, "the checksum is not that of the content");
}

#[test]
fn a_document_of_another_cluster_is_refused() {
    let spoil = |document: &mut Document| document.cluster.uid = "c2".into();
    document_refused(&bereaved(), spoil, "the document is of the cluster with uid c2");
}

#[test]
fn an_epoch_that_was_seen_is_refused() {
    let spoil = |document: &mut Document| document.epoch = 1;
    document_refused(&bereaved(), spoil, "epoch 1 is not above 1, which has been seen");
    // At a node, though not in the store.
    let mut world = bereaved();
    world.stored.as_mut().unwrap().epoch = 0;
    let spoil = |document: &mut Document| document.epoch = 1;
    document_refused(&world, spoil, "epoch 1 is not above 1, which has been seen");
}

#[test]
fn gone_without_proof_is_refused() {
    let mut world = bereaved();
    world.node("simple-web-0").silent = true;
    let alive = world.node("simple-web-0").incarnation();
    let spoil = |document: &mut Document| {
        document.gone.insert(alive);
    };
    document_refused(&world, spoil, "u1.0 is declared gone without proof");
}

#[test]
fn a_dead_member_is_refused() {
    let world = bereaved();
    let dead = world.stored.clone().unwrap().member("simple-web-1").unwrap().clone();
    let spoil = |document: &mut Document| document.members.push(dead);
    document_refused(&world, spoil, "u2.0 is gone and a member");
}

#[test]
fn gone_is_not_forgotten_before_everybody_knows() {
    let mut world = bereaved();
    world.round();
    // The first death is stored, but one member has not heard of it; now a second one dies.
    world.node("simple-web-0").silent = true;
    world.node("simple-web-2").die();
    let spoil = |document: &mut Document| {
        document.gone.remove(&Incarnation::new("u2", "0"));
    };
    let expected = "u2.0 is no longer declared gone, but somebody may still wait for its answer";
    document_refused(&world, spoil, expected);
}

#[test]
fn a_living_member_is_not_left_out() {
    let world = World::steady(2);
    let steps = next(&world, |document| {
        document.members.remove(1);
        document.slots.iter_mut().for_each(|range| range.owner = "simple-web-0".into());
    });
    refused(&world, steps.clone(), "`simple-web-1` is left out of the members: it was not leaving");
    refused(
        &world,
        steps,
        "`simple-web-1` owns slots, but is no member: nobody could take them over",
    );
}

#[test]
fn a_dead_member_is_not_left_out_without_saying_so() {
    let spoil = |document: &mut Document| document.gone.clear();
    let expected = "`simple-web-1` is left out of the members: it is dead, but not declared gone";
    document_refused(&bereaved(), spoil, expected);
}

#[test]
fn a_leaving_member_stays_until_it_is_known_to_be_empty() {
    let mut world = World::steady(3);
    world.edit(|spec| spec.nodes = 2);
    world.round();
    let forget = |document: &mut Document| document.members.retain(|m| m.name != "simple-web-2");
    refused(
        &world,
        next(&world, forget),
        "`simple-web-2` is left out of the members: it holds slots",
    );
    world.node("simple-web-2").silent = true;
    refused(
        &world,
        next(&world, forget),
        "`simple-web-2` is left out of the members: it does not answer",
    );
    let mut world = drained();
    assert_eq!(violations(&world, next(&world, forget)), [""; 0]);
    world.node("simple-web-0").silent = true;
    refused(
        &world,
        next(&world, forget),
        "`simple-web-2` is left out of the members: not every member has accepted that it leaves",
    );
}

#[test]
fn a_member_that_never_answered_is_refused() {
    let mut world = World::steady(1);
    world.edit(|spec| spec.nodes = 2);
    let steps = next(&world, |document| {
        let mut stranger = document.members[0].clone();
        (stranger.name, stranger.uid) = ("simple-web-1".into(), Incarnation::new("u9", "0"));
        document.members.push(stranger);
    });
    refused(&world, steps, "u9.0 becomes a member, but does not answer");
}

#[test]
fn without_a_document_nobody_who_is_silent_is_left_out() {
    let mut world = World::steady(2);
    world.node("simple-web-1").silent = true;
    let steps = next(&world, |document| {
        document.members.remove(1);
        document.slots.iter_mut().for_each(|range| range.owner = "simple-web-0".into());
    });
    world.stored = None;
    let expected = "`simple-web-1` owns slots, but is no member: nobody could take them over";
    refused(&world, steps, expected);
}

fn leave(document: &mut Document, names: &[&str]) {
    let stays = document.members.iter().find(|m| !names.contains(&m.name.as_str()));
    let heir = stays.unwrap().name.clone();
    for member in document.members.iter_mut().filter(|m| names.contains(&m.name.as_str())) {
        member.state = MemberState::Leaving;
    }
    for range in &mut document.slots {
        if names.contains(&range.owner.as_str()) {
            range.owner = heir.clone();
        }
    }
}

#[test]
fn only_surplus_members_start_to_leave() {
    let mut world = World::steady(4);
    world.edit(|spec| spec.nodes = 2);
    let two = next(&world, |document| leave(document, &["simple-web-2", "simple-web-3"]));
    assert_eq!(violations(&world, two), [""; 0]);
    let three = ["simple-web-1", "simple-web-2", "simple-web-3"];
    let three = next(&world, |document| leave(document, &three));
    refused(&world, three, "3 members would start to leave; 2 may");
}

#[test]
fn a_member_leaves_for_another_and_not_for_nobody() {
    let world = World::steady(3);
    let steps = next(&world, |document| leave(document, &["simple-web-2"]));
    refused(&world, steps, "1 members would start to leave; 0 may");
}

/// Three members, one of them out of date and a new node ready to take its place.
fn surged() -> World {
    let mut world = World::steady(3);
    world.program = "1.1".into();
    world.round();
    assert_eq!(world.nodes[3].phase, Phase::Running);
    world
}

#[test]
fn two_members_are_not_replaced_at_once() {
    let spoil = |document: &mut Document| leave(document, &["simple-web-0", "simple-web-1"]);
    document_refused(&surged(), spoil, "2 members would start to leave; 1 may");
}

#[test]
fn a_member_is_not_replaced_while_the_ring_is_not_converged() {
    let mut world = surged();
    let draft = plan(&world.intent(), &world.observe());
    world.node("simple-web-2").silent = true;
    let expected = "a member is replaced before the ring has converged";
    refused(&world, draft.steps().to_vec(), expected);
}

#[test]
fn a_good_plan_passes() {
    let mut world = World::new(spec(3, ""));
    for _ in 0..3 {
        let draft = plan(&world.intent(), &world.observe());
        assert_eq!(violations(&world, draft.steps().to_vec()), [""; 0]);
        world.round();
    }
}
