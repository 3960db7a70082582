//! When the number of nodes follows what is wanted: not at once, one step at a time, and never on a prediction that has failed twice.

use super::Sizing;

/// Prediction and measurement agree if they differ by no more than this.
const AGREEMENT: f64 = 0.02;
/// So many steps whose prediction failed, one after the other, stop the autoscaler.
const MOST_FAILED: u32 = 2;

/// How fast the number may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Seconds for which a target must have been missed before nodes are added.
    pub out_after: i64,
    /// Seconds without a change, and for which fewer nodes must have sufficed, before one is taken away.
    pub in_after: i64,
    /// Extra misses that a node less may cause, as a part of all reads.
    pub miss_budget: f64,
}

/// What is remembered between two looks. It is kept with the cluster, so that a restart of the operator changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The number of nodes in force.
    pub nodes: usize,
    /// When it last changed, in Unix seconds.
    pub changed_at: i64,
    /// Since when more, or fewer, nodes have been wanted without a break.
    pub since: Option<(Direction, i64)>,
    /// The step whose prediction has still to be compared.
    pub step: Option<Step>,
    /// Steps whose prediction failed, since the last one that did not.
    pub failed: u32,
}

/// More nodes or fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// More.
    Out,
    /// Fewer.
    In,
}

/// A change of the number of nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The number before.
    pub from: usize,
    /// The number after.
    pub to: usize,
    /// The hit ratio that was predicted for it.
    pub predicted: f64,
    /// The hit ratio that it then had, once that is known.
    pub measured: Option<f64>,
}

/// What is there at one moment.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// Unix seconds.
    pub now: i64,
    /// What is wanted; `None` = nothing was measured.
    pub sizing: Option<&'a Sizing>,
    /// The hit ratio that the curve gives for a number of nodes.
    pub predict: &'a dyn Fn(usize) -> Option<f64>,
    /// The hit ratio of the last while.
    pub hit_ratio: Option<f64>,
    /// Whether nothing is under way, and all nodes are warm.
    pub is_settled: bool,
}

/// Whether the autoscaler works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Active {
    /// It does.
    Yes,
    /// Nothing was measured that it could go by.
    NothingMeasured,
    /// Its predictions have failed too often.
    PredictionsFailed,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What is to be remembered; its `nodes` are in force from now on.
    pub state: State,
    /// Whether the autoscaler works.
    pub active: Active,
}

impl State {
    /// The beginning: so many nodes.
    pub fn new(nodes: usize, now: i64) -> Self {
        Self { nodes, changed_at: now, since: None, step: None, failed: 0 }
    }

    /// What follows from a look.
    pub fn next(&self, pace: &Pace, look: &Look<'_>) -> Decision {
        let mut state = self.clone();
        let Some(sizing) = look.sizing else {
            state.since = None;
            return Decision { state, active: Active::NothingMeasured };
        };
        state.compare(look);
        state.turn(sizing, look.now);
        if state.failed >= MOST_FAILED {
            return Decision { state, active: Active::PredictionsFailed };
        }
        if look.is_settled
            && let Some(to) = state.due(sizing, pace, look)
        {
            state.go(to, look);
        }
        Decision { state, active: Active::Yes }
    }

    /// The last step is done as soon as everything is settled: then its prediction is compared, once.
    fn compare(&mut self, look: &Look<'_>) {
        let Some(step) = &mut self.step else { return };
        let (true, None, Some(measured)) = (look.is_settled, step.measured, look.hit_ratio) else {
            return;
        };
        step.measured = Some(measured);
        let has_failed = (measured - step.predicted).abs() > AGREEMENT;
        self.failed = if has_failed { self.failed + 1 } else { 0 };
    }

    /// Notes since when the number should change.
    fn turn(&mut self, sizing: &Sizing, now: i64) {
        let direction = match sizing.nodes {
            wanted if wanted > self.nodes => Some(Direction::Out),
            wanted if wanted < self.nodes => Some(Direction::In),
            _ => None,
        };
        let lasting = self.since.filter(|(before, _)| Some(*before) == direction);
        self.since = lasting.or(direction.map(|direction| (direction, now)));
    }

    /// The number to go to now, if it is time.
    fn due(&self, sizing: &Sizing, pace: &Pace, look: &Look<'_>) -> Option<usize> {
        let (direction, since) = self.since?;
        let lasts = look.now - since;
        match direction {
            Direction::Out => (lasts >= pace.out_after).then_some(sizing.nodes),
            Direction::In => {
                let fewer = self.nodes - 1;
                let rests = look.now - self.changed_at;
                let cost = (look.predict)(self.nodes)? - (look.predict)(fewer)?;
                let may = lasts.min(rests) >= pace.in_after && cost <= pace.miss_budget;
                may.then_some(fewer)
            }
        }
    }

    fn go(&mut self, to: usize, look: &Look<'_>) {
        let predicted = (look.predict)(to);
        self.step =
            predicted.map(|predicted| Step { from: self.nodes, to, predicted, measured: None });
        (self.nodes, self.changed_at, self.since) = (to, look.now, None);
    }
}
