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

/// The number of nodes in force: where nothing scales the cluster, that of the spec. More are started at once if fewer than the bounds
/// allow are in force; a node too many goes as any other one.
pub fn nodes(spec: &CacheClusterSpec, recorded: Option<&State>) -> usize {
    let asked = count(spec.nodes);
    let nodes = recorded.map_or(asked, |state| state.nodes);
    match &spec.autoscaling {
        Some(autoscaling) => nodes.max(count(autoscaling.min_nodes)),
        None => nodes,
    }
}

/// Whether the number of nodes is not simply that of the spec: it is scaled, or has been and returns to it.
pub fn is_on(spec: &CacheClusterSpec, recorded: Option<&State>) -> bool {
    spec.autoscaling.is_some() || recorded.is_some()
}

/// What follows from a look at a cluster at rest, at a time in seconds of a clock that only goes on, and in Unix seconds. `measured` is
/// `None` where not all nodes have told.
pub fn decide(
    spec: &CacheClusterSpec,
    recorded: Option<&State>,
    trend: &mut Trend,
    measured: Option<&Measured>,
    (now, at): (i64, i64),
) -> (Option<State>, Report) {
    let state = recorded.cloned().unwrap_or_else(|| State::new(nodes(spec, None)));
    let targets = spec.autoscaling.as_ref().map(Targets::of);
    let state = state.under(spec.autoscaling, nodes(spec, recorded));
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
        predict: &predict,
        hit_ratio: measured.and_then(Measured::served),
        is_warm: measured.is_none_or(|measured| measured.cold.is_empty()),
        half_life: measured.map_or(0, |measured| measured.half_life_seconds.ceil() as i64),
    };
    let Decision { state, verdict } = state.next(trend, &look);
    let report = Report::new(&state, verdict, sizing.as_ref(), measured, spec);
    let is_over = spec.autoscaling.is_none() && state.nodes == count(spec.nodes);
    ((!is_over).then_some(state), report)
}

/// A number of nodes; validation keeps what is no number away.
fn count(nodes: i32) -> usize {
    usize::try_from(nodes).unwrap_or(1).max(1)
}
