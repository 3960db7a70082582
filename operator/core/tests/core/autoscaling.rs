//! How many nodes are wanted, against a slow twin; and when the number follows.

use proptest::prelude::*;
use ringcache_api::CacheClusterSpec;
use ringcache_api::admin::NodeCurve;
use ringcache_api::cluster::Autoscaling;
use ringcache_api::document::Incarnation;
use ringcache_curve::{Curve, Sampler, Write};
use ringcache_operator_core::autoscaling::{
    Goal, Look, Measured, Pace, Seen, Sizing, State, Step, Target, Targets, Trend, Verdict, decide,
    nodes, sizing,
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
    sampler.count(depths.len() as u64 + absent, depths.len() as u64);
    sampler.curve().clone()
}

/// So many nodes of [`NODE_BYTES`] have measured it.
fn measured(nodes: usize, curve: &Curve, busy: f64) -> Measured {
    let told = |n: usize| NodeCurve {
        version: 1,
        incarnation: Incarnation::new(&n.to_string(), "1"),
        budget_bytes: NODE_BYTES,
        busy,
        half_life_seconds: 10.0,
        curve: curve.clone().of_reads(curve.reads() / nodes as f64),
    };
    let told: Vec<_> = (0..nodes).map(|n| (format!("web-{n}"), told(n))).collect();
    Measured::of(&told, u64::MAX).unwrap()
}

fn targets(hit_ratio: Option<f64>, memory: Option<f64>, busy: Option<f64>) -> Targets {
    Targets { min: 2, max: 10, hit_ratio, memory, busy }
}

/// One number after the other, from the smallest on.
fn slowly(targets: &Targets, measured: &Measured) -> usize {
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
        let measured = measured(nodes, &curve, busy);
        let found = sizing(&targets, &measured).unwrap();
        prop_assert_eq!(found.nodes, slowly(&targets, &measured), "{:?}", found);
    }
}

#[test]
fn a_hit_ratio_that_no_size_reaches_stops_where_a_node_more_gains_nothing() {
    // A quarter of the reads is of keys that were never written.
    let curve = curve(&[NODE_BYTES * 3; 75], 25);
    let measured = measured(2, &curve, 0.1);
    let found = sizing(&targets(Some(0.9), None, None), &measured).unwrap();
    let expected = Sizing { nodes: 4, asked: vec![(Target::HitRatio, None)] };
    assert_eq!(found, expected);
}

#[test]
fn a_cache_full_of_what_nobody_reads_asks_for_nothing() {
    let curve = curve(&[NODE_BYTES / 2; 50], 50);
    let measured = measured(5, &curve, 0.1);
    let found = sizing(&targets(None, Some(0.8), Some(0.7)), &measured).unwrap();
    let asked = vec![(Target::Memory, Some(1)), (Target::Cpu, Some(1))];
    assert_eq!(found, Sizing { nodes: 2, asked });
}

#[test]
fn where_nothing_is_read_nothing_is_wanted() {
    let measured = measured(5, &Curve::default(), 0.0);
    assert_eq!(sizing(&targets(Some(0.9), None, None), &measured), None);
}

/// A cluster at rest that is looked at each second.
struct Watch {
    state: State,
    trend: Trend,
    now: i64,
    goal: Goal,
    is_warm: bool,
}

impl Watch {
    fn new(nodes: usize) -> Self {
        let (state, trend) = (State::new(nodes), Trend::default());
        Self { state, trend, now: 0, goal: wanted(nodes), is_warm: true }
    }

    /// Looks for so many seconds; when the number of nodes changed. Each node serves a tenth of the reads, or so the curve says.
    fn look(&mut self, seconds: i64, served: impl Fn(usize) -> f64) -> Vec<String> {
        let mut changes = Vec::new();
        for _ in 0..seconds {
            self.now += 1;
            let nodes = self.state.nodes;
            let look = Look {
                now: self.now,
                at: 0,
                pace: PACE,
                goal: self.goal,
                predict: &|nodes| Some(as_predicted(nodes)),
                hit_ratio: Some(served(nodes)),
                is_warm: self.is_warm,
                there: None,
                filling: None,
                half_life: 10,
            };
            self.state = self.state.next(&mut self.trend, &look).state;
            if self.state.nodes != nodes {
                changes.push(format!("{} s: {nodes} to {}", self.now, self.state.nodes));
            }
        }
        changes
    }

    fn verdict(&mut self) -> Verdict {
        self.now += 1;
        let nodes = self.state.nodes;
        let look = Look {
            now: self.now,
            at: 0,
            pace: PACE,
            goal: self.goal,
            predict: &|nodes| Some(as_predicted(nodes)),
            hit_ratio: Some(as_predicted(nodes)),
            is_warm: self.is_warm,
            there: None,
            filling: None,
            half_life: 10,
        };
        self.state.next(&mut self.trend, &look).verdict
    }
}

fn wanted(nodes: usize) -> Goal {
    Goal::Within { wanted: Some(nodes), min: 1, max: 10 }
}

fn as_predicted(nodes: usize) -> f64 {
    0.01 * nodes as f64
}

fn twice_as_good(nodes: usize) -> f64 {
    0.5 + as_predicted(nodes)
}

#[test]
fn nodes_are_added_after_a_delay_and_all_at_once() {
    let mut watch = Watch::new(2);
    watch.goal = wanted(5);
    assert_eq!(watch.look(59, as_predicted), [""; 0]);
    watch.goal = wanted(2);
    assert_eq!(watch.look(1, as_predicted), [""; 0], "for a moment they would suffice");
    watch.goal = wanted(5);
    assert_eq!(watch.look(100, as_predicted), ["121 s: 2 to 5"]);
}

#[test]
fn nodes_are_taken_away_one_at_a_time_after_a_time_without_a_change() {
    let mut watch = Watch::new(4);
    watch.goal = wanted(2);
    assert_eq!(watch.look(2000, as_predicted), ["601 s: 4 to 3", "1202 s: 3 to 2"]);
}

#[test]
fn a_node_whose_hits_are_dear_stays_unless_there_are_more_than_may_be() {
    let dear = Pace { miss_budget: 0.005, ..PACE };
    let look = |goal, now| Look {
        now,
        at: now,
        pace: dear,
        goal,
        predict: &|nodes| Some(as_predicted(nodes)),
        hit_ratio: Some(0.04),
        is_warm: true,
        there: None,
        filling: None,
        half_life: 10,
    };
    let (mut trend, state) = (Trend::default(), State::new(4));
    for now in [1, 1000] {
        let decision = state.next(&mut trend, &look(wanted(2), now));
        assert!(matches!(decision.verdict, Verdict::HeldBack(cost) if (cost - 0.01).abs() < 1e-9));
        assert_eq!(decision.state.nodes, 4);
    }
    let mut trend = Trend::default();
    let bound = Goal::Within { wanted: Some(3), min: 1, max: 3 };
    let found = [1, 1000].map(|now| state.next(&mut trend, &look(bound, now)).state.nodes);
    assert_eq!(found, [4, 3]);
}

#[test]
fn nothing_changes_before_the_cluster_has_been_at_rest_for_three_half_lives() {
    let mut watch = Watch::new(2);
    watch.goal = wanted(5);
    watch.look(50, as_predicted);
    watch.trend.disturb();
    assert_eq!(watch.look(100, as_predicted), ["111 s: 2 to 5"], "the wait begins anew");
    let mut hasty = Watch { now: 0, ..Watch::new(2) };
    hasty.goal = wanted(5);
    let pace = Pace { out_after: 0, ..PACE };
    let mut changed = Vec::new();
    for now in 1..60 {
        let look = Look {
            now,
            at: 0,
            pace,
            goal: hasty.goal,
            predict: &|_| Some(0.5),
            hit_ratio: Some(0.5),
            is_warm: true,
            there: None,
            filling: None,
            half_life: 10,
        };
        let next = hasty.state.next(&mut hasty.trend, &look).state;
        changed.extend((next.nodes != hasty.state.nodes).then_some(now));
        hasty.state = next;
    }
    assert_eq!(changed, [31]);
}

#[test]
fn cold_nodes_are_waited_for_and_not_for_ever() {
    let mut watch = Watch::new(2);
    (watch.goal, watch.is_warm) = (wanted(5), false);
    assert_eq!(watch.look(400, as_predicted), ["301 s: 2 to 5"]);
}

#[test]
fn predictions_that_fail_twice_stop_it_and_one_that_holds_forgives_one_that_did_not() {
    let mut watch = Watch::new(1);
    let step = |watch: &mut Watch, to, served: fn(usize) -> f64| {
        watch.goal = wanted(to);
        watch.look(61, as_predicted);
        watch.look(40, served);
        watch.state.failed
    };
    assert_eq!(step(&mut watch, 2, twice_as_good), 1);
    assert_eq!(step(&mut watch, 3, as_predicted), 0);
    assert_eq!(step(&mut watch, 4, twice_as_good), 1);
    assert_eq!(step(&mut watch, 5, twice_as_good), 2);
    assert_eq!(watch.state.nodes, 5);
    watch.goal = wanted(9);
    assert_eq!(watch.look(1000, as_predicted), [""; 0]);
    assert_eq!(watch.verdict(), Verdict::PredictionsFailed);
}

#[test]
fn a_load_that_has_changed_since_the_prediction_is_no_fault_of_it() {
    let mut state = State::new(3);
    state.step = Some(Step { from: 2, to: 3, at: 0, predicted: 0.9, measured: None });
    let compared = |curve: f64| {
        let look = Look {
            now: 5,
            at: 0,
            pace: PACE,
            goal: wanted(3),
            predict: &|_| Some(curve),
            hit_ratio: Some(0.5),
            is_warm: true,
            there: None,
            filling: None,
            half_life: 0,
        };
        let state = state.next(&mut Trend::default(), &look).state;
        (state.failed, state.step.unwrap().measured)
    };
    assert_eq!(compared(0.51), (0, Some(0.5)), "by now the curve says the same");
    assert_eq!(compared(0.9), (1, Some(0.5)));
}

#[test]
fn nothing_measured_changes_nothing_and_begins_the_wait_anew() {
    let mut watch = Watch::new(2);
    watch.goal = wanted(5);
    watch.look(59, as_predicted);
    watch.goal = Goal::Within { wanted: None, min: 1, max: 10 };
    assert_eq!(watch.verdict(), Verdict::NothingMeasured);
    watch.goal = wanted(5);
    assert_eq!(watch.look(100, as_predicted), ["121 s: 2 to 5"]);
}

fn spec(nodes: i32, autoscaling: Option<Autoscaling>) -> CacheClusterSpec {
    CacheClusterSpec { nodes, autoscaling, ..CacheClusterSpec::default() }
}

const SCALED: Autoscaling = Autoscaling {
    min_nodes: 2,
    max_nodes: 6,
    hit_ratio_percent: Some(70),
    memory_percent: None,
    cpu_percent: None,
    scale_out_delay_seconds: 60,
    scale_in_delay_seconds: 600,
};

#[test]
fn the_number_begins_at_the_spec_and_is_never_below_the_least() {
    assert_eq!(nodes(&spec(3, None), None, 5), 3);
    assert_eq!(nodes(&spec(1, Some(SCALED)), None, 0), 2);
    assert_eq!(nodes(&spec(9, Some(SCALED)), None, 0), 9, "they go one at a time");
    assert_eq!(
        nodes(&spec(3, Some(SCALED)), None, 8),
        8,
        "so do those that something else has started"
    );
    assert_eq!(nodes(&spec(3, Some(SCALED)), Some(&State::new(5)), 3), 5);
    assert_eq!(nodes(&spec(3, None), Some(&State::new(5)), 5), 5, "it returns to 3 slowly");
    assert_eq!(nodes(&spec(3, None), Some(&State::new(8)), 3), 3, "the record is an old one");
    assert_eq!(nodes(&spec(5, None), Some(&State::new(2)), 2), 2);
}

/// A look at a cluster of so many nodes at a second.
fn seen(nodes: usize, measured: Option<&Measured>, now: i64) -> Seen<'_> {
    Seen { nodes, there: None, measured, now, at: 0 }
}

#[test]
fn without_autoscaling_the_number_returns_to_that_of_the_spec_and_is_forgotten() {
    let (mut trend, mut recorded, mut changes) = (Trend::default(), Some(State::new(5)), vec![]);
    let curve = curve(&[NODE_BYTES / 2; 50], 0);
    let measured = measured(5, &curve, 0.1);
    for now in (0..3000).step_by(15) {
        let Some(state) = recorded else { break };
        let look = seen(state.nodes, Some(&measured), now);
        let decided = decide(&spec(3, None), Some(&state), &mut trend, &look);
        if let Some(report) = &decided.report {
            assert_eq!((report.is_active, report.wanted), (false, Some(3)));
        }
        if decided.nodes != state.nodes {
            changes.push((now, decided.nodes));
        }
        assert_eq!(decided.record.is_some(), decided.report.is_some(), "both end together");
        recorded = decided.record;
    }
    assert_eq!((changes, recorded), (vec![(600, 4), (1215, 3)], None));
}

#[test]
fn predictions_that_failed_do_not_keep_the_number_from_returning() {
    let failed = State { failed: 2, ..State::new(5) };
    let curve = curve(&[NODE_BYTES / 2; 50], 0);
    let measured = measured(5, &curve, 0.1);
    let mut trend = Trend::default();
    let found = [0, 700].map(|now| {
        decide(&spec(3, None), Some(&failed), &mut trend, &seen(5, Some(&measured), now)).nodes
    });
    assert_eq!(found, [5, 4]);
}

#[test]
fn nodes_that_cannot_start_are_given_up_when_fewer_would_do() {
    let mut watch = Watch::new(8);
    watch.goal = wanted(2);
    let look = |now: i64, goal| Look {
        now,
        at: 0,
        pace: PACE,
        goal,
        there: Some(5),
        predict: &|nodes| Some(as_predicted(nodes)),
        hit_ratio: Some(0.05),
        is_warm: false,
        filling: None,
        half_life: 10,
    };
    let state = State::new(8);
    let (mut trend, mut found) = (Trend::default(), Vec::new());
    for now in [0, 59, 60] {
        found.push(state.next(&mut trend, &look(now, wanted(2))).state.nodes);
    }
    assert_eq!(found, [8, 8, 5], "those that are there go one at a time");
    let mut trend = Trend::default();
    let found = [0, 1000].map(|now| state.next(&mut trend, &look(now, wanted(9))).state.nodes);
    assert_eq!(found, [8, 8]);
}

#[test]
fn one_answer_that_is_late_changes_nothing_and_a_minute_without_is_told() {
    let curve = curve(&[NODE_BYTES * 3; 75], 25);
    let measured = measured(3, &curve, 0.1);
    let (spec, state) = (spec(3, Some(SCALED)), State { spec: Some(SCALED), ..State::new(3) });
    let mut trend = Trend::default();
    let mut at = |now, measured| {
        let decided = decide(&spec, Some(&state), &mut trend, &seen(3, measured, now));
        (decided.nodes, decided.report.unwrap().reason)
    };
    assert_eq!(at(0, Some(&measured)), (3, Some("ChangeDue")));
    assert_eq!(at(59, None), (3, None));
    assert_eq!(at(60, Some(&measured)).0, 4, "it has been wanted all the time");
    for now in 0..5 {
        assert_eq!(at(100 + now * 14, None), (3, None));
    }
    assert_eq!(at(219, None), (3, None), "nor is it told at once");
    assert_eq!(at(279, None), (3, Some("NothingMeasured")));
}

#[test]
fn what_changes_at_every_look_is_not_told() {
    let curve = curve(&[NODE_BYTES * 2; 75], 0);
    let (spec, state) = (spec(3, Some(SCALED)), State { spec: Some(SCALED), ..State::new(3) });
    let spec = CacheClusterSpec {
        autoscaling: Some(Autoscaling { cpu_percent: Some(50), ..SCALED }),
        ..spec
    };
    let state = State { spec: spec.autoscaling, ..state };
    let mut trend = Trend::default();
    let mut told = Vec::new();
    for look in 0..40 {
        // The CPU asks for three nodes and for four by turns.
        let measured = measured(3, &curve, if look % 2 == 0 { 0.49 } else { 0.51 });
        let decided = decide(&spec, Some(&state), &mut trend, &seen(3, Some(&measured), look * 15));
        told.extend(decided.report.unwrap().reason.filter(|_| look > 0 && look % 2 == 1));
    }
    assert_eq!(told, [""; 0], "only what was told first is told again");
}

#[test]
fn no_node_is_taken_away_while_the_cache_fills() {
    let mut state = State::new(4);
    let mut trend = Trend::default();
    let mut changes = Vec::new();
    for now in 0..3000 {
        let look = Look {
            now,
            at: 0,
            pace: PACE,
            goal: wanted(3),
            there: None,
            predict: &|_| Some(0.1),
            hit_ratio: Some(0.1),
            is_warm: true,
            filling: Some(if now < 1000 { 1000 + now as u64 } else { 2000 }),
            half_life: 10,
        };
        let next = state.next(&mut trend, &look).state;
        changes.extend((next.nodes != state.nodes).then_some(now));
        state = next;
    }
    let first = changes[0];
    assert!((1580..1620).contains(&first), "ten minutes after it has filled: {first}");
}

#[test]
fn a_cache_that_still_fills_is_not_compared_with_what_was_predicted() {
    let step = Step { from: 1, to: 3, at: 0, predicted: 0.9, measured: None };
    let mut state = State { step: Some(step), ..State::new(3) };
    let mut trend = Trend::default();
    for now in 0..2000 {
        // It takes a quarter of an hour until it serves what it should.
        let served = (0.3 + 0.6 * now as f64 / 900.0).min(0.9);
        let look = Look {
            now,
            at: 0,
            pace: PACE,
            goal: wanted(3),
            there: None,
            predict: &|_| Some(0.9),
            hit_ratio: Some(served),
            is_warm: served > 0.88,
            filling: None,
            half_life: 10,
        };
        state = state.next(&mut trend, &look).state;
    }
    assert_eq!(state.failed, 0);
    assert!(state.step.unwrap().measured.unwrap() > 0.88);
}

#[test]
fn an_edit_forgives_failed_predictions() {
    let failed = State { failed: 2, spec: Some(SCALED), ..State::new(3) };
    let curve = curve(&[NODE_BYTES * 3; 75], 25);
    let measured = measured(3, &curve, 0.1);
    let told = |autoscaling| {
        let spec = spec(3, Some(autoscaling));
        let look = seen(3, Some(&measured), 9);
        let decided = decide(&spec, Some(&failed), &mut Trend::default(), &look);
        (decided.record.unwrap().failed, decided.report.unwrap().reason.unwrap())
    };
    assert_eq!(told(SCALED), (2, "PredictionsFailed"));
    let edited = Autoscaling { hit_ratio_percent: Some(71), ..SCALED };
    assert_eq!(told(edited), (0, "ChangeDue"));
}

#[test]
fn a_target_out_of_reach_says_what_the_missing_hits_are() {
    let curve = curve(&[NODE_BYTES * 3; 75], 25);
    let measured = measured(4, &curve, 0.1);
    let spec = spec(4, Some(Autoscaling { hit_ratio_percent: Some(90), ..SCALED }));
    let look = seen(4, Some(&measured), 9);
    let report = decide(&spec, None, &mut Trend::default(), &look).report.unwrap();
    assert_eq!(
        (report.reason, report.message.as_str()),
        (
            Some("TargetOutOfReach"),
            "`hitRatioPercent` is met by no number of nodes up to 6: 25.0 % of all reads are of keys that were never written, or not used for long, \
             0.0 % of keys that had expired."
        )
    );
}

#[test]
fn a_node_that_serves_less_than_its_curve_says_is_cold() {
    let mut sampler = Sampler::new(9, u64::MAX);
    sampler.write(1, Write { slot: 0, bytes: 100, deadline_ms: u64::MAX }, 0);
    for _ in 0..100 {
        sampler.read(1, None, 0);
    }
    let told = |hits: u64| {
        let mut sampler = sampler.clone();
        sampler.count(100, hits);
        let curve = sampler.curve().clone();
        let (incarnation, half_life_seconds) = (Incarnation::new("a", "1"), 10.0);
        let busy = 0.0;
        NodeCurve { version: 1, incarnation, budget_bytes: 1000, busy, half_life_seconds, curve }
    };
    let told = [("web-0".to_owned(), told(98)), ("web-1".to_owned(), told(97))];
    let measured = Measured::of(&told, 0).unwrap();
    assert_eq!((measured.cold, measured.nodes), (vec!["web-1".to_owned()], 2));
    assert_eq!(measured.curve.measured(), Some(0.975));
}

#[test]
fn what_a_status_may_not_say_is_not_read_from_a_record() {
    let step = Step { from: 1, to: 2, at: i64::MIN, predicted: 0.5, measured: Some(1.0) };
    let state = State { step: Some(step), ..State::new(3) };
    assert_eq!(state.clone().checked(), Some(state.clone()));
    for nodes in [0, 101, usize::MAX] {
        assert_eq!(State { nodes, ..state.clone() }.checked(), None, "{nodes}");
    }
    for broken in [
        Step { from: 0, ..step },
        Step { to: usize::MAX, ..step },
        Step { predicted: 1e300, ..step },
        Step { measured: Some(f64::NAN), ..step },
    ] {
        let checked = State { step: Some(broken), ..state.clone() }.checked().unwrap();
        assert_eq!(checked.step, None, "{broken:?}");
    }
    let curve = curve(&[NODE_BYTES * 3; 75], 25);
    let measured = Measured { half_life_seconds: f64::INFINITY, ..measured(3, &curve, 0.1) };
    let state = State { failed: u32::MAX, ..state };
    let look = seen(3, Some(&measured), i64::MAX);
    let decided = decide(&spec(3, Some(SCALED)), Some(&state), &mut Trend::default(), &look);
    assert_eq!(decided.nodes, 3, "times beyond all reason overflow nothing");
}
