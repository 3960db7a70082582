//! What is told of the number of nodes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use ringcache_api::CacheClusterSpec;
use ringcache_api::status::{
    AutoscalingStatus, AutoscalingStep, CacheClusterStatus, condition, reason,
};

use super::{Measured, Sizing, State, Step, Verdict, count, is_on};
use crate::Held;

/// Reasons that a look at the spec gives, and that end with what they say.
const ENDED: [&str; 3] = [reason::PAUSED, reason::INVALID_SPEC, reason::AUTOSCALING_REMOVED];

/// How the number of nodes in force stands, for status and events.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The number in force.
    pub nodes: usize,
    /// The number that is wanted; `None` = it is not known now.
    pub wanted: Option<usize>,
    /// The last change that a hit ratio was predicted for.
    pub step: Option<Step>,
    /// Whether the autoscaler works.
    pub is_active: bool,
    /// A reason of the condition `AutoscalingActive`; `None` = that of the last status.
    pub reason: Option<&'static str>,
    /// What it means, in a sentence.
    pub message: String,
}

impl Report {
    pub(super) fn new(
        state: &State,
        verdict: Verdict,
        sizing: Option<&Sizing>,
        measured: Option<&Measured>,
        spec: &CacheClusterSpec,
    ) -> Self {
        let nodes = state.nodes;
        let (is_active, reason, message) = match (verdict, &spec.autoscaling) {
            (verdict, None) => {
                let held = match verdict {
                    Verdict::HeldBack(cost) => format!(
                        " The next one is worth {} of all reads and stays until it is worth less than 2 %: set `nodes` to the number to keep.",
                        percent(cost)
                    ),
                    _ => String::new(),
                };
                let message = format!(
                    "`autoscaling` was removed: from {nodes} nodes the cluster goes to the {} of `nodes`, one at a time.{held}",
                    spec.nodes
                );
                (false, reason::AUTOSCALING_REMOVED, message)
            }
            (Verdict::NothingMeasured, _) => {
                let message = "Waits for reads, and for all nodes to tell what they have measured.";
                (false, reason::NOTHING_MEASURED, message.to_owned())
            }
            (Verdict::PredictionsFailed, _) => {
                let step = state.step.map(|step| told(&step)).unwrap_or_default();
                let message = format!(
                    "Two changes in a row had another hit ratio than was predicted, the last one {step}. The number of nodes stays {nodes} \
                     until `autoscaling` is edited."
                );
                (false, reason::PREDICTIONS_FAILED, message)
            }
            (Verdict::HeldBack(cost), _) => {
                let message = format!(
                    "{}. One less would cost {} of all reads, more than the 2 % that are allowed.",
                    asked(sizing, measured, spec),
                    percent(cost)
                );
                (true, reason::HELD_BY_MISS_BUDGET, message)
            }
            (Verdict::Waits, _) => {
                (true, reason::CHANGE_DUE, format!("{}.", asked(sizing, measured, spec)))
            }
            (Verdict::Met, _) => {
                let most = spec.autoscaling.as_ref().map(|spec| count(spec.max_nodes));
                let is_beyond = |nodes: Option<usize>| nodes.is_none() || nodes > most;
                let is_out_of_reach = sizing
                    .is_some_and(|sizing| sizing.asked.iter().any(|(_, nodes)| is_beyond(*nodes)));
                let reason =
                    if is_out_of_reach { reason::TARGET_OUT_OF_REACH } else { reason::AS_WANTED };
                (true, reason, format!("{}.", asked(sizing, measured, spec)))
            }
        };
        let wanted = match &spec.autoscaling {
            Some(_) => sizing.map(|sizing| sizing.nodes),
            None => Some(count(spec.nodes)),
        };
        Self { nodes, wanted, step: state.step, is_active, reason: Some(reason), message }
    }

    /// Where nothing was decided, because something else is under way or changes of the spec wait. So many nodes are in force.
    pub fn undecided(
        spec: &CacheClusterSpec,
        recorded: Option<&State>,
        nodes: usize,
        held: Option<&Held>,
    ) -> Option<Self> {
        let is_by_bounds = recorded.is_some_and(|state| state.nodes != nodes);
        let (reason, message) = match held {
            Some(held) => {
                let is_paused = matches!(held, Held::Paused(_));
                let reason = if is_paused { reason::PAUSED } else { reason::INVALID_SPEC };
                let message = "The spec is held back, and the number of nodes stays as it is.";
                (Some(reason), message.to_owned())
            }
            None if is_by_bounds => {
                (Some(reason::CHANGE_DUE), format!("The bounds ask for {nodes} nodes."))
            }
            None => (None, "Waits until nothing else is under way.".to_owned()),
        };
        is_on(spec, recorded).then(|| Self {
            nodes,
            wanted: None,
            step: recorded.filter(|_| !is_by_bounds).and_then(|state| state.step),
            is_active: held.is_none() && spec.autoscaling.is_some(),
            reason,
            message,
        })
    }

    /// The words of what is told, without the shares in it.
    pub(super) fn gist(&self) -> String {
        let words = gist(&self.message).collect::<Vec<_>>().join(" ");
        format!("{} {:?} {:?} {words}", self.nodes, self.wanted, self.reason)
    }

    /// The same in the words of the last status.
    pub(super) fn without_news(self) -> Self {
        Self { reason: None, ..self }
    }

    /// The same as a part of a status.
    pub(crate) fn status(&self, previous: Option<&CacheClusterStatus>) -> AutoscalingStatus {
        let before = previous.and_then(|status| status.autoscaling.as_ref());
        let wanted = match self.reason {
            None => before.and_then(|before| before.wanted_nodes),
            Some(_) => self.wanted.map(|nodes| nodes.try_into().unwrap_or(i32::MAX)),
        };
        AutoscalingStatus {
            nodes: self.nodes.try_into().unwrap_or(i32::MAX),
            wanted_nodes: wanted,
            last_step: self.step.map(|step| AutoscalingStep {
                from_nodes: step.from.try_into().unwrap_or(i32::MAX),
                to_nodes: step.to.try_into().unwrap_or(i32::MAX),
                at: Time(Timestamp::from_second(step.at).unwrap_or_default()),
                predicted_hit_percent: tenths(step.predicted),
                measured_hit_percent: step.measured.map(tenths),
            }),
        }
    }

    /// Reason and message of the condition. Shares of reads change with every look: they are told anew when something else has changed.
    pub(crate) fn words(&self, previous: Option<&CacheClusterStatus>) -> (bool, String, String) {
        let before = previous.into_iter().flat_map(|status| &status.conditions);
        let before = before.into_iter().find(|it| it.type_ == condition::AUTOSCALING_ACTIVE);
        match (before, self.reason) {
            // What held the spec back is over.
            (Some(before), None) if !ENDED.contains(&before.reason.as_str()) => {
                (before.status == "True", before.reason.clone(), before.message.clone())
            }
            (Some(before), Some(reason))
                if before.reason == reason && gist(&before.message).eq(gist(&self.message)) =>
            {
                (before.status == "True", before.reason.clone(), before.message.clone())
            }
            (_, reason) => {
                let reason = reason.unwrap_or(reason::CHANGE_DUE);
                (self.is_active, reason.to_owned(), self.message.clone())
            }
        }
    }
}

/// The words of a message without the shares in it.
fn gist(message: &str) -> impl Iterator<Item = &str> {
    let words = message.split(' ');
    let next = words.clone().skip(1).map(Some).chain([None]);
    let is_share = |next: Option<&str>| next.is_some_and(|next| next.starts_with('%'));
    words.zip(next).filter(move |(_, next)| !is_share(*next)).map(|(word, _)| word)
}

/// What the targets ask for, and what no number of nodes gives.
fn asked(sizing: Option<&Sizing>, measured: Option<&Measured>, spec: &CacheClusterSpec) -> String {
    let Some((sizing, spec)) = sizing.zip(spec.autoscaling.as_ref()) else {
        return "The bounds ask for another number of nodes".to_owned();
    };
    let asked = sizing.asked.iter().map(|(target, nodes)| match nodes {
        Some(1) => format!("`{target}` asks for 1 node"),
        Some(nodes) => format!("`{target}` asks for {nodes} nodes"),
        None => format!(
            "`{target}` is met by no number of nodes up to {}{}",
            spec.max_nodes,
            measured.map(missing).unwrap_or_default()
        ),
    });
    asked.collect::<Vec<_>>().join(", ")
}

/// What the reads are that are hits at no size.
fn missing(measured: &Measured) -> String {
    let expired = measured.curve.expired().unwrap_or_default();
    let reachable = measured.curve.reachable().unwrap_or_default();
    let absent = (1.0 - reachable - expired).max(0.0);
    format!(
        ": {} of all reads are of keys that were never written, or not used for long, {} of keys that had expired",
        percent(absent),
        percent(expired)
    )
}

fn told(step: &Step) -> String {
    let Step { from, to, at: _, predicted, measured } = step;
    let measured = measured.map_or_else(|| "unknown".to_owned(), percent);
    format!("from {from} to {to} nodes: {} predicted, {measured} measured", percent(*predicted))
}

fn percent(part: f64) -> String {
    format!("{} %", tenths(part))
}

fn tenths(part: f64) -> String {
    format!("{:.1}", part * 100.0)
}
