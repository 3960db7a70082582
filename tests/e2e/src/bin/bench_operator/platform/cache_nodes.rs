//! The cache nodes of all pods: each owns what its ring document says as soon as nobody else does.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use ringcache_api::admin::{
    ADMIN_VERSION, KnownSettings, NodeState, NodeStats, Ownership, Settings, code,
};
use ringcache_api::{Document, Incarnation};
use ringcache_ring::SlotSet;

/// Addresses of pods.
pub(super) const ADDRESSES: &str = "10.90.0.0/16";

/// All nodes, by address.
#[derive(Default)]
pub(super) struct CacheNodes(Mutex<All>);

#[derive(Default)]
struct All {
    nodes: BTreeMap<Ipv4Addr, Node>,
    started: u16,
}

struct Node {
    name: String,
    incarnation: Incarnation,
    cluster_uid: String,
    settings: Settings,
    document: Option<Document>,
    intended: SlotSet,
    owned: SlotSet,
}

/// Code and message of a refusal.
pub(super) type Refusal = (&'static str, String);

impl CacheNodes {
    /// Starts the node of a pod and returns its address; `None` if it runs already.
    pub(super) fn start(&self, pod: &Pod) -> Option<Ipv4Addr> {
        let (mut all, uid) = (self.lock(), pod.uid()?);
        if all.nodes.values().any(|node| node.incarnation.uid() == uid) {
            return None;
        }
        all.started += 1;
        let [high, low] = all.started.to_be_bytes();
        let address = Ipv4Addr::new(10, 90, high, low);
        all.nodes.insert(address, Node::new(pod, &uid));
        Some(address)
    }

    /// Ends the node of a pod: what it owned is nobody's.
    pub(super) fn end(&self, uid: &str) {
        self.lock().nodes.retain(|_, node| node.incarnation.uid() != uid);
    }

    /// As the readiness probe says; `None` = it has ended.
    pub(super) fn is_ready(&self, uid: &str) -> Option<bool> {
        let all = self.lock();
        let node = all.nodes.values().find(|node| node.incarnation.uid() == uid)?;
        Some(node.document.is_some())
    }

    /// What the node at that address says of itself.
    pub(super) fn state(&self, address: Ipv4Addr) -> Option<NodeState> {
        self.lock().nodes.get(&address).map(Node::state)
    }

    /// Gives settings to the node at that address.
    pub(super) fn configure(&self, address: Ipv4Addr, settings: KnownSettings) {
        if let Some(node) = self.lock().nodes.get_mut(&address) {
            node.settings = settings.over(node.settings);
        }
    }

    /// Gives a document to the node at that address.
    pub(super) fn accept(&self, address: Ipv4Addr, document: Document) -> Result<u64, Refusal> {
        let mut all = self.lock();
        let Some(node) = all.nodes.get_mut(&address) else {
            return Err(("Unavailable", "no such node".to_owned()));
        };
        let epoch = document.epoch;
        node.accept(document)?;
        let cluster_uid = node.cluster_uid.clone();
        all.hand_over(&cluster_uid);
        Ok(epoch)
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        // Whoever panicked has changed one entry or none.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    /// Everybody in the cluster gives up what its document takes away, and then takes what is nobody's.
    fn hand_over(&mut self, cluster_uid: &str) {
        let mut nodes: Vec<&mut Node> =
            self.nodes.values_mut().filter(|node| node.cluster_uid == cluster_uid).collect();
        let mut taken = SlotSet::new();
        for node in &mut nodes {
            node.owned = node.owned.intersection(&node.intended);
            taken = taken.union(&node.owned);
        }
        for node in nodes {
            node.owned = node.owned.union(&node.intended.difference(&taken));
            taken = taken.union(&node.owned);
        }
    }
}

impl Node {
    fn new(pod: &Pod, uid: &str) -> Self {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let variables: Vec<_> = containers.flat_map(|c| c.env.iter().flatten()).collect();
        let variable = |name: &str| {
            let found = variables.iter().find(|variable| variable.name == name);
            found.and_then(|variable| variable.value.clone()).unwrap_or_default()
        };
        Self {
            name: pod.name_any(),
            incarnation: Incarnation::new(uid, "1"),
            cluster_uid: variable("RINGCACHE_CLUSTER_UID"),
            settings: Settings {
                ttl_default_seconds: variable("RINGCACHE_TTL_DEFAULT_SECONDS")
                    .parse()
                    .unwrap_or_default(),
                ttl_jitter_percent: variable("RINGCACHE_TTL_JITTER_PERCENT")
                    .parse()
                    .unwrap_or_default(),
            },
            document: None,
            intended: SlotSet::new(),
            owned: SlotSet::new(),
        }
    }

    fn accept(&mut self, document: Document) -> Result<(), Refusal> {
        if document.cluster.uid != self.cluster_uid {
            return Err((code::OTHER_CLUSTER, document.cluster.uid));
        }
        let known = self.document.as_ref();
        if known.is_some_and(|k| k.epoch >= document.epoch && k.checksum != document.checksum) {
            return Err((code::STALE_EPOCH, document.epoch.to_string()));
        }
        let is_member = document.incarnation(&self.incarnation).is_some();
        self.intended = if is_member { document.intended(&self.name) } else { SlotSet::new() };
        self.document = Some(document);
        Ok(())
    }

    fn state(&self) -> NodeState {
        let document = self.document.as_ref();
        NodeState {
            version: ADMIN_VERSION,
            name: self.name.clone(),
            incarnation: self.incarnation.clone(),
            cluster_uid: self.cluster_uid.clone(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: document.map_or(0, |document| document.epoch),
            checksum: document.map(|document| document.checksum.clone()).unwrap_or_default(),
            ownership: Ownership {
                owned: self.owned.ranges().map(std::ops::RangeInclusive::into_inner).collect(),
                ..Ownership::default()
            },
            settings: self.settings.into(),
            stats: NodeStats::default(),
            heard: Vec::new(),
            draining: false,
        }
    }
}
