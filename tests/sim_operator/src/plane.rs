//! The data plane: one cache node for each running pod, at its address.

mod pod;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringcache_api::admin::{NodeCurve, NodeState, SettingsFor, code};
use ringcache_api::{Document, Incarnation};
use ringcache_ring::SLOTS;
use ringcache_sim_nodes::{Load, Node, Nodes};
use tokio::time::Instant;

pub(crate) use pod::PodView;

use crate::truth::Truths;

/// How often everybody but the operator takes a step while something is going on.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// How what a node says of itself is changed.
type Disguise = Arc<dyn Fn(&mut NodeState) + Send + Sync>;

/// All cache nodes of all clusters.
#[derive(Clone, Default)]
pub(crate) struct Plane {
    nodes: Nodes,
    /// Where each process runs: by the uid of its pod, also of those that have ended.
    places: BTreeMap<String, Place>,
    /// The nodes' own time at the beginning of this run's clock.
    before_ms: u64,
    began: Option<Instant>,
    /// Checksum of each document that any node was given, by cluster uid and epoch.
    documents: BTreeMap<(String, u64), String>,
    /// Whether one operator acts at a time, so that nothing older is ever pushed.
    pub(crate) single_writer: bool,
    /// Addresses that the operator does not reach, and until when.
    cut_off: BTreeMap<String, Instant>,
    /// What the nodes of another version say instead.
    disguise: Option<Disguise>,
    /// What clients read, if anything.
    pub(crate) load: Option<Load>,
    /// Since when what is true has been true.
    pub(crate) truths: Truths,
    /// What broke a rule.
    violations: Vec<String>,
}

/// A process and its pod.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) name: String,
    address: String,
    incarnation: Incarnation,
}

/// Why a node refuses a document or settings.
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Plane {
    /// The same nodes for another run, which has a clock of its own.
    pub(crate) fn resumed(&self) -> Self {
        let mut plane = self.clone();
        plane.before_ms = self.nodes.now_ms();
        plane.began = Some(Instant::now());
        plane.truths = self.truths.resumed();
        plane
    }

    fn now_ms(&self) -> u64 {
        let since = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        self.before_ms + u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Lets the nodes live up to this moment.
    fn catch_up(&mut self) {
        self.began.get_or_insert_with(Instant::now);
        let now_ms = self.now_ms();
        self.nodes.run_until(now_ms);
    }

    /// Starts nodes for pods that run, ends those whose pods do not, and lets time pass; true if anything has changed.
    pub(crate) fn follow(&mut self, pods: &[PodView], dark: impl Fn(&str) -> bool) -> bool {
        for pod in pods.iter().filter(|pod| pod.running && !dark(&pod.host)) {
            let place = self.places.entry(pod.uid.clone()).or_insert_with(|| {
                let start = pod.start();
                let incarnation = start.incarnation.clone();
                self.nodes.start(start);
                let (namespace, name) = (pod.namespace.clone(), pod.name.clone());
                Place { namespace, name, address: pod.address.clone(), incarnation }
            });
            if pod.deleting {
                self.nodes.terminate(&place.incarnation);
            }
        }
        let lives =
            |uid: &str| pods.iter().any(|pod| pod.uid == uid && pod.running && !dark(&pod.host));
        let ended = self.nodes.iter().map(Node::incarnation).filter(|run| !lives(run.uid()));
        for incarnation in ended.cloned().collect::<Vec<_>>() {
            self.nodes.end(&incarnation);
        }
        self.catch_up();
        let news = self.nodes.take_news();
        if news {
            self.see_what_is_true();
        }
        news
    }

    fn see_what_is_true(&mut self) {
        let mut truths = std::mem::take(&mut self.truths);
        truths.look(self);
        self.truths = truths;
    }

    /// Ends nodes that were told to end and may, and says where they were and how many slots they still served.
    pub(crate) fn finish(&mut self) -> Vec<(Place, usize)> {
        let mut finished = Vec::new();
        for incarnation in self.nodes.finished() {
            let slots = self.nodes.get(&incarnation).map_or(0, |node| node.serving().len());
            self.nodes.end(&incarnation);
            finished.extend(self.places.get(incarnation.uid()).cloned().map(|it| (it, slots)));
        }
        finished
    }

    /// All nodes that run.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// All nodes of a cluster that run.
    pub(crate) fn of_cluster(&self, uid: &str) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.cluster_uid() == uid)
    }

    /// All nodes that run, and where.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&Place, &Node)> {
        self.places.values().filter_map(|place| Some((place, self.nodes.get(&place.incarnation)?)))
    }

    /// The node in the pod with that uid.
    pub(crate) fn in_pod(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(&self.places.get(uid)?.incarnation)
    }

    /// From now on the operator does not reach the node in that pod, for so long.
    pub(crate) fn cut_off(&mut self, namespace: &str, name: &str, time: Duration) {
        let found = self.places().find(|(p, _)| p.namespace == namespace && p.name == name);
        if let Some(address) = found.map(|(place, _)| place.address.clone()) {
            self.cut_off.insert(address, Instant::now() + time);
        }
    }

    /// From now on what nodes say of themselves is changed like this.
    pub(crate) fn disguise(&mut self, change: impl Fn(&mut NodeState) + Send + Sync + 'static) {
        self.disguise = Some(Arc::new(change));
    }

    /// Who is reached at that address.
    fn at(&self, address: &str) -> Option<Incarnation> {
        if self.cut_off.get(address).is_some_and(|until| Instant::now() < *until) {
            return None;
        }
        let found = self.places().find(|(place, _)| place.address == address);
        found.map(|(place, _)| place.incarnation.clone())
    }

    /// The answer of the node at `address`, if one runs there.
    pub(crate) fn state(&mut self, address: &str) -> Option<NodeState> {
        let incarnation = self.at(address)?;
        let mut state = self.nodes.state(&incarnation)?;
        if let Some(change) = &self.disguise {
            change(&mut state);
        }
        Some(state)
    }

    /// What the node at `address` has measured, if one runs there and anything is read.
    pub(crate) fn curve(&self, address: &str) -> Option<NodeCurve> {
        let incarnation = self.at(address)?;
        let cluster = self.nodes.get(&incarnation)?.cluster_uid();
        let owners = self.of_cluster(cluster).filter(|node| !node.serving().is_empty()).count();
        self.load.map(|load| load.curve(incarnation, owners))
    }

    /// The node at `address` is given a document.
    pub(crate) fn push(
        &mut self,
        address: &str,
        document: &Document,
    ) -> Option<Result<(), Refusal>> {
        let incarnation = self.at(address)?;
        let key = (document.cluster.uid.clone(), document.epoch);
        let sent = self.documents.entry(key).or_insert_with(|| document.checksum.clone());
        if *sent != document.checksum {
            self.violations.push(format!("O15: two documents have epoch {}", document.epoch));
        }
        let epoch = self.nodes.get(&incarnation).map_or(0, Node::epoch);
        if document.epoch < epoch && self.single_writer {
            let text = format!("O15: a node has epoch {epoch} and was given {}", document.epoch);
            self.violations.push(text);
        }
        let answer = self.nodes.push(&incarnation, &Arc::new(document.clone()))?;
        // The operator may see and say at once what follows.
        self.see_what_is_true();
        Some(
            answer
                .map(drop)
                .map_err(|refusal| Refusal { code: refusal.code(), message: refusal.to_string() }),
        )
    }

    /// The node at `address` is given settings, and takes them if it is the one that they are for.
    pub(crate) fn configure(
        &mut self,
        address: &str,
        asked: &SettingsFor,
    ) -> Option<Result<(), Refusal>> {
        let incarnation = self.at(address)?;
        let answer = self.nodes.configure(&incarnation, asked.clone())?;
        Some(answer.map_err(|to| Refusal {
            code: code::OTHER_INCARNATION,
            message: format!("the settings are for {to}"),
        }))
    }

    /// Slots that were adopted since this was asked before: in a planned operation none.
    pub(crate) fn take_adopted(&mut self) -> u64 {
        self.nodes.take_adopted()
    }

    /// Slots of the cluster that nobody serves.
    pub(crate) fn unserved(&self, cluster_uid: &str) -> usize {
        usize::from(SLOTS) - self.nodes.served(cluster_uid).len()
    }

    /// Whether every slot is where the newest document wants it, and every member knows that document.
    pub(crate) fn is_converged(&self, cluster_uid: &str) -> bool {
        self.nodes.is_converged(cluster_uid)
    }

    /// Everything that broke a rule.
    pub(crate) fn violations(&self) -> impl Iterator<Item = String> {
        let nodes = self.nodes.violations().iter().map(|text| format!("O5: {text}"));
        self.violations.iter().cloned().chain(nodes)
    }
}
