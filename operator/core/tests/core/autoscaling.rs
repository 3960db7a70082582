//! How many nodes are wanted, against a slow twin; and when the number follows.

use proptest::prelude::*;
use ringcache_curve::{Curve, Sampler, Write};
use ringcache_operator_core::autoscaling::{
    Active, Look, Measured, Pace, Sizing, State, Target, Targets, sizing,
};

const NODE_BYTES: u64 = 1 << 20;
const PACE: Pace = Pace { out_after: 60, in_after: 600, miss_budget: 0.02 };

/// The curve of reads that need so many bytes each, and of some that nothing helps.
fn curve(depths: &[u64], absent: u64) -> Curve {
    let mut sampler = Sampler::new(depths.len() * 2 + 1, u64::MAX);
    let entry = |bytes: u64| Write { slot: 0, bytes: bytes as u32, deadline_ms: u64::MAX };
    for &depth in depths {
        // One entry, and another one on top of it that makes it as deep.
        sampler.write(1, entry(1), 0);
        sampler.write(2, entry(depth.max(2) - 1), 0);
        sampler.read(1, None, 0);
    }
    (0..absent).for_each(|_| sampler.read(3, None, 0));
    sampler.count(depths.len() as u64 + absent);
    sampler.curve().clone()
}

fn targets(hit_ratio: Option<f64>, memory: Option<f64>, busy: Option<f64>) -> Targets {
    Targets { min: 2, max: 10, hit_ratio, memory, busy }
}

/// One number after the other, from the smallest on.
fn slowly(targets: &Targets, measured: &Measured<'_>) -> usize {
    let ratio = |nodes: usize| measured.curve.hit_ratio(nodes as u64 * NODE_BYTES).unwrap();
    let range = targets.min..=targets.max;
    let hits = |nodes: usize| match targets.hit_ratio {
        None => true,
        Some(target) if range.clone().any(|n| ratio(n) >= target) => ratio(nodes) >= target,
        Some(_) => (nodes + 1..=targets.max).all(|more| ratio(more) - ratio(more - 1) < 0.005),
    };
    let fits = |nodes: usize| {
        let room = nodes as f64 * NODE_BYTES as f64;
        targets.memory.is_none_or(|part| measured.curve.working_set(0.99) as f64 <= room * part)
    };
    let is_idle_enough = |nodes: usize| {
        let busy = measured.busy * measured.nodes as f64 / nodes as f64;
        targets.busy.is_none_or(|part| busy <= part)
    };
    let all = |nodes: &usize| hits(*nodes) && fits(*nodes) && is_idle_enough(*nodes);
    range.clone().find(all).unwrap_or(targets.max)
}

prop_compose! {
    fn some_targets()(
        min in 1..5_usize,
        more in 0..8_usize,
        hit_ratio in prop::option::of(0.05..1.0),
        memory in prop::option::of(0.1..1.0),
        busy in prop::option::of(0.1..1.0),
    ) -> Targets {
        Targets { min, max: min + more, hit_ratio, memory, busy }
    }
}

proptest! {
    #[test]
    fn the_fewest_nodes_that_meet_all_targets_are_wanted(
        targets in some_targets(),
        depths in prop::collection::vec(1..12 * NODE_BYTES, 1..60),
        absent in 0..40_u64,
        nodes in 1..8_usize,
        busy in 0.01..1.0,
    ) {
        prop_assume!(targets.hit_ratio.or(targets.memory).or(targets.busy).is_some());
        let curve = curve(&depths, absent);
        let measured = Measured { nodes, node_bytes: NODE_BYTES, curve: &curve, busy };
        let found = sizing(&targets, &measured).unwrap();
        prop_assert_eq!(found.nodes, slowly(&targets, &measured), "{:?}", found);
    }
}

#[test]
fn a_hit_ratio_that_no_size_reaches_stops_where_a_node_more_gains_nothing() {
    // A quarter of the reads is of keys that were never written.
    let curve = curve(&[NODE_BYTES * 3; 75], 25);
    let measured = Measured { nodes: 2, node_bytes: NODE_BYTES, curve: &curve, busy: 0.1 };
    let found = sizing(&targets(Some(0.9), None, None), &measured).unwrap();
    let expected = Sizing { nodes: 4, asked: vec![(Target::HitRatio, None)] };
    assert_eq!(found, expected);
}

#[test]
fn a_cache_full_of_what_nobody_reads_asks_for_nothing() {
    let curve = curve(&[NODE_BYTES / 2; 50], 50);
    let measured = Measured { nodes: 5, node_bytes: NODE_BYTES, curve: &curve, busy: 0.1 };
    let found = sizing(&targets(None, Some(0.8), Some(0.7)), &measured).unwrap();
    let asked = vec![(Target::Memory, Some(1)), (Target::Cpu, Some(1))];
    assert_eq!(found, Sizing { nodes: 2, asked });
}

#[test]
fn where_nothing_is_read_nothing_is_wanted() {
    let measured = Measured { nodes: 5, node_bytes: 1, curve: &Curve::default(), busy: 0.0 };
    assert_eq!(sizing(&targets(Some(0.9), None, None), &measured), None);
}

/// A cluster for which `wanted` nodes are wanted, looked at each second of a span; the seconds at which the number changed.
struct Watch {
    state: State,
    now: i64,
}

impl Watch {
    fn new(nodes: usize) -> Self {
        Self { state: State::new(nodes, 0), now: 0 }
    }

    fn look(
        &mut self,
        wanted: usize,
        seconds: i64,
        hit_ratio: impl Fn(usize) -> f64,
    ) -> Vec<String> {
        let mut changes = Vec::new();
        for _ in 0..seconds {
            self.now += 1;
            let sizing = Sizing { nodes: wanted, asked: Vec::new() };
            let nodes = self.state.nodes;
            let look = Look {
                now: self.now,
                sizing: Some(&sizing),
                predict: &|nodes| Some(0.1 * nodes as f64),
                hit_ratio: Some(hit_ratio(nodes)),
                is_settled: true,
            };
            let decision = self.state.next(&PACE, &look);
            if decision.state.nodes != nodes {
                changes.push(format!("{} s: {nodes} to {}", self.now, decision.state.nodes));
            }
            self.state = decision.state;
        }
        changes
    }
}

fn as_predicted(nodes: usize) -> f64 {
    0.1 * nodes as f64
}

#[test]
fn nodes_are_added_after_a_delay_and_all_at_once() {
    let mut watch = Watch::new(2);
    assert_eq!(watch.look(5, 59, as_predicted), [""; 0]);
    assert_eq!(watch.look(2, 1, as_predicted), [""; 0], "for a moment they would suffice");
    assert_eq!(watch.look(5, 100, as_predicted), ["121 s: 2 to 5"]);
}

#[test]
fn nodes_are_taken_away_one_at_a_time_and_only_within_the_miss_budget() {
    let flat = |nodes: usize| if nodes >= 3 { 0.5 } else { 0.4 };
    let mut state = State::new(5, 0);
    let mut changes = Vec::new();
    for now in 1..5_000 {
        let sizing = Sizing { nodes: 1, asked: Vec::new() };
        let look = Look {
            now,
            sizing: Some(&sizing),
            predict: &|nodes| Some(flat(nodes)),
            hit_ratio: Some(flat(state.nodes)),
            is_settled: true,
        };
        let next = state.next(&PACE, &look).state;
        if next.nodes != state.nodes {
            changes.push((now, next.nodes));
        }
        state = next;
    }
    assert_eq!(changes, [(601, 4), (1_202, 3)], "the next one would cost ten points");
}

#[test]
fn nothing_changes_while_anything_is_under_way() {
    let sizing = Sizing { nodes: 5, asked: Vec::new() };
    let look = Look {
        now: 1_000,
        sizing: Some(&sizing),
        predict: &|_| Some(0.5),
        hit_ratio: Some(0.5),
        is_settled: false,
    };
    let begun = State { since: None, ..State::new(2, 0) }.next(&PACE, &look).state;
    let later = begun.next(&PACE, &Look { now: 2_000, ..look }).state;
    assert_eq!(later.nodes, 2);
    assert_eq!(later.next(&PACE, &Look { now: 2_001, is_settled: true, ..look }).state.nodes, 5);
}

#[test]
fn predictions_that_fail_twice_stop_it_and_one_that_holds_forgives_one_that_did_not() {
    let mut watch = Watch::new(1);
    watch.look(2, 61, as_predicted);
    watch.look(2, 5, |_| 0.9);
    assert_eq!(watch.state.failed, 1);
    watch.look(3, 61, |_| 0.9);
    watch.look(3, 5, as_predicted);
    assert_eq!(watch.state.failed, 0);
    watch.look(4, 61, as_predicted);
    watch.look(4, 5, |_| 0.9);
    watch.look(5, 61, |_| 0.9);
    watch.look(5, 5, |_| 0.9);
    assert_eq!((watch.state.nodes, watch.state.failed), (5, 2));
    assert_eq!(watch.look(9, 1_000, |_| 0.9), [""; 0]);
}

#[test]
fn nothing_measured_changes_nothing_and_begins_the_wait_anew() {
    let sizing = Sizing { nodes: 5, asked: Vec::new() };
    let look = Look {
        now: 10,
        sizing: Some(&sizing),
        predict: &|_| Some(0.5),
        hit_ratio: Some(0.5),
        is_settled: true,
    };
    let begun = State::new(2, 0).next(&PACE, &look).state;
    let unknown = begun.next(&PACE, &Look { now: 69, sizing: None, ..look });
    assert_eq!((unknown.active, unknown.state.nodes), (Active::NothingMeasured, 2));
    let again = unknown.state.next(&PACE, &Look { now: 71, ..look });
    assert_eq!((again.active, again.state.nodes), (Active::Yes, 2));
}
