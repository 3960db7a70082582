//! Random histories of edits, faults and an operator that is slow and crashes: nothing is lost by a plan, all converges.

use proptest::prelude::*;
use proptest::sample::Index;
use ringcache_api::document::MAX_MEMBERS;
use ringcache_operator_core::Phase;
use ringcache_ring::{SLOTS, SlotSet, Target, optimal_moves};

use crate::world::{BAD_PROGRAM, World, spec};

#[derive(Clone, Copy, Debug)]
enum Event {
    /// The user wants another number of nodes.
    Nodes(i32),
    /// The user wants another memory or another program, maybe one that no host can start: a roll.
    Memory(u8),
    Program(u8),
    Jitter(u8),
    Paused(bool),
    /// `kill -9`: seen as ended, or as not existing any more.
    Kill(Index),
    Vanish(Index),
    /// Another incarnation in the same place.
    Restart(Index),
    /// Told to end by somebody else, with so many ticks of grace.
    Terminate(Index, u8),
    /// Ends by itself soon after its start, and rests for so many ticks.
    Crash(Index, u8),
    /// Its host is cut off, or back.
    CutOff(Index),
    Reconnect(Index),
    /// Its host is cordoned, or not any more.
    Cordon(Index, bool),
    /// There is room for so many nodes, or for any number of them.
    Room(Option<u8>),
    /// Does not answer the operator any more, or again.
    Silence(Index, bool),
    /// The store loses the document, or an older one is restored.
    LoseDocument,
    RestoreOldDocument,
    /// The operator observes, time passes, and it executes so many steps before it crashes.
    Run {
        late: u8,
        steps: u8,
        fate: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let run = (0..3_u8, 0..8_u8, any::<u64>());
    prop_oneof![
        12 => run.prop_map(|(late, steps, fate)| Event::Run { late, steps, fate }),
        3 => (1..7_i32).prop_map(Event::Nodes),
        1 => (0..3_u8).prop_map(Event::Memory),
        2 => (0..3_u8).prop_map(Event::Program),
        1 => (0..3_u8).prop_map(Event::Jitter),
        1 => any::<bool>().prop_map(Event::Paused),
        1 => any::<Index>().prop_map(Event::Kill),
        1 => any::<Index>().prop_map(Event::Vanish),
        1 => any::<Index>().prop_map(Event::Restart),
        1 => (any::<Index>(), 1..8_u8).prop_map(|(i, ticks)| Event::Terminate(i, ticks)),
        1 => (any::<Index>(), 1..12_u8).prop_map(|(i, ticks)| Event::Crash(i, ticks)),
        2 => any::<Index>().prop_map(Event::CutOff),
        1 => any::<Index>().prop_map(Event::Reconnect),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(i, on)| Event::Cordon(i, on)),
        1 => prop::option::of(0..7_u8).prop_map(Event::Room),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(i, silent)| Event::Silence(i, silent)),
        1 => Just(Event::LoseDocument),
        1 => Just(Event::RestoreOldDocument),
    ]
}

struct History {
    world: World,
    /// Documents as they were written, for restoring an old one.
    written: Vec<ringcache_api::Document>,
}

impl History {
    fn apply(&mut self, event: Event) {
        let world = &mut self.world;
        let chosen = match event {
            Event::Kill(i)
            | Event::Vanish(i)
            | Event::Restart(i)
            | Event::Terminate(i, _)
            | Event::Crash(i, _)
            | Event::CutOff(i)
            | Event::Reconnect(i)
            | Event::Cordon(i, _)
            | Event::Silence(i, _) => {
                if world.nodes.is_empty() {
                    return;
                }
                i.index(world.nodes.len())
            }
            _ => 0,
        };
        match event {
            Event::Nodes(nodes) => world.edit(|spec| spec.nodes = nodes),
            Event::Memory(step) => {
                world.edit(|spec| spec.memory.0 = format!("{}Mi", 64 << step));
            }
            Event::Program(2) => world.program = BAD_PROGRAM.into(),
            Event::Program(minor) => world.program = format!("1.{minor}"),
            Event::Jitter(step) => world.edit(|spec| {
                spec.ttl.default_seconds = 60;
                spec.ttl.jitter_percent = i32::from(step) * 10;
            }),
            Event::Paused(paused) => world.edit(|spec| spec.paused = paused),
            Event::Kill(_) => world.nodes[chosen].die(),
            Event::Vanish(_) => drop(world.nodes.remove(chosen)),
            Event::Restart(_) => world.nodes[chosen].restart(),
            Event::Terminate(_, ticks) => world.terminate(chosen, ticks.into()),
            Event::Silence(_, silent) => world.nodes[chosen].silent = silent,
            Event::Crash(_, ticks) => world.nodes[chosen].crash(ticks),
            Event::CutOff(_) => world.cut_off(chosen),
            Event::Reconnect(_) => world.reconnect(chosen),
            Event::Cordon(_, draining) => world.nodes[chosen].draining = draining,
            Event::Room(room) => world.room = room.map_or(usize::MAX, usize::from),
            // Who was declared gone stands only in the document: hosts that come back after it was lost, too, are one fault
            // more than is promised to be survived.
            Event::LoseDocument => {
                world.bury(World::is_outcast);
                world.stored = None;
            }
            Event::RestoreOldDocument => {
                world.bury(World::is_outcast);
                world.stored = self.written.first().cloned();
            }
            Event::Run { late, steps, fate } => {
                world.hear_of_newer_documents();
                let plan = world.plan();
                (0..late).for_each(|_| world.tick(fate));
                world.execute(&plan, steps.into());
                self.written.extend(world.stored.clone());
                world.tick(fate.rotate_left(32));
            }
        }
    }
}

fn assert_settled(world: &World) {
    let observed = world.observe();
    assert!(observed.is_converged());
    assert_eq!(observed.served(), SlotSet::all());
    // What is left of nodes on lost hosts stays until the hosts are back, and so may one that never ran.
    let nodes: Vec<_> = world.nodes.iter().filter(|node| !node.is_left_over()).collect();
    assert!(nodes.iter().all(|node| node.phase == Phase::Running && !node.draining));
    assert_eq!(nodes.len(), world.cluster.spec.nodes as usize);
    let shares: Vec<_> = nodes.iter().map(|node| world.shares()[&node.name]).collect();
    let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
    assert!(most - least <= 1, "{shares:?}");
}

proptest! {
    // A quarter of `PROPTEST_CASES`: every case is a hundred plans and more.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 4,
        max_shrink_iters: 4000,
        ..ProptestConfig::default()
    })]

    /// Every plan passes the check, epochs grow, no node with slots is stopped, no slot has two owners (all asserted in the
    /// world), and in the end the cluster is as the spec says, with nothing to do.
    ///
    /// A failure prints the shortest history found and stores its seed beside this file, from where the next run replays it.
    #[test]
    fn whatever_happens_the_cluster_becomes_what_the_spec_says(
        nodes in 1..6_i32,
        events in prop::collection::vec(event(), 0..60),
    ) {
        let mut history = History { world: World::new(spec(nodes, "")), written: Vec::new() };
        for event in events {
            history.apply(event);
        }
        let mut world = history.world;
        world.edit(|spec| spec.paused = false);
        world.room = usize::MAX;
        if world.program == BAD_PROGRAM {
            world.program = "1.0".into();
        }
        // A lost node that the document does not know blocks the next one until its host is back, or removed for good.
        world.bury(World::is_unaccounted);
        world.nodes.iter_mut().for_each(|node| node.silent = false);
        world.settle();
        assert_settled(&world);
    }

    /// Only what must move does, once, whatever came before.
    #[test]
    fn undisturbed_scaling_moves_the_optimum(path in prop::collection::vec(1..9_i32, 2..5)) {
        let mut world = World::steady(path[0]);
        for &nodes in &path[1..] {
            let before: Vec<String> = world.nodes.iter().map(|node| node.name.clone()).collect();
            let held = world.holders(&before);
            world.moved = 0;
            world.edit(|spec| spec.nodes = nodes);
            world.settle();
            assert_settled(&world);
            // The optimum is a matter of the nodes that there are afterwards.
            let after: Vec<String> = world.nodes.iter().map(|node| node.name.clone()).collect();
            let targets: Vec<_> = after.iter().map(|name| Target { name, weight: 1 }).collect();
            let index = |i: u16| after.iter().position(|name| *name == before[usize::from(i)]);
            let held = held.map(|holder| holder.and_then(index).map(|i| i as u16));
            prop_assert_eq!(world.moved, optimal_moves(&held, &targets) as u64);
        }
    }
}

#[test]
fn a_roll_moves_every_slot_once_and_runs_one_node_too_many_at_most() {
    let mut world = World::steady(3);
    world.moved = 0;
    world.edit(|spec| spec.memory.0 = "512Mi".into());
    let mut most = 0;
    while world.round().poll_soon() {
        most = most.max(world.nodes.len());
    }
    assert_settled(&world);
    assert_eq!(world.moved, u64::from(SLOTS));
    assert_eq!(most, 4);
    assert!(world.observe().nodes.iter().all(|node| node.template.memory_bytes == 512 << 20));
}

#[test]
fn however_many_are_replaced_at_once_a_document_has_no_more_members_than_it_may() {
    let mut world = World::new(spec(100, ""));
    (0..2).for_each(|_| drop(world.round()));
    assert_eq!(world.stored.as_ref().map(|document| document.members.len()), Some(100));
    (0..50).for_each(|i| world.terminate(i, 100));
    // As long as one member may not have heard of it, nobody who leaves is forgotten.
    world.nodes[99].silent = true;
    (0..2).for_each(|_| drop(world.round()));
    assert_eq!(world.stored.as_ref().map(|document| document.members.len()), Some(MAX_MEMBERS));
}

/// Found by a long run of the above. A member that has left is still running when the document is lost, and is taken in again: what it
/// remembered of its slots was newer than what others had adopted after a death, and it turned them down for ever.
#[test]
fn a_member_that_was_taken_in_again_after_a_loss_takes_over_its_share() {
    let mut history = History { world: World::new(spec(1, "")), written: Vec::new() };
    let run = |late, steps, fate| Event::Run { late, steps, fate };
    for event in [
        run(0, 1, 0),
        Event::Nodes(5),
        run(0, 4, 0),
        run(0, 2, 0),
        Event::Memory(0),
        run(0, 1, 0),
        run(0, 2, 8_906_560_216_716_279_808),
        Event::LoseDocument,
        run(0, 2, 84_610_280_205_582_336),
        run(2, 0, 12_142_093_721_743_586_298),
    ] {
        history.apply(event);
    }
    history.world.nodes[0].die();
    history.apply(run(0, 2, 0));
    history.apply(Event::LoseDocument);
    history.world.settle();
    assert_settled(&history.world);
}
