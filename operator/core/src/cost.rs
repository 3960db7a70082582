//! What another size of a cluster costs in hits.

use crate::autoscaling::Measured;
use crate::{Intent, Observed};

/// Hit ratios before and after, as parts of one, and the reads that miss in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// The part of the reads that are hits now.
    pub hits_now: f64,
    /// The part that would be with the other size, once it is warm.
    pub hits_then: f64,
    /// Reads in a second that are not hits now: they go to the origin.
    pub misses_now: f64,
    /// Those with the other size.
    pub misses_then: f64,
}

impl Cost {
    /// What it costs to go from what the members are to another size; `None` = nothing was read lately.
    pub fn of(measured: &Measured, observed: &Observed, to: &Intent) -> Option<Self> {
        let members = observed.stored().into_iter().flat_map(|document| &document.members);
        let sizes = members.filter_map(|member| observed.node(&member.uid));
        let sizes: Vec<f64> = sizes.map(|node| node.template.memory_bytes as f64).collect();
        let mean = sizes.iter().sum::<f64>() / sizes.len().max(1) as f64;
        let memory_factor = to.memory_bytes as f64 / mean.max(1.0);
        let bytes = measured.node_bytes as f64 * memory_factor * to.nodes as f64;
        let hits_now = measured.served()?;
        let hits_then = measured.curve.hit_ratio(bytes as u64)?;
        let misses = |hits: f64| measured.curve.reads() * (1.0 - hits);
        let (misses_now, misses_then) = (misses(hits_now), misses(hits_then));
        Some(Self { hits_now, hits_then, misses_now, misses_then })
    }
}
