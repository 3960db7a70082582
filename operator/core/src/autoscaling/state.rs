//! When the number of nodes follows what is wanted: not at once, one step at a time, and never on a prediction that has failed twice.

use ringcache_api::cluster::{Autoscaling, MAX_NODES};
use ringcache_api::status::AutoscalingStatus;
use serde::{Deserialize, Serialize};

/// Prediction and measurement agree if they differ by no more than this.
const AGREEMENT: f64 = 0.02;
/// So many steps whose prediction failed, one after the other, stop the autoscaler.
const MOST_FAILED: u32 = 2;
/// A cluster is at rest after so many half-lives: an eighth of what is measured is of before then.
const HALF_LIVES: i64 = 3;
/// So many seconds are waited for cold nodes. Then it goes on: a node whose clients read little may never seem warm.
const WARM_UP_SECONDS: i64 = 300;
/// The hit ratio rises, and a cache fills, if it has by more than this part within [`WARM_UP_SECONDS`], or the time after which a node goes.
const RISE: f64 = 0.01;
/// So many seconds without an answer of all nodes change nothing: of a hundred nodes one is late in many looks.
const SILENCE_SECONDS: i64 = 60;
/// What is told changes when it has been so for so many seconds: near a target another number of nodes is wanted at every look.
const TOLD_AFTER_SECONDS: i64 = 60;
/// Extra misses that a node less may cause, as a part of all reads.
const MISS_BUDGET: f64 = 0.02;

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

impl Pace {
    /// That of a spec; the defaults of one that was removed.
    pub fn of(spec: Option<&Autoscaling>) -> Self {
        let delays = spec.map(|it| (it.scale_out_delay_seconds, it.scale_in_delay_seconds));
        let (out_after, in_after) = delays.unwrap_or((60, 600));
        Self { out_after: out_after.into(), in_after: in_after.into(), miss_budget: MISS_BUDGET }
    }
}

/// What is kept with the cluster, so that a restart of the operator changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The number of nodes in force.
    pub nodes: usize,
    /// The last change that a hit ratio was predicted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// Steps whose prediction failed, since the last one that did not.
    #[serde(default)]
    pub failed: u32,
    /// What the spec asked for then. With another one, failed predictions are forgotten: somebody has looked at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Autoscaling>,
}

/// A change of the number of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The number before.
    pub from: usize,
    /// The number after.
    pub to: usize,
    /// When, in Unix seconds.
    pub at: i64,
    /// The hit ratio that was predicted for it.
    pub predicted: f64,
    /// The hit ratio that it then had, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<f64>,
}

/// More nodes or fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// More.
    Out,
    /// Fewer.
    In,
}

/// What is remembered from look to look only, by a clock that only goes on: a wall clock that is set would hold the next change back for as
/// long as it was wrong. When it is lost, the next change comes later.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trend {
    /// Since when the cluster has been at rest.
    rests_since: Option<i64>,
    /// The hit ratio, and since when it has not risen.
    served: Option<(f64, i64)>,
    /// The bytes that entries take, and since when they have not grown.
    used: Option<(u64, i64)>,
    /// Since when not all nodes have told what they measured.
    silent_since: Option<i64>,
    /// What is told, and what would be, since when.
    told: Option<String>,
    other: Option<(String, i64)>,
    /// Since when more, or fewer, nodes have been wanted without a break.
    turn: Option<(Direction, i64)>,
}

/// What the number of nodes is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// What the targets ask for; `None` = nothing was measured.
    Within {
        /// The number.
        wanted: Option<usize>,
        /// Fewest nodes.
        min: usize,
        /// Most nodes.
        max: usize,
    },
    /// That of the spec, one node at a time: nothing scales the cluster any more.
    Number(usize),
}

/// What is there at one moment, while nothing is under way.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// Seconds of a clock that only goes on.
    pub now: i64,
    /// Unix seconds.
    pub at: i64,
    /// How fast the number may change.
    pub pace: Pace,
    /// What it is to become.
    pub goal: Goal,
    /// The nodes that take part, where the others cannot start.
    pub there: Option<usize>,
    /// The hit ratio that the curve gives for a number of nodes.
    pub predict: &'a dyn Fn(usize) -> Option<f64>,
    /// The hit ratio of the last while.
    pub hit_ratio: Option<f64>,
    /// Whether no node is cold.
    pub is_warm: bool,
    /// The bytes that entries take, unless they take nearly all that they may.
    pub filling: Option<u64>,
    /// Seconds after which a read counts half.
    pub half_life: i64,
}

/// How the number in force stands to what is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It is what is wanted.
    Met,
    /// Another number is wanted, and not for long enough, or the last change is not over.
    Waits,
    /// Fewer nodes would do, but one less would cost too many hits: this part of all reads.
    HeldBack(f64),
    /// Nothing was measured that it could go by.
    NothingMeasured,
    /// Its predictions have failed too often.
    PredictionsFailed,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What is to be kept; its `nodes` are in force from now on.
    pub state: State,
    /// Why.
    pub verdict: Verdict,
}

impl Trend {
    /// Something is under way.
    pub fn disturb(&mut self) {
        *self = Self::default();
    }
}

impl State {
    /// The beginning: so many nodes.
    pub fn new(nodes: usize) -> Self {
        Self { nodes, step: None, failed: 0, spec: None }
    }

    /// The same if a status may say it: what somebody has written into the record must not keep the whole status from being written.
    pub fn checked(self) -> Option<Self> {
        let is_number = |nodes: usize| (1..=MAX_NODES as usize).contains(&nodes);
        let is_part = |part: f64| (0.0..=1.0).contains(&part);
        let is_step = |step: &Step| {
            is_number(step.from)
                && is_number(step.to)
                && is_part(step.predicted)
                && step.measured.is_none_or(is_part)
        };
        is_number(self.nodes).then(|| Self { step: self.step.filter(is_step), ..self })
    }

    /// What a status says of it, where the record beside the ring document is lost.
    pub fn read(status: &AutoscalingStatus) -> Option<Self> {
        Self::new(usize::try_from(status.nodes).ok()?).checked()
    }

    /// The same under this spec, which puts so many nodes in force.
    pub(super) fn under(mut self, spec: Option<Autoscaling>, nodes: usize) -> Self {
        if self.spec != spec {
            (self.failed, self.spec) = (0, spec);
        }
        if self.nodes != nodes {
            (self.nodes, self.step) = (nodes, None);
        }
        self
    }

    /// What follows from a look.
    pub fn next(&self, trend: &mut Trend, look: &Look<'_>) -> Decision {
        let mut state = self.clone();
        trend.follow(look);
        let rests = look.now.saturating_sub(trend.rests_since.unwrap_or(look.now));
        let is_warm = look.is_warm || rests >= WARM_UP_SECONDS;
        let is_over = rests >= look.half_life.saturating_mul(HALF_LIVES);
        if is_over && (look.is_warm || !trend.is_rising(look.now)) {
            state.compare(look);
        }
        if state.failed >= MOST_FAILED && !matches!(look.goal, Goal::Number(_)) {
            return Decision { state, verdict: Verdict::PredictionsFailed };
        }
        let Some(wanted) = state.wanted(&look.goal) else {
            trend.turn = None;
            return Decision { state, verdict: Verdict::NothingMeasured };
        };
        trend.turn(state.nodes, wanted, look.now);
        let Some((direction, since)) = trend.turn else {
            return Decision { state, verdict: Verdict::Met };
        };
        let lasts = look.now.saturating_sub(since);
        if let Some(there) = look.there {
            // Those that cannot start cost nobody anything.
            let to = wanted.max(there);
            if to < state.nodes && lasts >= look.pace.out_after {
                (state.nodes, state.step) = (to, None);
                trend.disturb();
            }
            return Decision { state, verdict: Verdict::Waits };
        }
        let rests = rests.min(trend.is_filled_for(look.now));
        let verdict = match state.due(direction, lasts, rests, wanted, look) {
            Ok(Some(to)) if is_over && is_warm => {
                state.go(to, look);
                trend.disturb();
                Verdict::Waits
            }
            Ok(_) => Verdict::Waits,
            Err(cost) => {
                // Whether it is worth so much is to be seen for as long as whether it is wanted.
                trend.turn = None;
                Verdict::HeldBack(cost)
            }
        };
        Decision { state, verdict }
    }

    fn wanted(&self, goal: &Goal) -> Option<usize> {
        match *goal {
            Goal::Number(nodes) | Goal::Within { wanted: Some(nodes), .. } => Some(nodes),
            // The bounds hold whatever is measured.
            Goal::Within { wanted: None, max, .. } => (self.nodes > max).then_some(max),
        }
    }

    /// The last step is over as soon as the cluster is at rest: then its prediction is compared, once. It has failed if the curve is wrong
    /// about the size that there is now, and not if the load has changed since: then the curve has, too.
    fn compare(&mut self, look: &Look<'_>) {
        let Goal::Within { .. } = look.goal else { return };
        let Some(step) = &mut self.step else { return };
        let (None, Some(measured)) = (step.measured, look.hit_ratio) else { return };
        let is_off = |predicted: f64| (measured - predicted).abs() > AGREEMENT;
        let now = (look.predict)(self.nodes);
        let has_failed = is_off(step.predicted) && now.is_none_or(is_off);
        step.measured = Some(measured);
        self.failed = if has_failed { self.failed.saturating_add(1) } else { 0 };
    }

    /// The number to go to now, if it is time; an error, the cost, if a node less costs too much.
    fn due(
        &self,
        direction: Direction,
        lasts: i64,
        rests: i64,
        wanted: usize,
        look: &Look<'_>,
    ) -> Result<Option<usize>, f64> {
        let Pace { out_after, in_after, miss_budget } = look.pace;
        match direction {
            Direction::Out => {
                let to = match look.goal {
                    Goal::Within { .. } => wanted,
                    Goal::Number(_) => self.nodes + 1,
                };
                Ok((lasts >= out_after).then_some(to))
            }
            Direction::In => {
                let fewer = self.nodes - 1;
                let is_too_many = matches!(look.goal, Goal::Within { max, .. } if self.nodes > max);
                let cost = (look.predict)(self.nodes).zip((look.predict)(fewer));
                let cost = cost.map_or(0.0, |(now, then)| now - then);
                if cost > miss_budget && !is_too_many {
                    return Err(cost);
                }
                Ok((lasts.min(rests) >= in_after).then_some(fewer))
            }
        }
    }

    fn go(&mut self, to: usize, look: &Look<'_>) {
        let step =
            |predicted| Step { from: self.nodes, to, at: look.at, predicted, measured: None };
        self.step = (look.predict)(to).map(step);
        self.nodes = to;
    }
}

impl Trend {
    /// Whether not all nodes have told what they measured (`told`), but for a short while only.
    pub(super) fn is_short_silence(&mut self, told: bool, now: i64) -> bool {
        if told {
            self.silent_since = None;
            return false;
        }
        now.saturating_sub(*self.silent_since.get_or_insert(now)) < SILENCE_SECONDS
    }

    /// Whether this is told, instead of what was told last.
    pub(super) fn is_told(&mut self, gist: String, now: i64) -> bool {
        if self.told.as_ref().is_none_or(|told| *told == gist) {
            (self.told, self.other) = (Some(gist), None);
            return true;
        }
        let other = self.other.take().filter(|(other, _)| *other == gist);
        let (other, since) = other.unwrap_or((gist, now));
        if now.saturating_sub(since) >= TOLD_AFTER_SECONDS {
            self.told = Some(other);
            return true;
        }
        self.other = Some((other, since));
        false
    }

    /// Notes since when the cluster rests, and since when hit ratio and entries have not risen.
    fn follow(&mut self, look: &Look<'_>) {
        self.rests_since.get_or_insert(look.now);
        if let Some(served) = look.hit_ratio
            && self.served.is_none_or(|(before, _)| served > before + RISE)
        {
            self.served = Some((served, look.now));
        }
        let has_grown = |used: u64| {
            self.used.is_none_or(|(before, _)| used as f64 > before as f64 * (1.0 + RISE))
        };
        match look.filling {
            Some(used) if has_grown(used) => self.used = Some((used, look.now)),
            Some(_) => {}
            None => self.used = None,
        }
    }

    /// Whether the hit ratio has risen lately.
    fn is_rising(&self, now: i64) -> bool {
        self.served.is_some_and(|(_, since)| now.saturating_sub(since) < WARM_UP_SECONDS)
    }

    /// For how many seconds the entries have not grown: while a cache fills, its curve does not know yet what will be read again.
    fn is_filled_for(&self, now: i64) -> i64 {
        self.used.map_or(i64::MAX, |(_, since)| now.saturating_sub(since))
    }

    /// Notes since when the number should change.
    fn turn(&mut self, nodes: usize, wanted: usize, now: i64) {
        let direction = match wanted {
            wanted if wanted > nodes => Some(Direction::Out),
            wanted if wanted < nodes => Some(Direction::In),
            _ => None,
        };
        let lasting = self.turn.filter(|(before, _)| Some(*before) == direction);
        self.turn = lasting.or(direction.map(|direction| (direction, now)));
    }
}
