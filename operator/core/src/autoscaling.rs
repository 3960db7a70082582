//! How many nodes a cluster should have, by what its nodes have measured.
//!
//! Each target asks for the fewest nodes with which it would be met; the largest of these numbers is wanted. The hit ratio and the working
//! set come from the measured miss-ratio curve, so that the answer is about the size asked for and not about the one that there is: no
//! target has to be missed first to find out that it would be, and a cache full of cold entries asks for nothing.

mod pace;

use ringcache_curve::Curve;

pub use pace::{Active, Decision, Look, Pace, State, Step};

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
    /// Time in which the threads of a node work, at most.
    pub busy: Option<f64>,
}

/// What the nodes have measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// How many nodes have.
    pub nodes: usize,
    /// Bytes that the entries of each node may take.
    pub node_bytes: u64,
    /// The curves of all of them, merged.
    pub curve: &'a Curve,
    /// The part of the time in which their threads work, in the mean.
    pub busy: f64,
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

/// The number of nodes that is wanted, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizing {
    /// The number, within the bounds.
    pub nodes: usize,
    /// What each target asks for, whatever the bounds; `None` = no number meets it.
    pub asked: Vec<(Target, Option<usize>)>,
}

impl Measured<'_> {
    /// The hit ratio that so many nodes would have; `None` = nothing was read.
    pub fn hit_ratio(&self, nodes: usize) -> Option<f64> {
        self.curve.hit_ratio(self.bytes(nodes))
    }

    fn bytes(&self, nodes: usize) -> u64 {
        self.node_bytes.saturating_mul(nodes as u64)
    }

    /// How much the last of so many nodes gains.
    fn gain(&self, nodes: usize) -> f64 {
        let before = self.hit_ratio(nodes - 1).unwrap_or_default();
        self.hit_ratio(nodes).unwrap_or_default() - before
    }
}

/// How many nodes are wanted. `None` = nothing was read for as long as is remembered: whatever there is may stay.
pub fn sizing(targets: &Targets, measured: &Measured<'_>) -> Option<Sizing> {
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
