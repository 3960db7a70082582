//! The curve of a cluster from those of its nodes.

use ringcache_curve::{Curve, Sampler, Write};

use crate::exact::{Lru, hash};
use crate::traces::{footprint, load, measured, names, simulated};

/// Slots of these clusters.
const SLOTS: usize = 1024;

#[test]
fn curves_of_nodes_add_up_to_that_of_one_node() {
    let mut wrong = Vec::new();
    for name in names() {
        let trace = load(&name);
        let (footprint, _) = footprint(&trace);
        let alone = measured(&trace, footprint / 10, 1);
        for nodes in [3, 5, 7] {
            // With as many samples in all, so that chance has the same part in both.
            let merged = cluster(&trace, footprint / 10, nodes, Sampler::LIMIT / nodes);
            for part in [1, 5, 10, 30, 100] {
                let bytes = footprint * part / 100;
                let [one, all] =
                    [alone.curve(), &merged].map(|curve| curve.hit_ratio(bytes).unwrap());
                println!("{name:24} {nodes} nodes, {part:3} %: {one:.4} {all:.4}");
                if (one - all).abs() > 0.01 {
                    wrong.push(format!("{name}, {nodes} nodes, {part} %: {one:.4} and {all:.4}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_cluster_knows_its_hit_ratio_to_two_points() {
    let mut wrong = Vec::new();
    for name in names() {
        let trace = load(&name);
        let (footprint, _) = footprint(&trace);
        for nodes in [3, 5, 7] {
            let merged = cluster(&trace, footprint / 10, nodes, Sampler::LIMIT);
            let errors = [5, 10, 30].map(|part| {
                let bytes = footprint * part / 100;
                (merged.hit_ratio(bytes).unwrap() - simulated(&trace, bytes)).abs()
            });
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            println!("{name:24} {nodes} nodes: mean {mean:.4}, {errors:.4?}");
            if mean > 0.02 {
                wrong.push(format!("{name}, {nodes} nodes: {mean:.4}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The trace is served by that many nodes, each of which has a part of the slots and of the memory.
fn cluster(trace: &[(u64, u32)], bytes: u64, nodes: usize, limit: usize) -> Curve {
    let mut all: Vec<(Sampler, Lru)> = (0..nodes)
        .map(|node| {
            let slots = SLOTS / nodes + usize::from(node < SLOTS % nodes);
            let mut sampler = Sampler::new(limit, u64::MAX);
            sampler.set_share(slots, SLOTS);
            (sampler, Lru::new(bytes / nodes as u64))
        })
        .collect();
    for (now_ms, &(key, bytes)) in trace.iter().enumerate() {
        // Which slot a key has is another hash than the one that is sampled by.
        let slot = (hash(key, 99) % SLOTS as u64) as u16;
        let (sampler, cache) = &mut all[usize::from(slot) % nodes];
        let (hash, now_ms) = (hash(key, 1), now_ms as u64);
        sampler.count(1, 0);
        sampler.read(hash, None, now_ms);
        if !cache.read(key) {
            cache.write(key, bytes);
            sampler.write(hash, Write { slot, bytes, deadline_ms: u64::MAX }, now_ms);
        }
    }
    let mut merged = Curve::default();
    for (sampler, _) in &all {
        merged.merge(sampler.curve());
    }
    merged
}
