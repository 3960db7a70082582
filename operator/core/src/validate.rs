//! Spec to intent: the same rules, in the same words, as the schema and its CEL rules. They are judged again here because
//! local mode has no API server, and because a resource may be older than a rule.

use std::fmt;
use std::ops::RangeInclusive;

use ringcache_api::cluster::{
    Autoscaling, MAX_JITTER_PERCENT, MAX_NAME_BYTES, MAX_NODES, MAX_QUANTITY_BYTES,
    MAX_SCALE_IN_DELAY_SECONDS, MAX_SCALE_OUT_DELAY_SECONDS, MAX_TTL_SECONDS, MIN_NODES, message,
};
use ringcache_api::{CacheCluster, CacheClusterSpec, Ttl};

use crate::Intent;
use crate::quantity;

mod additions;
mod pod;
mod service;

/// Least memory of a node.
const MIN_MEMORY_BYTES: u64 = 64 << 20;
/// Most memory of a node.
const MAX_MEMORY_BYTES: u64 = 1 << 40;

/// Longest spec as JSON, in bytes: it is recorded beside the ring document, where Kubernetes has room for 256 KiB.
pub const MAX_SPEC_BYTES: usize = 240 << 10;

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SpecProblem {
    /// Path of the field, such as `spec.memory`.
    pub field: &'static str,
    /// What is allowed, with the field in back-quotes.
    pub message: String,
}

/// Reads what the user wants, or says everything that is wrong with it at once.
pub fn validate(cluster: &CacheCluster) -> Result<Intent, Vec<SpecProblem>> {
    // Without `..`: a new field that nobody reads here does not compile.
    let CacheClusterSpec {
        nodes,
        autoscaling,
        memory,
        ttl,
        // See `in_force`.
        paused: _,
        image,
        image_pull_secret_names,
        resources,
        scheduling,
        pod,
        service,
        // The schema of its only field is all that there is to judge.
        disruption: _,
        inherit,
    } = &cluster.spec;
    let Ttl { default_seconds, jitter_percent } = *ttl;
    let mut problems = Problems(Vec::new());
    problems.name(cluster.metadata.name.as_deref().unwrap_or_default());
    problems.range("spec.nodes", *nodes, MIN_NODES..=MAX_NODES);
    if let Some(autoscaling) = autoscaling {
        problems.autoscaling(autoscaling);
    }
    problems.range("spec.ttl.defaultSeconds", default_seconds, 0..=MAX_TTL_SECONDS);
    problems.range("spec.ttl.jitterPercent", jitter_percent, 0..=MAX_JITTER_PERCENT);
    if jitter_percent != 0 && default_seconds <= 0 {
        problems.add("spec.ttl", message::JITTER_WITHOUT_TTL);
    }
    let memory_bytes = quantity::bytes(memory).filter(|_| memory.0.len() <= MAX_QUANTITY_BYTES);
    match memory_bytes {
        None => problems.add("spec.memory", message::MEMORY_QUANTITY),
        Some(bytes) if bytes < MIN_MEMORY_BYTES => problems.add("spec.memory", message::MEMORY_MIN),
        Some(bytes) if bytes > MAX_MEMORY_BYTES => problems.add("spec.memory", message::MEMORY_MAX),
        Some(_) => {}
    }
    pod::image(&mut problems, image.as_deref(), image_pull_secret_names);
    pod::resources(&mut problems, resources);
    pod::scheduling(&mut problems, scheduling);
    pod::inherit(&mut problems, inherit);
    additions::additions(&mut problems, pod);
    service::service(&mut problems, service);
    if serde_json::to_string(&cluster.spec).is_ok_and(|json| json.len() > MAX_SPEC_BYTES) {
        problems.add(
            "spec",
            format_args!("the whole spec must have at most {MAX_SPEC_BYTES} bytes as JSON"),
        );
    }
    let deleting = cluster.metadata.deletion_timestamp.is_some();
    // What keeps a spec from being read is a problem of its own.
    Intent::read(&cluster.spec, deleting).filter(|_| problems.0.is_empty()).ok_or(problems.0)
}

struct Problems(Vec<SpecProblem>);

impl Problems {
    fn add(&mut self, field: &'static str, message: impl fmt::Display) {
        self.0.push(SpecProblem { field, message: message.to_string() });
    }

    fn range(&mut self, field: &'static str, value: i32, allowed: RangeInclusive<i32>) {
        if !allowed.contains(&value) {
            let name = field.strip_prefix("spec.").unwrap_or(field);
            let (min, max) = allowed.into_inner();
            self.add(field, format_args!("`{name}` must be from {min} to {max}, but is {value}"));
        }
    }

    fn autoscaling(&mut self, spec: &Autoscaling) {
        let Autoscaling {
            min_nodes,
            max_nodes,
            hit_ratio_percent,
            memory_percent,
            cpu_percent,
            scale_out_delay_seconds,
            scale_in_delay_seconds,
        } = *spec;
        self.range("spec.autoscaling.minNodes", min_nodes, MIN_NODES..=MAX_NODES);
        self.range("spec.autoscaling.maxNodes", max_nodes, MIN_NODES..=MAX_NODES);
        let targets = [
            ("spec.autoscaling.hitRatioPercent", hit_ratio_percent),
            ("spec.autoscaling.memoryPercent", memory_percent),
            ("spec.autoscaling.cpuPercent", cpu_percent),
        ];
        for (field, percent) in targets {
            self.range(field, percent.unwrap_or(1), 1..=100);
        }
        let delays = 0..=MAX_SCALE_OUT_DELAY_SECONDS;
        self.range("spec.autoscaling.scaleOutDelaySeconds", scale_out_delay_seconds, delays);
        let delays = 0..=MAX_SCALE_IN_DELAY_SECONDS;
        self.range("spec.autoscaling.scaleInDelaySeconds", scale_in_delay_seconds, delays);
        if min_nodes > max_nodes {
            self.add("spec.autoscaling", message::AUTOSCALING_BOUNDS);
        }
        if targets.iter().all(|(_, percent)| percent.is_none()) {
            self.add("spec.autoscaling", message::AUTOSCALING_TARGETS);
        }
    }

    fn name(&mut self, name: &str) {
        if name.len() > MAX_NAME_BYTES {
            self.add("metadata.name", message::NAME_LENGTH);
        }
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let label = name.bytes().all(inner)
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-');
        if !label {
            self.add("metadata.name", message::NAME_LABEL);
        }
    }
}
