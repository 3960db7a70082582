//! The number of nodes that the targets ask for.

use std::fmt;

use ringcache_api::cluster::Autoscaling;

use super::{Measured, count};

/// Part of the hits that are reachable for which the working set has to fit.
const WORKING_SET_PART: f64 = 0.99;
/// Where no size reaches the hit ratio that is wanted, a node more has to gain as much as this.
const LEAST_GAIN: f64 = 0.005;

/// What is to be met, each as a part of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Targets {
    /// Fewest nodes, at least 1.
    pub min: usize,
    /// Most nodes, at least `min`.
    pub max: usize,
    /// Hits of all reads, at least.
    pub hit_ratio: Option<f64>,
    /// The working set, as a part of the bytes that entries may take, at most.
    pub memory: Option<f64>,
    /// Time in which the busiest thread of a node works, at most.
    pub busy: Option<f64>,
}

impl Targets {
    /// Those of a spec.
    pub fn of(spec: &Autoscaling) -> Self {
        let part = |percent: Option<i32>| percent.map(|percent| f64::from(percent) / 100.0);
        Self {
            min: count(spec.min_nodes),
            max: count(spec.max_nodes),
            hit_ratio: part(spec.hit_ratio_percent),
            memory: part(spec.memory_percent),
            busy: part(spec.cpu_percent),
        }
    }
}

/// One of the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `hitRatioPercent`.
    HitRatio,
    /// `memoryPercent`.
    Memory,
    /// `cpuPercent`.
    Cpu,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HitRatio => "hitRatioPercent",
            Self::Memory => "memoryPercent",
            Self::Cpu => "cpuPercent",
        })
    }
}

/// What a target asks for, whatever the bounds; `None` = no number within them meets it.
pub type Asked = (Target, Option<usize>);

/// The number of nodes that is wanted, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizing {
    /// The number, within the bounds.
    pub nodes: usize,
    /// What each target asks for.
    pub asked: Vec<Asked>,
}

/// How many nodes are wanted. `None` = nothing was read for as long as is remembered: whatever there is may stay.
pub fn sizing(targets: &Targets, measured: &Measured) -> Option<Sizing> {
    measured.hit_ratio(targets.min)?;
    let Targets { min, max, hit_ratio, memory, busy } = *targets;
    let by_hit_ratio = hit_ratio.map(|target| {
        (min..=max).find(|nodes| measured.hit_ratio(*nodes).is_some_and(|ratio| ratio >= target))
    });
    let by_memory = memory.map(|part| {
        let working_set = measured.curve.working_set(WORKING_SET_PART) as f64;
        fewest(working_set / (part * measured.node_bytes as f64))
    });
    let by_busy = busy.map(|part| fewest(measured.busy * measured.nodes as f64 / part));
    // A hit ratio that no size reaches does not drive the cluster to its maximum.
    let worth_it = || (min + 1..=max).rev().find(|nodes| measured.gain(*nodes) >= LEAST_GAIN);
    let for_hits = by_hit_ratio.map(|nodes| nodes.or_else(worth_it).unwrap_or(min));
    let most = [for_hits, by_memory, by_busy].into_iter().flatten().max();
    let asked = [
        (Target::HitRatio, by_hit_ratio),
        (Target::Memory, by_memory.map(Some)),
        (Target::Cpu, by_busy.map(Some)),
    ];
    let asked = asked.into_iter().filter_map(|(target, nodes)| Some((target, nodes?)));
    Some(Sizing { nodes: most.unwrap_or(measured.nodes).clamp(min, max), asked: asked.collect() })
}

/// The fewest nodes that make at least this many.
fn fewest(nodes: f64) -> usize {
    nodes.ceil().max(1.0) as usize
}
