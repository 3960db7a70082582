//! A slow, obvious model of what the operator works on: a store for the document, and nodes that keep the ownership rules.
//!
//! Nodes move a few slots a tick, by the rules of ARCHITECTURE.md for handover and adoption; messages that take long are
//! slots that stay sealed for a tick, delivered or not.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use ringcache_api::cluster::parse_yaml;
use ringcache_api::document::ClusterRef;
use ringcache_api::{CacheCluster, CacheClusterSpec, Document, Incarnation, MemberState};
use ringcache_operator_core::{
    Checked, InForce, Intent, Observed, Phase, Plan, Step, check, in_force, plan,
};
use ringcache_ring::SlotSet;

use crate::node::{Attempt, Node};

/// A program that no host can start: an image that cannot be pulled, more memory than any host has.
pub(crate) const BAD_PROGRAM: &str = "1.bad";
/// Slots that a node hands over in a tick.
const SLOTS_PER_TICK: usize = 1500;

pub(crate) struct World {
    pub(crate) cluster: CacheCluster,
    /// The last spec that was valid and not paused.
    pub(crate) last: Option<CacheClusterSpec>,
    pub(crate) program: String,
    pub(crate) stored: Option<Document>,
    pub(crate) nodes: Vec<Node>,
    /// How many nodes the hosts have room for.
    pub(crate) room: usize,
    /// Slots that have changed hands, adopted ones not among them.
    pub(crate) moved: usize,
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
        Observed {
            cluster: cluster_ref(),
            generation: self.cluster.metadata.generation.unwrap_or(1),
            program: self.program.clone(),
            pod: String::new(),
            endpoints: None,
            open: true,
            document: self.stored.clone(),
            nodes: self.nodes.iter().map(Node::observed).collect(),
            seen: Vec::new(),
            starts_fail: false,
        }
    }

    /// An older document was restored: those that know a newer one answer. If none of them did, nobody could tell that nodes
    /// which it does not know own slots: one fault more than is promised to be survived.
    pub(crate) fn hear_of_newer_documents(&mut self) {
        let stored = self.stored.as_ref().map_or(0, |document| document.epoch);
        self.nodes.iter_mut().filter(|n| n.epoch() > stored).for_each(|n| n.silent = false);
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
                    let nodes = self.nodes.iter().filter(|node| node.answers()).map(Node::epoch);
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
                    if let Some(node) = self.nodes.iter_mut().find(|n| n.uid == *uid && n.answers())
                    {
                        node.accept(document.expect("the stored document is pushed"));
                    }
                }
                Step::Configure { name: _, uid, settings } => {
                    if let Some(node) = self.nodes.iter_mut().find(|n| n.uid == *uid && n.answers())
                    {
                        node.settings = *settings;
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
            let node = &self.nodes[i];
            let (name, uid) = (&node.name, node.incarnation());
            assert!(
                node.owned.is_empty() && node.sealed.is_empty(),
                "{name} is stopped with slots"
            );
            for other in self.nodes.iter().filter(|n| self.takes_part(n)) {
                assert!(
                    other.sealed.iter().all(|a| a.to != uid),
                    "{} waits for {name}",
                    other.name
                );
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
        let reachable = self.nodes.iter().filter(|other| !other.phase.is_over());
        let documents = reachable.filter_map(|other| other.document.as_ref());
        documents.chain(&self.stored).any(|document| document.gone.contains(&node.incarnation()))
    }

    /// Whether the node takes part: what it does reaches others.
    fn takes_part(&self, node: &Node) -> bool {
        matches!(node.phase, Phase::Running | Phase::Stopping) && !self.is_outcast(node)
    }

    /// One round of the operator, after which the world goes on.
    pub(crate) fn round(&mut self) -> Plan<Checked> {
        let plan = self.plan();
        if !plan.steps().is_empty() {
            self.transcript.push(plan.to_string());
        }
        self.execute(&plan, usize::MAX);
        self.tick(0);
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

    /// Nodes start, end, adopt and hand over. `fate` decides by its bits which messages are late.
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
        for i in 0..self.nodes.len() {
            if !self.takes_part(&self.nodes[i]) {
                continue;
            }
            self.resolve(i);
            self.hand_over(i, fate >> (2 * (i % 16)));
            self.adopt(i);
        }
        self.assert_single_owners();
    }

    fn find(&self, uid: &Incarnation) -> Option<usize> {
        let found = self.nodes.iter().position(|node| node.incarnation() == *uid);
        found.filter(|&i| self.takes_part(&self.nodes[i]))
    }

    /// Attempts of node `i` that have waited a tick get their answer.
    fn resolve(&mut self, i: usize) {
        for attempt in std::mem::take(&mut self.nodes[i].sealed) {
            match self.find(&attempt.to) {
                None => self.nodes[i].sealed.push(attempt),
                Some(_) if attempt.delivered => {}
                Some(target) if self.accepts(i, target) => {
                    self.nodes[target].owned.extend(attempt.slots.ranges());
                    self.moved += attempt.slots.len();
                }
                // "Not mine, and I refuse that attempt": the source has it back.
                Some(_) => self.nodes[i].owned.extend(attempt.slots.ranges()),
            }
        }
        self.nodes[i].take_back();
    }

    /// Whether `target` accepts slots from `source`: both know the same document, and it gives them to the target.
    fn accepts(&self, source: usize, target: usize) -> bool {
        let (source, target) = (&self.nodes[source], &self.nodes[target]);
        source.epoch() == target.epoch()
            && target.document.as_ref().is_some_and(|document| {
                document
                    .incarnation(&target.incarnation())
                    .is_some_and(|member| member.state != MemberState::Leaving)
            })
    }

    fn hand_over(&mut self, i: usize, fate: u64) {
        let Some(document) = self.nodes[i].document.clone() else { return };
        let mut budget = SLOTS_PER_TICK;
        let me = self.nodes[i].incarnation();
        for member in document.members.iter().filter(|m| m.uid != me) {
            let Some(target) = self.find(&member.uid).filter(|&t| self.accepts(i, t)) else {
                continue;
            };
            let mine = self.nodes[i].owned.intersection(&document.intended(&member.name));
            let slots: SlotSet = mine.iter().take(budget).collect();
            budget -= slots.len();
            if slots.is_empty() {
                continue;
            }
            self.nodes[i].owned = self.nodes[i].owned.difference(&slots);
            let (late, delivered) = (fate & 1 != 0, fate & 2 != 0);
            if !late || delivered {
                self.nodes[target].owned.extend(slots.ranges());
                self.moved += slots.len();
            }
            if late {
                self.nodes[i].sealed.push(Attempt { slots, to: member.uid.clone(), delivered });
            }
        }
    }

    /// What should be node `i`'s and is nobody's: every other member says "not mine", under the same document, or is gone.
    fn adopt(&mut self, i: usize) {
        let node = &self.nodes[i];
        let Some(document) = node.document.as_ref().filter(|_| node.phase != Phase::Exited) else {
            return;
        };
        let Some(me) = document.incarnation(&node.incarnation()) else { return };
        let mut free = document.intended(&me.name).difference(&node.owned);
        for attempt in &node.sealed {
            free = free.difference(&attempt.slots);
        }
        for other in
            document.members.iter().filter(|m| m.uid != me.uid && !document.gone.contains(&m.uid))
        {
            let answer = self.find(&other.uid).map(|j| &self.nodes[j]);
            let Some(other) = answer.filter(|other| other.epoch() == document.epoch) else {
                return;
            };
            free = free.difference(&other.owned);
            for attempt in &other.sealed {
                free = free.difference(&attempt.slots);
            }
        }
        self.nodes[i].owned.extend(free.ranges());
    }

    pub(crate) fn assert_single_owners(&self) {
        let nodes = || self.nodes.iter().filter(|node| self.takes_part(node));
        let all = nodes().fold(SlotSet::new(), |all, node| all.union(&node.owned));
        let sum: usize = nodes().map(|node| node.owned.len()).sum();
        assert_eq!(all.len(), sum, "some slot has two owners");
    }

    /// Slots by the name of their owner.
    pub(crate) fn shares(&self) -> BTreeMap<String, usize> {
        self.nodes.iter().map(|node| (node.name.clone(), node.owned.len())).collect()
    }

    /// The owner of each slot, as an index into `names`.
    pub(crate) fn holders(&self, names: &[String]) -> Box<ringcache_ring::Holders> {
        let mut holders = vec![None; usize::from(ringcache_ring::SLOTS)];
        for node in &self.nodes {
            let target = names.iter().position(|name| *name == node.name);
            for slot in node.owned.iter() {
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
