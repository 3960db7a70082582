//! What the operator works on: a store for the document, a platform that starts and ends processes, and the cache nodes in them,
//! with their real ownership machine.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use ringcache_api::admin::{NodeState, SettingsFor};
use ringcache_api::cluster::parse_yaml;
use ringcache_api::document::ClusterRef;
use ringcache_api::{CacheCluster, CacheClusterSpec, Document, Incarnation};
use ringcache_operator_core::{
    Checked, InForce, Intent, Observed, Phase, Plan, Step, check, in_force, plan,
};
use ringcache_ring::SlotSet;
use ringcache_sim_nodes::Nodes;

use crate::node::Node;

/// A program that no host can start: an image that cannot be pulled, more memory than any host has.
pub(crate) const BAD_PROGRAM: &str = "1.bad";
/// How long a tick lasts for the nodes, in milliseconds, by the last bits of its fate: some slots have moved then, or all that can.
const TICKS_MS: [u64; 4] = [600, 30, 150, 10_000];

pub(crate) struct World {
    pub(crate) cluster: CacheCluster,
    /// The last spec that was valid and not paused.
    pub(crate) last: Option<CacheClusterSpec>,
    pub(crate) program: String,
    pub(crate) stored: Option<Document>,
    pub(crate) nodes: Vec<Node>,
    /// The processes that run in them.
    plane: RefCell<Nodes>,
    /// How many nodes the hosts have room for.
    pub(crate) room: usize,
    /// Slots that have changed hands, adopted ones not among them.
    pub(crate) moved: u64,
    /// The plans with steps that were executed, as text.
    pub(crate) transcript: Vec<String>,
    started: u16,
    ticks: u64,
}

pub(crate) fn spec(nodes: i32, more: &str) -> CacheCluster {
    let yaml = format!(
        "apiVersion: ringcache.dev/v1alpha1\nkind: CacheCluster\nmetadata: {{name: simple-web}}\nspec:\n  nodes: {nodes}\n{more}"
    );
    parse_yaml(&yaml).unwrap()
}

impl World {
    pub(crate) fn new(cluster: CacheCluster) -> Self {
        Self {
            cluster,
            last: None,
            program: "1.0".into(),
            stored: None,
            nodes: Vec::new(),
            plane: RefCell::default(),
            room: usize::MAX,
            moved: 0,
            transcript: Vec::new(),
            started: 0,
            ticks: 0,
        }
    }

    /// A cluster of `nodes` nodes with nothing to do.
    pub(crate) fn steady(nodes: i32) -> Self {
        let mut world = Self::new(spec(nodes, ""));
        world.settle();
        world.transcript.clear();
        world
    }

    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut ringcache_api::CacheClusterSpec)) {
        if let Ok(InForce { spec, held: None, .. }) = in_force(&self.cluster, None) {
            self.last = Some(spec);
        }
        edit(&mut self.cluster.spec);
        *self.cluster.metadata.generation.get_or_insert(1) += 1;
    }

    pub(crate) fn delete(&mut self) {
        self.cluster.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    }

    pub(crate) fn in_force(&self) -> InForce {
        in_force(&self.cluster, self.last.as_ref()).unwrap()
    }

    pub(crate) fn intent(&self) -> Intent {
        self.in_force().intent
    }

    pub(crate) fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.name == name).unwrap()
    }

    pub(crate) fn observe(&self) -> Observed {
        self.follow();
        Observed {
            cluster: cluster_ref(),
            generation: self.cluster.metadata.generation.unwrap_or(1),
            program: self.program.clone(),
            pod: String::new(),
            endpoints: None,
            open: true,
            document: self.stored.clone(),
            nodes: self.nodes.iter().map(|node| node.observed(self.state(node))).collect(),
            seen: Vec::new(),
            starts_fail: false,
            foreign: BTreeSet::new(),
            lost: None,
        }
    }

    /// An older document was restored: those that know a newer one answer. If none of them did, nobody could tell that nodes
    /// which it does not know own slots: one fault more than is promised to be survived.
    pub(crate) fn hear_of_newer_documents(&mut self) {
        let stored = self.stored.as_ref().map_or(0, |document| document.epoch);
        let epochs: Vec<u64> = self.nodes.iter().map(|node| self.epoch(node)).collect();
        for (node, epoch) in self.nodes.iter_mut().zip(epochs) {
            node.silent &= epoch <= stored;
        }
    }

    /// A checked plan for what is observed now; a refused one fails the test.
    pub(crate) fn plan(&self) -> Plan<Checked> {
        checked(&self.intent(), &self.observe())
    }

    /// Executes the first `limit` steps, each only if the node is still the one meant.
    pub(crate) fn execute(&mut self, plan: &Plan<Checked>, limit: usize) {
        for step in plan.steps().iter().take(limit) {
            match step {
                Step::WriteDocument { document } => {
                    let answering = self.nodes.iter().filter(|node| node.answers());
                    let nodes = answering.map(|node| self.epoch(node));
                    let seen = nodes.chain(self.stored.iter().map(|d| d.epoch)).max().unwrap_or(0);
                    assert!(document.epoch > seen, "epoch {} after {seen}", document.epoch);
                    if seen == 0 {
                        // Whoever lost the document and every member but one that is cut off starts anew.
                        self.bury(|_, node| node.phase == Phase::Lost);
                    }
                    self.stored = Some(document.clone());
                }
                Step::PushDocument { name: _, uid, epoch } => {
                    let document = self.stored.clone().filter(|d| d.epoch == *epoch);
                    let document = Arc::new(document.expect("the stored document is pushed"));
                    if let Some(node) = self.nodes.iter().find(|n| n.uid == *uid && n.answers()) {
                        // Refused by a node that knows a newer one, as a real operator is.
                        let _ = self.plane.get_mut().push(&node.incarnation(), &document);
                    }
                }
                Step::Configure { name: _, uid, settings } => {
                    if let Some(node) = self.nodes.iter().find(|n| n.uid == *uid && n.answers()) {
                        let to = node.incarnation();
                        let asked =
                            SettingsFor { to: Some(to.clone()), settings: (*settings).into() };
                        self.plane.get_mut().configure(&to, asked);
                    }
                }
                Step::StartNode { name, template, settings } => {
                    assert!(self.nodes.iter().all(|n| n.name != *name), "{name} exists");
                    self.started += 1;
                    let node = Node::new(name, self.started, template, *settings);
                    let stuck = !self.has_room() || template.program == BAD_PROGRAM;
                    let phase = if stuck { Phase::Pending } else { Phase::Starting };
                    self.nodes.push(Node { phase, stuck, ..node });
                }
                Step::StopNode { name: _, uid, reason: _ } => self.stop(uid),
            }
        }
    }

    fn stop(&mut self, uid: &str) {
        let Some(i) = self.nodes.iter().position(|node| node.uid == uid) else { return };
        if self.nodes[i].phase == Phase::Exited {
            self.nodes.remove(i);
            return;
        }
        if self.nodes[i].phase == Phase::Lost {
            self.nodes[i].ends_at = Some(0);
            return;
        }
        let given_up = self.is_outcast(&self.nodes[i]);
        if self.cluster.metadata.deletion_timestamp.is_none() && !given_up {
            let (name, uid) = (&self.nodes[i].name, self.nodes[i].incarnation());
            if let Some(state) = self.state(&self.nodes[i]) {
                let own = state.ownership;
                let holds_nothing = own.owned.is_empty() && own.sealed.is_empty();
                assert!(holds_nothing, "{name} is stopped with slots");
            }
            for other in self.nodes.iter().filter(|node| self.takes_part(node)) {
                let Some(state) = self.state(other) else { continue };
                let waits = state.ownership.sealed.iter().any(|sealed| sealed.to == uid);
                assert!(!waits, "{} waits for {name}", other.name);
            }
        }
        self.terminate(i, 1);
    }

    /// Told to end, by whomever: it serves for `ticks` more.
    pub(crate) fn terminate(&mut self, i: usize, ticks: u64) {
        let ends_at = self.ticks + ticks;
        let node = &mut self.nodes[i];
        if !node.phase.is_over() && node.ends_at.is_none() {
            if node.phase != Phase::Pending {
                node.phase = Phase::Stopping;
            }
            node.ends_at = Some(ends_at);
        }
    }

    /// Its host is cut off: the platform still has a record of the node, and nobody can reach it. Platforms that notice
    /// this do not restart processes in place.
    pub(crate) fn cut_off(&mut self, i: usize) {
        let node = &self.nodes[i];
        if matches!(node.phase, Phase::Running | Phase::Stopping) && node.restarts == 0 {
            self.nodes[i].phase = Phase::Lost;
        }
    }

    /// The host is back, and the process has never ended.
    pub(crate) fn reconnect(&mut self, i: usize) {
        let ticks = self.ticks;
        let node = &mut self.nodes[i];
        if node.phase == Phase::Lost {
            let told = node.ends_at.is_some();
            node.phase = if told { Phase::Stopping } else { Phase::Running };
            node.ends_at = told.then_some(ticks + 2);
        }
    }

    /// What was given up, and fulfils `what`, never comes back.
    pub(crate) fn bury(&mut self, what: impl Fn(&Self, &Node) -> bool) {
        let buried = self.nodes.iter().filter(|node| what(self, node));
        let buried: Vec<String> = buried.map(|node| node.uid.clone()).collect();
        self.nodes.retain(|node| !buried.contains(&node.uid));
    }

    /// Whether the node is lost and the stored document does not know it.
    pub(crate) fn is_unaccounted(&self, node: &Node) -> bool {
        let uid = node.incarnation();
        let known = |document: &Document| {
            document.incarnation(&uid).is_some() || document.gone.contains(&uid)
        };
        node.phase == Phase::Lost && !self.stored.as_ref().is_some_and(known)
    }

    /// Whether somebody knows that the node is gone, although it runs.
    pub(crate) fn is_outcast(&self, node: &Node) -> bool {
        self.follow();
        let (uid, plane) = (node.incarnation(), self.plane.borrow());
        let documents = plane.iter().filter_map(|node| node.document().map(|d| &**d));
        documents.chain(&self.stored).any(|document| document.gone.contains(&uid))
    }

    /// Whether the node takes part: what it does reaches others.
    fn takes_part(&self, node: &Node) -> bool {
        matches!(node.phase, Phase::Running | Phase::Stopping) && !self.is_outcast(node)
    }

    /// What the node says of itself, if it runs.
    fn state(&self, node: &Node) -> Option<NodeState> {
        self.plane.borrow_mut().state(&node.incarnation())
    }

    /// The document that the node has; 0 = none.
    fn epoch(&self, node: &Node) -> u64 {
        self.plane.borrow().get(&node.incarnation()).map_or(0, ringcache_sim_nodes::Node::epoch)
    }

    /// Starts and ends processes as the platform says, and cuts those off whose hosts are.
    fn follow(&self) {
        let mut plane = self.plane.borrow_mut();
        let running: Vec<&Node> = self.nodes.iter().filter(|node| node.runs()).collect();
        for node in &running {
            let incarnation = node.incarnation();
            if plane.get(&incarnation).is_none() {
                plane.start(node.start());
            }
            plane.isolate(&incarnation, node.phase == Phase::Lost);
            if node.ends_at.is_some() {
                plane.terminate(&incarnation);
            }
        }
        let ended: Vec<Incarnation> = plane
            .iter()
            .map(|process| process.incarnation().clone())
            .filter(|run| running.iter().all(|node| node.incarnation() != *run))
            .collect();
        for run in ended {
            plane.end(&run);
        }
    }

    /// One round of the operator, after which the world goes on.
    pub(crate) fn round(&mut self) -> Plan<Checked> {
        self.round_of(0)
    }

    /// The same, with a fate for the tick.
    pub(crate) fn round_of(&mut self, fate: u64) -> Plan<Checked> {
        let plan = self.plan();
        if !plan.steps().is_empty() {
            self.transcript.push(plan.to_string());
        }
        self.execute(&plan, usize::MAX);
        self.tick(fate);
        plan
    }

    fn has_room(&self) -> bool {
        let takes_room = |node: &&Node| !matches!(node.phase, Phase::Pending | Phase::Exited);
        self.nodes.iter().filter(takes_room).count() < self.room
    }

    /// Rounds until there is nothing to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..300 {
            let plan = self.round();
            if !plan.poll_soon() {
                assert!(plan.steps().is_empty(), "nothing to do, but: {plan}");
                return;
            }
        }
        panic!("does not settle:\n{}\n{}", self.transcript.join("\n"), self.plan());
    }

    /// Nodes start, end, adopt and hand over, for as long as `fate` says.
    pub(crate) fn tick(&mut self, fate: u64) {
        self.ticks += 1;
        for i in 0..self.nodes.len() {
            let has_room = self.has_room();
            let node = &mut self.nodes[i];
            node.rests = node.rests.saturating_sub(1);
            node.silent_ticks = if node.answers() { 0 } else { node.silent_ticks + 1 };
            node.stuck &= !has_room || node.template.program == BAD_PROGRAM;
            let waits = matches!(node.phase, Phase::Pending | Phase::Starting);
            if waits && !node.stuck && node.ends_at.is_none() {
                node.phase = Phase::Running;
            }
        }
        let over = |node: &Node| {
            node.phase != Phase::Lost && node.ends_at.is_some_and(|at| at <= self.ticks)
        };
        self.nodes.retain(|node| !over(node));
        self.follow();
        let plane = self.plane.get_mut();
        let until = plane.now_ms() + TICKS_MS[fate as usize % TICKS_MS.len()];
        plane.run_until(until);
        self.moved += plane.take_handed();
        assert_eq!(plane.violations(), [""; 0]);
    }

    /// Slots that a node serves.
    fn serving(&self, node: &Node) -> SlotSet {
        let plane = self.plane.borrow();
        plane.get(&node.incarnation()).map_or_else(SlotSet::new, |node| node.serving().clone())
    }

    /// Slots by the name of their owner.
    pub(crate) fn shares(&self) -> BTreeMap<String, usize> {
        let share = |node: &Node| (node.name.clone(), self.serving(node).len());
        self.nodes.iter().map(share).collect()
    }

    /// The owner of each slot, as an index into `names`.
    pub(crate) fn holders(&self, names: &[String]) -> Box<ringcache_ring::Holders> {
        let mut holders = vec![None; usize::from(ringcache_ring::SLOTS)];
        for node in &self.nodes {
            let target = names.iter().position(|name| *name == node.name);
            for slot in self.serving(node).iter() {
                holders[usize::from(slot)] = target.map(|t| t as u16);
            }
        }
        holders.into_boxed_slice().try_into().unwrap()
    }
}

pub(crate) fn cluster_ref() -> ClusterRef {
    ClusterRef { namespace: "shop".into(), name: "simple-web".into(), uid: "c1".into() }
}

pub(crate) fn checked(intent: &Intent, observed: &Observed) -> Plan<Checked> {
    let draft = plan(intent, observed);
    let text = draft.to_string();
    check(draft, intent, observed).unwrap_or_else(|violations| {
        let violations: Vec<_> = violations.iter().map(ToString::to_string).collect();
        panic!("refused: {}\n{text}", violations.join("; "))
    })
}
