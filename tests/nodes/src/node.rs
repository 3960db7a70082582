//! One process.

use std::sync::Arc;
use std::time::Duration;

use ringcache_api::admin::{NodeState, NodeStats, Settings, SettingsFor};
use ringcache_api::{Document, Incarnation};
use ringcache_cluster::{Cluster, Config, Look, Moves, Patience, Process, Refusal};
use ringcache_ring::SlotSet;

use crate::Packet;
use crate::slots::Serving;

/// What a process is started with.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its name.
    pub name: String,
    /// Its run.
    pub incarnation: Incarnation,
    /// Uid of its cluster.
    pub cluster_uid: String,
    /// Its first settings.
    pub settings: Settings,
    /// After how long it is killed, once it was told to end.
    pub grace: Duration,
}

/// A node, as long as it runs.
#[derive(Clone)]
pub struct Node {
    start: Start,
    /// Its run, as the sender of messages.
    me: Arc<Incarnation>,
    settings: Settings,
    machine: Cluster,
    serving: Serving,
    ending: Option<Ending>,
    /// Whether it is isolated, and whether it ever was.
    isolated: (bool, bool),
    /// What was seen of the machine's counts.
    seen: Moves,
}

/// Of a node that was told to end.
#[derive(Clone)]
struct Ending {
    told_ms: u64,
    /// When it last held a slot: its clients turn elsewhere then.
    held_ms: u64,
    patience: Patience,
}

impl Node {
    pub(crate) fn new(start: Start) -> Self {
        Self {
            settings: start.settings,
            me: Arc::new(start.incarnation.clone()),
            machine: Cluster::new(&start.incarnation, Config::default()),
            serving: Serving::default(),
            ending: None,
            isolated: (false, false),
            seen: Moves::default(),
            start,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.start.name
    }

    /// Its run.
    pub fn incarnation(&self) -> &Incarnation {
        &self.start.incarnation
    }

    /// Uid of its cluster.
    pub fn cluster_uid(&self) -> &str {
        &self.start.cluster_uid
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// The document in force.
    pub fn document(&self) -> Option<&Arc<Document>> {
        self.machine.document()
    }

    /// Its epoch; 0 = none.
    pub fn epoch(&self) -> u64 {
        self.machine.epoch()
    }

    /// Slots that it serves.
    pub fn serving(&self) -> &SlotSet {
        &self.serving.slots
    }

    /// As its readiness probe says: from its first document until it is told to end.
    pub fn is_ready(&self) -> bool {
        self.machine.document().is_some() && self.ending.is_none()
    }

    /// Whether nothing of it reaches the others.
    pub fn is_isolated(&self) -> bool {
        self.isolated.0
    }

    /// Whether that was so before.
    pub(crate) fn was_isolated(&self) -> bool {
        self.isolated.1
    }

    pub(crate) fn isolate(&mut self, isolated: bool) {
        self.isolated = (isolated, self.isolated.1 || isolated);
    }

    /// Whether a handover is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.machine.is_busy()
    }

    pub(crate) fn state(&mut self, now_ms: u64) -> NodeState {
        self.machine.knowledge(now_ms).state(Process {
            name: self.start.name.clone(),
            incarnation: self.start.incarnation.clone(),
            cluster_uid: self.start.cluster_uid.clone(),
            settings: self.settings,
            stats: NodeStats::default(),
            draining: self.ending.is_some(),
        })
    }

    pub(crate) fn push(&mut self, document: &Arc<Document>) -> Result<u64, Refusal> {
        self.machine.admit(&self.start.cluster_uid, document)?;
        self.machine.learn(document, &mut self.serving);
        Ok(self.machine.epoch())
    }

    pub(crate) fn configure(&mut self, asked: SettingsFor) -> Result<(), Incarnation> {
        self.settings = asked.over(&self.start.incarnation, self.settings)?;
        Ok(())
    }

    /// Tells it to end; false if it was told before.
    pub(crate) fn terminate(&mut self, now_ms: u64) -> bool {
        let is_news = self.ending.is_none();
        let patience = Patience::new(self.start.grace);
        self.ending.get_or_insert(Ending { told_ms: now_ms, held_ms: now_ms, patience });
        is_news
    }

    /// Its run, if it was told to end and need not go on.
    pub(crate) fn ends(&mut self, now_ms: u64) -> Option<Incarnation> {
        let ending = self.ending.as_mut()?;
        let known = self.machine.knowledge(now_ms);
        let slots = known.held();
        if slots > 0 {
            ending.held_ms = now_ms;
        }
        let since = |ms: u64| Duration::from_millis(now_ms.saturating_sub(ms));
        let look = Look {
            since: since(ending.told_ms),
            slots,
            is_member: known.is_member,
            quiet: since(ending.held_ms),
        };
        ending.patience.ends(look).map(|_| self.start.incarnation.clone())
    }

    pub(crate) fn tick(&mut self, now_ms: u64, sent: &mut Vec<Packet>) {
        self.machine.tick(now_ms, &mut self.serving);
        self.send(sent);
    }

    /// Takes in what arrives; true if it brought a newer document.
    pub(crate) fn receive(&mut self, now_ms: u64, packet: Packet, sent: &mut Vec<Packet>) -> bool {
        let Packet { from, to: _, document, message } = packet;
        if document.cluster.uid != self.start.cluster_uid {
            return false;
        }
        let learned = self.machine.learn(&document, &mut self.serving);
        if let Some(message) = message {
            self.machine.receive(now_ms, &from, message, &mut self.serving);
            if let Some(news) = self.machine.news_for(&from) {
                let (from, to, document) =
                    (Arc::clone(&self.me), (*from).clone(), Arc::clone(news));
                sent.push(Packet { from, to, document, message: None });
            }
        }
        self.send(sent);
        learned
    }

    /// Sends what the machine has to say, under the document that it has now.
    fn send(&mut self, sent: &mut Vec<Packet>) {
        let Some(document) = self.machine.document().cloned() else { return };
        let me = &self.me;
        sent.extend(self.machine.outbox().map(|(to, message)| {
            let (from, document) = (Arc::clone(me), Arc::clone(&document));
            Packet { from, to, document, message: Some(message) }
        }));
    }

    /// Something, if it opened a slot since this was asked before.
    pub(crate) fn take_opened(&mut self) -> Option<()> {
        std::mem::take(&mut self.serving.opened).then_some(())
    }

    /// Whether it took or gave slots since this was asked before, and how many it was handed and adopted.
    pub(crate) fn take_changes(&mut self) -> (bool, u64, u64) {
        let (now, before) = (self.machine.moves(), self.seen);
        self.seen = now;
        (now != before, now.handed_in - before.handed_in, now.adopted - before.adopted)
    }
}
