//! Which spec is carried out: that of the resource, or the last valid one while that one breaks a rule or is paused.
//!
//! A cluster whose spec cannot be carried out still loses nodes and hosts. Without a spec to go by, nobody would take over the
//! slots of a dead node until a person has corrected a field that has nothing to do with it.

use ringcache_api::{CacheCluster, CacheClusterSpec};

use crate::{Intent, SpecProblem, validate};

/// Why the spec of the resource is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// `paused` is true.
    Paused,
    /// It breaks these rules.
    Invalid(Vec<SpecProblem>),
}

/// What is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct InForce {
    /// The spec that is carried out: everything is made by this one.
    pub spec: CacheClusterSpec,
    /// What it says.
    pub intent: Intent,
    /// Why it is not the one of the resource, if it is not.
    pub held: Option<Held>,
}

/// What is carried out, if `last` is the last spec that was carried out and not held, as far as anybody knows. An error if there
/// is nothing to go by: a cluster that has never had a valid spec, or was paused from the beginning.
pub fn in_force(cluster: &CacheCluster, last: Option<&CacheClusterSpec>) -> Result<InForce, Held> {
    let is_deleted = cluster.metadata.deletion_timestamp.is_some();
    let held = match validate(cluster) {
        Ok(intent) if !cluster.spec.paused || is_deleted => {
            return Ok(InForce { spec: cluster.spec.clone(), intent, held: None });
        }
        Ok(_) => Held::Paused,
        Err(problems) => Held::Invalid(problems),
    };
    // It was valid once. By a rule that has come since it need not be any more, which is no reason to leave the cluster alone.
    let intent = last.and_then(|spec| Intent::read(spec, is_deleted));
    match last.cloned().zip(intent) {
        Some((spec, intent)) => {
            let intent = Intent { paused: held == Held::Paused, ..intent };
            Ok(InForce { spec, intent, held: Some(held) })
        }
        None => Err(held),
    }
}
