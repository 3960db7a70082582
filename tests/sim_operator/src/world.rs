//! What the platform and the cache nodes do by themselves, in step with each other; and what a user sees of it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::EvictParams;
use ringcache_fake_apiserver::{ApiServer, ChangeKind, Kind};

use crate::desired::text;
use crate::plane::{Plane, PodView};
use crate::sim::{NAMESPACE, Sim};

/// Kinds that are told and forgotten, or belong to the platform.
const NOT_COUNTED: [Kind; 3] = [Kind::Event, Kind::Node, Kind::Namespace];

/// What is known of the pods.
#[derive(Default)]
pub(crate) struct World {
    /// Hosts without power.
    pub(crate) dark: BTreeSet<String>,
    /// The grace of a node was over while the API server served nobody, and nobody could record where its slots go.
    pub(crate) cut_short: bool,
    pods: Vec<PodView>,
    /// The revision that they were read at.
    seen: u64,
}

impl World {
    /// One step of everybody, with an API server that serves operators or `is_out`; true if anything has changed.
    pub(crate) fn step(&mut self, api: &ApiServer, is_out: bool, plane: &mut Plane) -> bool {
        api.step();
        let revision = api.revision();
        let mut changed = revision != self.seen;
        if changed {
            self.seen = revision;
            self.pods = api.look_at(Kind::Pod, PodView::read);
        }
        changed |= plane.follow(&self.pods, |host| self.dark.contains(host));
        for (place, slots) in plane.finish() {
            self.cut_short |= is_out && slots > 0;
            api.exit(&place.namespace, &place.name, 0);
            changed = true;
        }
        for (place, node) in plane.places() {
            api.set_ready(&place.namespace, &place.name, node.is_ready());
        }
        changed
    }
}

impl Sim {
    /// The pods of the first cluster that have not been told to end, by name.
    pub(crate) fn pod_names(&self) -> Vec<String> {
        let pods = self.api.of_kind(Kind::Pod);
        let live = pods.iter().filter(|pod| {
            text(pod, "/metadata/namespace") == NAMESPACE
                && pod.pointer("/metadata/deletionTimestamp").is_none()
        });
        live.map(|pod| text(pod, "/metadata/name").to_owned()).collect()
    }

    /// The n-th of them.
    pub(crate) fn pod(&self, n: usize) -> String {
        self.pod_names().swap_remove(n)
    }

    /// The host of the n-th pod.
    pub(crate) fn host_of(&self, n: usize) -> String {
        let pod = self.api.get(Kind::Pod, NAMESPACE, &self.pod(n)).unwrap_or_default();
        text(&pod, "/spec/nodeName").to_owned()
    }

    pub(crate) fn lose_power(&mut self, host: &str) {
        self.world.dark.insert(host.to_owned());
        self.api.lose_power(host);
    }

    /// Objects that were created and deleted since a revision, by kind.
    pub(crate) fn came_and_went(&self, since: u64) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for change in self.api.history(since) {
            let what = match change.kind {
                ChangeKind::Added => "create",
                ChangeKind::Deleted => "delete",
                ChangeKind::Modified => continue,
            };
            if !NOT_COUNTED.contains(&change.key.kind) {
                *counts.entry(format!("{what} {}", change.key.kind.plural())).or_default() += 1;
            }
        }
        counts
    }

    pub(crate) fn has_no_cluster(&self) -> bool {
        self.api.look_at(Kind::CacheCluster, |_| ()).is_empty()
    }

    /// What the platform would do to the end state and must not: of the pods that serve one can be evicted, and no second one while
    /// that one is on its way out.
    pub(crate) async fn doubts(&self) -> Vec<String> {
        let pods: Api<Pod> = Api::namespaced(self.api.client("administrator"), NAMESPACE);
        let mut doubts = Vec::new();
        let serves = |name: &String| {
            let pod = self.api.get(Kind::Pod, NAMESPACE, name).unwrap_or_default();
            PodView::read(&pod).ready
        };
        for (i, name) in self.pod_names().iter().filter(|name| serves(name)).enumerate() {
            match (i, pods.evict(name, &EvictParams::default()).await) {
                (0, Ok(_)) => {}
                (1.., Err(kube::Error::Api(status))) if status.code == 429 => {}
                (_, other) => doubts.push(format!("O5: eviction {i}, of {name}: {other:?}")),
            }
        }
        doubts
    }
}
