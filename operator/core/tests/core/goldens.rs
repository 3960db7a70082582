//! What the operator does, in its own words, for each operation: all plans with steps until there is nothing left to do.
//!
//! `INSTA_UPDATE=always cargo test -p ringcache-operator-core` rewrites the files in `tests/plan/`; read their diff.

use insta::{assert_snapshot, with_settings};
use ringcache_api::admin::Sealed;
use ringcache_api::{CacheClusterSpec, Incarnation, MemberState, Ttl};
use ringcache_operator_core::{
    Held, HeldBack, Note, Observed, Operation, Phase, Place, Plan, as_it_is, in_force,
};
use ringcache_ring::SlotSet;

use crate::node::Node;
use crate::world::{BAD_PROGRAM, World, checked, spec};

fn check(name: &str, transcript: &str) {
    with_settings!({
        snapshot_path => "../plan",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        assert_snapshot!(name, transcript);
    });
}

#[test]
fn a_new_cluster_starts_its_nodes_and_then_writes_the_first_document() {
    let mut world = World::new(spec(3, ""));
    world.settle();
    check("create", &world.transcript.join("\n"));
}

#[test]
fn a_program_that_cannot_start_is_corrected_before_there_is_a_ring() {
    let mut world = World::new(spec(3, ""));
    world.program = BAD_PROGRAM.into();
    for _ in 0..3 {
        world.round();
    }
    world.program = "1.0".into();
    world.settle();
    check("create_corrected", &world.transcript.join("\n"));
}

#[test]
fn nodes_that_never_started_are_given_up_when_those_that_run_suffice() {
    let mut world = World::new(spec(8, ""));
    world.round();
    world.nodes[2..].iter_mut().for_each(|node| (node.stuck, node.phase) = (true, Phase::Pending));
    world.room = 2;
    world.round();
    world.edit(|spec| spec.nodes = 2);
    world.settle();
    check("create_fewer", &world.transcript.join("\n"));
}

#[test]
fn nodes_that_run_found_the_ring_when_another_does_not_start_for_long() {
    let mut world = World::new(spec(3, ""));
    world.room = 2;
    (0..6).for_each(|_| drop(world.round()));
    assert_eq!(world.observe().served(), SlotSet::all());
    assert!(matches!(world.plan().operation(), Operation::ScaleOut { from: 2, to: 3 }));
    world.room = 3;
    world.settle();
    check("create_partly", &world.transcript.join("\n"));
}

#[test]
fn new_nodes_that_run_join_when_others_do_not_start_for_long() {
    let mut world = World::steady(3);
    world.room = 4;
    world.edit(|spec| spec.nodes = 6);
    (0..12).for_each(|_| drop(world.round()));
    let members = &world.stored.as_ref().unwrap().members;
    assert_eq!(members.len(), 4);
    assert!(world.observe().is_converged());
    let plan = world.plan();
    assert_eq!(plan.steps(), []);
    check("scale_out_partly", &format!("{}\n{plan}", world.transcript.join("\n")));
}

#[test]
fn new_nodes_that_run_join_at_once_when_the_platform_refuses_to_start_others() {
    let mut world = World::steady(3);
    world.edit(|spec| spec.nodes = 5);
    // A quota: the second start fails.
    let plan = world.plan();
    world.execute(&plan, 1);
    world.tick(0);
    let mut observed = world.observe();
    assert_eq!(checked(&world.intent(), &observed).document(), None);
    observed.starts_fail = true;
    let plan = checked(&world.intent(), &observed);
    assert_eq!(plan.document().unwrap().members.len(), 4);
}

#[test]
fn a_lost_document_is_written_again_while_a_node_cannot_start() {
    let mut world = World::steady(2);
    world.program = BAD_PROGRAM.into();
    for _ in 0..2 {
        world.round();
    }
    assert_eq!(world.nodes.len(), 3);
    world.stored = None;
    world.round();
    assert!(world.stored.is_some());
}

#[test]
fn settings_go_to_new_nodes_with_their_start_and_to_running_ones_live() {
    let mut world = World::new(spec(1, "  ttl: {defaultSeconds: 300, jitterPercent: 20}"));
    world.settle();
    world.edit(|spec| spec.ttl.jitter_percent = 0);
    world.settle();
    check("settings", &world.transcript.join("\n"));
}

#[test]
fn scaling_out_waits_for_all_new_nodes_and_admits_them_at_once() {
    let mut world = World::steady(3);
    world.edit(|spec| spec.nodes = 5);
    world.settle();
    check("scale_out", &world.transcript.join("\n"));
}

#[test]
fn scaling_in_drains_before_it_stops() {
    let mut world = World::steady(5);
    world.edit(|spec| spec.nodes = 2);
    world.settle();
    check("scale_in", &world.transcript.join("\n"));
}

fn place(zone: &str, host: &str) -> Place {
    Place { zone: Some(zone.to_owned()), host: Some(host.to_owned()) }
}

#[test]
fn scaling_in_takes_nodes_from_the_zone_that_has_most_of_them() {
    let mut world = World::steady(5);
    let zones = [("x", "a"), ("x", "b"), ("x", "c"), ("y", "d"), ("y", "d")];
    for (node, (zone, host)) in world.nodes.iter_mut().zip(zones) {
        node.place = place(zone, host);
    }
    world.edit(|spec| spec.nodes = 4);
    world.settle();
    let left: Vec<&str> = world.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(left, ["simple-web-0", "simple-web-1", "simple-web-3", "simple-web-4"]);
}

/// A host that is full cannot take a new node before one of its own has gone, and new nodes that must be spread wait for it.
#[test]
fn a_roll_makes_room_where_there_are_fewest_new_nodes() {
    let mut world = World::steady(4);
    for (node, host) in world.nodes.iter_mut().zip(["a", "b", "a", "b"]) {
        node.place = place("x", host);
    }
    world.edit(|spec| spec.memory.0 = "512Mi".into());
    while world.nodes.len() < 5 {
        world.round();
    }
    world.nodes[4].place = place("x", "a");
    let leaving = loop {
        world.round();
        let members = &world.stored.as_ref().unwrap().members;
        if let Some(leaving) = members.iter().find(|m| m.state == MemberState::Leaving) {
            break leaving.name.clone();
        }
    };
    assert_eq!(leaving, "simple-web-1");
}

#[test]
fn scaling_in_takes_nodes_from_the_host_that_has_most_of_them() {
    let mut world = World::steady(5);
    for (node, host) in world.nodes.iter_mut().zip(["a", "a", "a", "b", "c"]) {
        node.place = place("x", host);
    }
    world.edit(|spec| spec.nodes = 3);
    world.settle();
    let left: Vec<&str> = world.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(left, ["simple-web-0", "simple-web-3", "simple-web-4"]);
}

#[test]
fn a_cancelled_scale_in_takes_the_leaving_nodes_back() {
    let mut world = World::steady(4);
    world.edit(|spec| spec.nodes = 2);
    world.round();
    world.edit(|spec| spec.nodes = 4);
    world.settle();
    check("cancelled_scale_in", &world.transcript.join("\n"));
}

#[test]
fn another_memory_replaces_the_nodes_one_by_one() {
    let mut world = World::steady(3);
    world.edit(|spec| spec.memory.0 = "512Mi".into());
    world.settle();
    check("roll", &world.transcript.join("\n"));
}

#[test]
fn a_dead_node_is_forgotten_at_once_and_replaced() {
    let mut world = World::steady(3);
    world.node("simple-web-1").die();
    world.settle();
    check("repair", &world.transcript.join("\n"));
}

#[test]
fn a_restarted_process_is_another_member() {
    let mut world = World::steady(3);
    world.node("simple-web-1").restart();
    world.settle();
    check("repair_restarted", &world.transcript.join("\n"));
}

#[test]
fn a_surge_that_dies_gives_the_replaced_node_its_place_back() {
    let mut world = World::steady(2);
    world.program = "1.1".into();
    while world.observe().ring().is_none_or(|ring| ring.members.len() < 3) {
        world.round();
    }
    world.node("simple-web-2").die();
    for _ in 0..2 {
        world.round();
    }
    check("repair_surge", &world.transcript.join("\n"));
}

#[test]
fn a_cluster_that_lost_everything_starts_again_above_all_epochs() {
    let mut world = World::steady(2);
    world.nodes.iter_mut().for_each(Node::die);
    world.settle();
    check("repair_everything", &world.transcript.join("\n"));
}

#[test]
fn a_node_told_to_end_by_somebody_else_hands_over_first() {
    let mut world = World::steady(3);
    world.terminate(0, 20);
    world.settle();
    check("terminated", &world.transcript.join("\n"));
}

#[test]
fn a_lost_document_is_written_again_from_what_the_nodes_own() {
    let mut world = World::steady(3);
    world.stored = None;
    world.settle();
    check("lost_document", &world.transcript.join("\n"));
}

#[test]
fn a_lost_document_is_not_guessed_while_a_node_does_not_answer() {
    let mut world = World::steady(3);
    world.stored = None;
    world.node("simple-web-2").silent = true;
    check("lost_document_silent", &world.plan().to_string());
}

#[test]
fn a_lost_document_is_written_again_with_the_dead_that_somebody_waits_for() {
    let world = World::steady(2);
    let mut observed = world.observe();
    observed.document = None;
    let dead = Incarnation::new("u9", "0");
    let state = observed.nodes[0].state.as_mut().unwrap();
    state.ownership.sealed = vec![Sealed { slots: vec![(0, 7)], to: dead.clone() }];
    let plan = checked(&world.intent(), &observed);
    assert!(plan.document().unwrap().gone.contains(&dead));
}

#[test]
fn deletion_ends_all_nodes_whatever_they_own() {
    let mut world = World::steady(2);
    world.delete();
    world.round();
    world.round();
    assert!(world.nodes.is_empty());
    check("delete", &world.transcript.join("\n"));
}

#[test]
fn a_paused_cluster_is_repaired_as_its_last_spec_wants_it() {
    let mut world = World::steady(3);
    world.edit(|spec| (spec.nodes, spec.paused) = (5, true));
    world.settle();
    assert_eq!(world.transcript, [""; 0], "changes wait");
    world.node("simple-web-1").die();
    world.settle();
    check("pause", &world.transcript.join("\n"));
    assert_eq!(world.nodes.len(), 3);
    world.edit(|spec| spec.paused = false);
    world.settle();
    assert_eq!(world.nodes.len(), 5);
}

#[test]
fn a_pause_stops_a_roll_after_the_node_at_hand_and_drains_go_on() {
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
    let name = world.nodes.iter().find(|node| node.name != "simple-web-3").unwrap().name.clone();
    world.node(&name).draining = true;
    world.settle();
    assert_eq!((world.nodes.len(), outdated(&world)), (3, 1));
    world.edit(|spec| spec.paused = false);
    world.settle();
    assert_eq!(outdated(&world), 0);
}

#[test]
fn a_cluster_whose_spec_has_become_invalid_is_repaired_and_drained() {
    let mut world = World::steady(3);
    world.edit(|spec| (spec.nodes, spec.memory.0) = (0, "1Ki".into()));
    world.node("simple-web-1").die();
    world.node("simple-web-2").draining = true;
    world.settle();
    assert!(world.observe().is_converged());
    let drained = |node: &Node| !node.draining && node.phase == Phase::Running;
    assert_eq!(world.nodes.iter().filter(|node| drained(node)).count(), 3);
}

#[test]
fn a_spec_that_a_later_rule_forbids_is_still_read() {
    let mut world = World::steady(3);
    // As if a rule had come that allows no such jitter: the last spec breaks it as well.
    world.last = Some(CacheClusterSpec {
        ttl: Ttl { default_seconds: 60, jitter_percent: 95 },
        ..world.cluster.spec.clone()
    });
    world.cluster.spec.nodes = 0;
    let in_force = world.in_force();
    assert_eq!((in_force.intent.nodes, in_force.intent.settings.ttl_jitter_percent), (3, 95));
    assert!(matches!(in_force.held, Some(Held::Invalid(_))));
}

#[test]
fn without_any_spec_to_go_by_nothing_is_planned() {
    let mut paused = spec(3, "  paused: true");
    assert_eq!(in_force(&paused, None), Err(Held::Paused(HeldBack::default())));
    paused.spec.nodes = 0;
    assert!(matches!(in_force(&paused, None), Err(Held::Both(..))));
    let nobody = Observed { nodes: Vec::new(), document: None, ..World::steady(1).observe() };
    assert!(
        as_it_is(&paused, Held::Paused(HeldBack::default()), &nobody).is_err(),
        "a new cluster waits"
    );
}

#[test]
fn deletion_goes_before_pause() {
    let mut world = World::steady(1);
    world.edit(|spec| spec.paused = true);
    world.delete();
    assert_eq!(*world.plan().operation(), Operation::Delete);
}

#[test]
fn with_nothing_to_do_nothing_is_done() {
    let plan = World::steady(3).plan();
    assert_eq!((plan.steps().len(), plan.notes().len(), plan.poll_soon()), (0, 0, false));
    check("steady", &plan.to_string());
}

#[test]
fn a_node_that_does_not_answer_is_waited_for_and_not_replaced() {
    let mut world = World::steady(3);
    world.node("simple-web-0").silent = true;
    let plan = world.plan();
    assert_eq!(plan.steps(), []);
    check("silent", &plan.to_string());
}

#[test]
fn a_scale_in_that_must_forget_entries_says_so_beforehand() {
    let mut world = World::steady(3);
    world.nodes.iter_mut().for_each(|node| node.used_bytes = 200 << 20);
    world.edit(|spec| spec.nodes = 2);
    let plan = world.plan();
    let warning = "2 nodes of 256Mi cannot hold the 600Mi stored now: the coldest entries will go";
    assert_eq!(plan.notes(), [Note::Text(warning.to_owned())]);
    world.nodes.iter_mut().for_each(|node| node.used_bytes = 512 * (1 << 20) / 3);
    assert_eq!(world.plan().notes(), []);
}

#[test]
fn surplus_nodes_that_never_took_part_go_at_once() {
    let mut world = World::new(spec(5, ""));
    world.round();
    world.tick(0);
    world.edit(|spec| spec.nodes = 2);
    world.settle();
    check("fewer_before_the_first_document", &world.transcript.join("\n"));
}

#[test]
fn the_same_observation_gives_the_same_plan_in_whatever_order() {
    let mut world = World::steady(5);
    world.node("simple-web-3").die();
    world.edit(|spec| spec.nodes = 3);
    let (intent, observed) = (world.intent(), world.observe());
    let plan = ringcache_operator_core::plan(&intent, &observed);
    let mut shuffled = observed.clone();
    shuffled.nodes.rotate_left(2);
    shuffled.nodes.swap(0, 1);
    assert_eq!(ringcache_operator_core::plan(&intent, &shuffled), plan);
    assert!(matches!(plan.operation(), Operation::Repair { .. }));
}

#[test]
fn names_of_new_nodes_are_the_lowest_free_ones() {
    let mut world = World::steady(3);
    world.edit(|spec| spec.nodes = 1);
    world.settle();
    world.edit(|spec| spec.nodes = 4);
    world.settle();
    let mut names: Vec<_> = world.nodes.iter().map(|node| node.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["simple-web-0", "simple-web-1", "simple-web-2", "simple-web-3"]);
}

#[test]
fn a_plan_is_serialised_with_everything_that_an_executor_needs() {
    let mut world = World::steady(1);
    world.edit(|spec| spec.nodes = 2);
    let plan: Plan<_> = world.plan();
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(
        json["steps"][0]["StartNode"],
        serde_json::json!({
            "name": "simple-web-1",
            "template": {"memoryBytes": 256 << 20, "program": "1.0", "pod": ""},
            "settings": {"ttlDefaultSeconds": 0, "ttlJitterPercent": 0},
        })
    );
    assert!(world.nodes.iter().all(|node| node.phase == Phase::Running));
}
