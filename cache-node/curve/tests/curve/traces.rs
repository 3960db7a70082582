//! Curves of public traces against the exact simulation of the policy; where the traces come from: `tests/traces/README.md`.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::PathBuf;

use flate2::read::GzDecoder;
use ringcache_curve::{Sampler, Write};

use crate::exact::{Lru, hash};

/// Requests of a trace: key and bytes. Where a trace has no sizes, all are alike.
pub(crate) fn load(name: &str) -> Vec<(u64, u32)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/traces").join(name);
    let mut raw = Vec::new();
    let mut file = BufReader::new(File::open(path).unwrap());
    if name.contains(".xz") {
        lzma_rs::xz_decompress(&mut file, &mut raw).unwrap();
    } else {
        GzDecoder::new(file).read_to_end(&mut raw).unwrap();
    }
    if name.starts_with("cache2k") {
        let keys = raw.chunks_exact(4).map(|four| u32::from_be_bytes(four.try_into().unwrap()));
        return keys.map(|key| (u64::from(key), ALIKE)).collect();
    }
    let text = String::from_utf8(raw).unwrap();
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let request = |line: &str| match *line.split('\t').collect::<Vec<_>>() {
        [_, key, bytes] => Some((number(key)?, number(bytes)? as u32)),
        _ => Some((number(line)?, ALIKE)),
    };
    text.lines().filter_map(request).collect()
}

/// Bytes of an object of a trace without sizes.
const ALIKE: u32 = 1000;

pub(crate) fn names() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.contains(".trace.") || name.contains(".tsv."));
    names.sort();
    names
}

/// Bytes of all objects, and how many there are.
pub(crate) fn footprint(trace: &[(u64, u32)]) -> (u64, usize) {
    let sizes: HashMap<u64, u32> = trace.iter().copied().collect();
    (sizes.values().map(|bytes| u64::from(*bytes)).sum(), sizes.len())
}

/// What a node measures that serves the trace with that much memory: a miss is followed by a write.
pub(crate) fn measured(trace: &[(u64, u32)], bytes: u64, seed: u64) -> Sampler {
    let mut sampler = Sampler::new(Sampler::LIMIT, u64::MAX);
    let mut cache = Lru::new(bytes);
    for (now_ms, &(key, bytes)) in trace.iter().enumerate() {
        let (hash, now_ms) = (hash(key, seed), now_ms as u64);
        sampler.count(1, 0);
        sampler.read(hash, None, now_ms);
        if !cache.read(key) {
            cache.write(key, bytes);
            sampler.write(hash, Write { slot: 0, bytes, deadline_ms: u64::MAX }, now_ms);
        }
    }
    sampler
}

/// The hit ratio of a cache of that size, simulated.
pub(crate) fn simulated(trace: &[(u64, u32)], bytes: u64) -> f64 {
    let mut cache = Lru::new(bytes);
    let mut hits = 0;
    for &(key, bytes) in trace {
        if cache.read(key) {
            hits += 1;
        } else {
            cache.write(key, bytes);
        }
    }
    f64::from(hits) / trace.len() as f64
}

#[test]
fn a_curve_tells_the_hit_ratio_of_every_trace_to_two_points() {
    assert_eq!(names().len(), 9);
    let mut wrong = Vec::new();
    for name in names() {
        let trace = load(&name);
        let (footprint, objects) = footprint(&trace);
        let mut parts = vec![5, 10, 30];
        if objects / 100 >= 200 {
            parts.push(1);
        }
        for seed in 0..3 {
            let sampler = measured(&trace, footprint / 10, seed);
            let errors: Vec<f64> = parts
                .iter()
                .map(|part| {
                    let bytes = footprint * part / 100;
                    (sampler.curve().hit_ratio(bytes).unwrap() - simulated(&trace, bytes)).abs()
                })
                .collect();
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            println!("{name:24} seed {seed}: mean {mean:.4}, at {parts:?} % {errors:.4?}");
            if mean > 0.02 {
                wrong.push(format!("{name}, seed {seed}: {mean:.4}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_traces_are_those_that_the_literature_counts() {
    // Misses of LRU with a tenth of the objects, as two independent programs count them.
    let counted = [("cache2k_web07.trace.xz", 2048, 33_747), ("lirs_multi1.trace.gz", 260, 8_972)];
    for (name, objects, misses) in counted {
        let trace = load(name);
        let ratio = simulated(&trace, objects * u64::from(ALIKE));
        assert_eq!((trace.len() as f64 * (1.0 - ratio)).round() as u64, misses, "{name}");
    }
    let uniques: BTreeSet<u64> = load("tencent_2706.tsv.xz").iter().map(|(key, _)| *key).collect();
    assert_eq!(uniques.len(), 34_571);
}
