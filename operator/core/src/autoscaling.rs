//! How many nodes a cluster should have, by what its nodes have measured.
//!
//! Each target asks for the fewest nodes with which it would be met; the largest of these numbers is wanted. The hit ratio and the working
//! set come from the measured miss-ratio curve, so that the answer is about the size asked for and not about the one that there is: no
//! target has to be missed first to find out that it would be, and a cache full of cold entries asks for nothing.
//!
//! The number in force is kept with the ring document, and never in `spec.nodes`: that is the user's. It changes only while the cluster is at
//! rest, one change at a time, and the change is recorded before anything is done for it.

mod measured;
mod report;
mod sizing;
mod state;

use ringcache_api::CacheClusterSpec;

pub use measured::Measured;
pub use report::Report;
pub use sizing::{Asked, Sizing, Target, Targets, sizing};
pub use state::{Decision, Direction, Goal, Look, Pace, State, Step, Trend, Verdict};

/// The number of nodes in force, with so many members of the ring that stay. Where nothing scales the cluster it is that of the spec. Fewer
/// than the least are never in force; a node too many goes as any other one.
///
/// Autoscaling begins at what is there: `nodes` may have been taken out of the manifest together with what scaled it before. And once it was
/// removed, nodes that a record of long ago speaks of are not started for it.
pub fn nodes(spec: &CacheClusterSpec, recorded: Option<&State>, members: usize) -> usize {
    let asked = count(spec.nodes);
    let least = spec.autoscaling.as_ref().map(|autoscaling| count(autoscaling.min_nodes));
    match (least, recorded) {
        (Some(least), None) => asked.max(members).max(least),
        (Some(least), Some(state)) => state.nodes.max(least),
        (None, None) => asked,
        (None, Some(state)) => state.nodes.min(asked.max(members)),
    }
}

/// Whether the number of nodes is not simply that of the spec: it is scaled, or has been and returns to it.
pub fn is_on(spec: &CacheClusterSpec, recorded: Option<&State>) -> bool {
    spec.autoscaling.is_some() || recorded.is_some()
}

/// A look at a cluster in which nothing is under way.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The number of nodes in force.
    pub nodes: usize,
    /// The nodes that take part, where the others were waited for and cannot start.
    pub there: Option<usize>,
    /// What the nodes have measured; `None` = one of them did not tell.
    pub measured: Option<&'a Measured>,
    /// Seconds of a clock that only goes on.
    pub now: i64,
    /// Unix seconds.
    pub at: i64,
}

/// What follows from a look.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// What is to be recorded; `None` = nothing scales the cluster any more.
    pub record: Option<State>,
    /// The number of nodes that is in force from now on.
    pub nodes: usize,
    /// What is told; `None` with the record.
    pub report: Option<Report>,
}

/// What follows from a look at a cluster in which nothing is under way.
pub fn decide(
    spec: &CacheClusterSpec,
    recorded: Option<&State>,
    trend: &mut Trend,
    seen: &Seen<'_>,
) -> Decided {
    let Seen { nodes, there, measured, now, at } = *seen;
    let state = recorded.cloned().unwrap_or_else(|| State::new(nodes));
    let state = state.under(spec.autoscaling, nodes);
    if spec.autoscaling.is_none() && state.nodes == count(spec.nodes) {
        return Decided { record: None, nodes, report: None };
    }
    if trend.is_short_silence(measured.is_some(), now) {
        let report = Report::undecided(spec, Some(&state), nodes, None);
        return Decided { record: Some(state), nodes, report };
    }
    let targets = spec.autoscaling.as_ref().map(Targets::of);
    let sizing = targets.as_ref().zip(measured).and_then(|(targets, it)| sizing(targets, it));
    let predict = |nodes: usize| measured.and_then(|measured| measured.hit_ratio(nodes));
    let goal = match &targets {
        Some(Targets { min, max, .. }) => Goal::Within {
            wanted: sizing.as_ref().map(|sizing| sizing.nodes),
            min: *min,
            max: *max,
        },
        None => Goal::Number(count(spec.nodes)),
    };
    let look = Look {
        now,
        at,
        pace: Pace::of(spec.autoscaling.as_ref()),
        goal,
        there,
        predict: &predict,
        hit_ratio: measured.and_then(Measured::served),
        is_warm: measured.is_none_or(|measured| measured.cold.is_empty()),
        filling: measured
            .filter(|measured| !measured.is_full())
            .map(|measured| measured.used_bytes),
        half_life: measured.map_or(0, |measured| measured.half_life_seconds.ceil() as i64),
    };
    let Decision { state, verdict } = state.next(trend, &look);
    let report = Report::new(&state, verdict, sizing.as_ref(), measured, spec);
    let report = if trend.is_told(report.gist(), now) { report } else { report.without_news() };
    Decided { nodes: state.nodes, record: Some(state), report: Some(report) }
}

/// A number of nodes; validation keeps what is no number away.
fn count(nodes: i32) -> usize {
    usize::try_from(nodes).unwrap_or(1).max(1)
}
