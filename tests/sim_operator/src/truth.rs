//! O10: what a status says is true: judged at every write of one, by the nodes themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcache_api::status::{condition, reason};
use ringcache_fake_apiserver::{Call, merge_into};
use serde_json::Value;
use tokio::time::Instant;

use crate::plane::Plane;

/// What was so for this long is known to an operator that looks: it asks every second while anything is under way, and is told
/// within ten that a node does not answer.
const KNOWN: Duration = Duration::from_secs(15);

/// Since when what is true of each cluster has been true, by uid.
#[derive(Clone, Default)]
pub(crate) struct Truths(BTreeMap<String, Truth>);

#[derive(Clone, Copy)]
struct Truth {
    served: (bool, Instant),
    converged: (bool, Instant),
    /// How many nodes own slots.
    owners: (usize, Instant),
}

fn follow<T: PartialEq>(was: &mut (T, Instant), is: T, now: Instant) {
    if was.0 != is {
        *was = (is, now);
    }
}

impl Truths {
    /// Looks at the nodes. To be called whenever anything about them may have changed.
    pub(crate) fn look(&mut self, plane: &Plane) {
        let now = Instant::now();
        let mut uids: Vec<&str> =
            plane.iter().map(ringcache_sim_nodes::Node::cluster_uid).collect();
        uids.dedup();
        let known = self.0.keys().cloned().collect::<Vec<_>>();
        for uid in uids.into_iter().map(str::to_owned).chain(known) {
            let (served, converged) = (plane.unserved(&uid) == 0, plane.is_converged(&uid));
            let owners = plane.of_cluster(&uid).filter(|node| !node.serving().is_empty()).count();
            let truth = self.0.entry(uid).or_insert(Truth {
                served: (served, now),
                converged: (converged, now),
                owners: (owners, now),
            });
            follow(&mut truth.served, served, now);
            follow(&mut truth.converged, converged, now);
            follow(&mut truth.owners, owners, now);
        }
    }

    /// The time of another run is not that of this one.
    pub(crate) fn resumed(&self) -> Self {
        let (mut truths, now) = (self.clone(), Instant::now());
        for truth in truths.0.values_mut() {
            (truth.served.1, truth.converged.1, truth.owners.1) = (now, now, now);
        }
        truths
    }

    /// What is not true of the status that a call writes to the cluster, where the nodes of clusters that serve run these images; `Ready` may be false of
    /// one that serves only if `planned` is not set.
    pub(crate) fn lies(
        &self,
        call: &Call,
        cluster: &Value,
        images: &[(String, String)],
        planned: bool,
    ) -> Vec<String> {
        let mut lies = Vec::new();
        let of_cluster = |path: &str| cluster.pointer(path);
        // A call says what changes.
        let mut status = cluster["status"].clone();
        merge_into(&mut status, &call.body["status"]);
        let observed = status.pointer("/observedGeneration").and_then(Value::as_i64);
        let generation = of_cluster("/metadata/generation").and_then(Value::as_i64);
        if observed > generation {
            lies.push(format!("O10: generation {observed:?} was seen of {generation:?}"));
        }
        let uid = of_cluster("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        let Some(truth) = self.0.get(uid) else { return lies };
        let conditions = status.pointer("/conditions").and_then(Value::as_array);
        let says = |type_: &str| {
            let found = conditions.into_iter().flatten().find(|c| c["type"] == type_);
            found.and_then(|c| c["status"].as_str())
        };
        // Of a cluster that it cannot look at the operator says so, and leaves the rest as it was.
        let reconciling =
            conditions.into_iter().flatten().find(|c| c["type"] == condition::RECONCILING);
        if reconciling.is_some_and(|c| c["reason"] == reason::FAILING) {
            return lies;
        }
        let lasts = |(is, since): (bool, Instant)| (is, since.elapsed() >= KNOWN);
        let degraded = conditions.into_iter().flatten().find(|c| c["type"] == condition::DEGRADED);
        let degraded = degraded.filter(|c| c["status"] == "True");
        if degraded.is_some() && status.pointer("/operation").is_none() {
            lies.push("O10: Degraded, and nothing is under way".into());
        }
        let scaled = status.pointer("/autoscaling/nodes");
        let wanted = scaled.or(of_cluster("/spec/nodes")).and_then(Value::as_u64);
        let (owners, since) = truth.owners;
        // Of what nobody has planned, such as a node that the operator does not reach, it knows only what it can see.
        if planned
            && degraded.is_some_and(|c| c["reason"] == reason::NODES_MISSING)
            && observed == generation
            && says(condition::STALLED) == Some("False")
            && of_cluster("/spec/paused") != Some(&Value::Bool(true))
            && wanted.is_some_and(|wanted| owners as u64 >= wanted)
            && since.elapsed() >= KNOWN
        {
            lies.push(format!("O10: nodes are missing, and {owners} of {wanted:?} own slots"));
        }
        let wanted = of_cluster("/spec/image").and_then(Value::as_str);
        let mut others =
            images.iter().filter(|(owner, image)| owner == uid && Some(&**image) != wanted);
        if says(condition::UP_TO_DATE) == Some("True")
            && observed == generation
            && let (Some(wanted), Some((_, image))) = (wanted, others.next())
        {
            lies.push(format!("O10: UpToDate, and a node runs {image} instead of {wanted}"));
        }
        match (says(condition::READY), lasts(truth.served)) {
            (Some("True"), (false, true)) => {
                lies.push("O10: Ready, and slots are not served".into());
            }
            (Some("False"), (true, true)) if planned => {
                lies.push("O10: not Ready, and all slots are served".into());
            }
            _ => {}
        }
        if let (Some("True"), (false, true)) =
            (says(condition::RING_CONVERGED), lasts(truth.converged))
        {
            lies.push("O10: RingConverged, and slots are not where they should be".into());
        }
        lies
    }
}
