//! A node of the model: what it owns, what it has heard, and what it answers.

use ringcache_api::admin::{ADMIN_VERSION, NodeState, NodeStats, Ownership, Sealed, Settings};
use ringcache_api::{Document, Incarnation, Ports};
use ringcache_operator_core::{ObservedNode, Phase, Template, VERSION};
use ringcache_ring::SlotSet;

use crate::world::cluster_ref;

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) phase: Phase,
    /// Does not answer the operator; serves and talks to the other nodes all the same.
    pub(crate) silent: bool,
    /// Its host is cordoned.
    pub(crate) draining: bool,
    /// The platform has no room for it: it stays `Starting`.
    pub(crate) stuck: bool,
    /// Ticks for which what is left of it stays as evidence.
    pub(crate) rests: u8,
    /// Ticks, of ten seconds each, for which it has not answered.
    pub(super) silent_ticks: u64,
    pub(crate) used_bytes: u64,
    pub(super) restarts: u32,
    pub(super) port: u16,
    pub(super) template: Template,
    pub(super) settings: Settings,
    pub(super) document: Option<Document>,
    pub(super) owned: SlotSet,
    pub(super) sealed: Vec<Attempt>,
    pub(super) ends_at: Option<u64>,
}

/// Slots under way: sealed at the source, at the target or not yet.
pub(crate) struct Attempt {
    pub(super) slots: SlotSet,
    pub(super) to: Incarnation,
    pub(super) delivered: bool,
}

impl Node {
    pub(super) fn new(name: &str, number: u16, template: &Template, settings: Settings) -> Self {
        Self {
            name: name.to_owned(),
            uid: format!("u{number}"),
            phase: Phase::Starting,
            silent: false,
            draining: false,
            stuck: false,
            rests: 0,
            silent_ticks: 0,
            used_bytes: 0,
            restarts: 0,
            port: 7000 + number * 4,
            template: template.clone(),
            settings,
            document: None,
            owned: SlotSet::new(),
            sealed: Vec::new(),
            ends_at: None,
        }
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation::new(&self.uid, &self.restarts.to_string())
    }

    pub(super) fn epoch(&self) -> u64 {
        self.document.as_ref().map_or(0, |document| document.epoch)
    }

    pub(super) fn answers(&self) -> bool {
        !self.silent && matches!(self.phase, Phase::Running | Phase::Stopping)
    }

    /// Whether only the platform can clear it away.
    pub(crate) fn is_left_over(&self) -> bool {
        let is_told = self.ends_at.is_some();
        self.phase == Phase::Lost || (self.phase == Phase::Pending && is_told)
    }

    pub(super) fn accept(&mut self, document: Document) {
        if document.epoch > self.epoch() {
            self.document = Some(document);
            self.take_back();
        }
    }

    /// A sealed slot whose target is gone comes back.
    pub(super) fn take_back(&mut self) {
        let Some(document) = &self.document else { return };
        for attempt in self.sealed.extract_if(.., |attempt| document.gone.contains(&attempt.to)) {
            self.owned.extend(attempt.slots.ranges());
        }
    }

    /// The process ends at once; what it held is lost.
    pub(crate) fn die(&mut self) {
        self.phase = Phase::Exited;
        self.forget();
    }

    /// Ends by itself, soon after its start.
    pub(crate) fn crash(&mut self, rests: u8) {
        if matches!(self.phase, Phase::Starting | Phase::Running) && self.ends_at.is_none() {
            self.die();
            self.rests = rests;
        }
    }

    /// The process is replaced under the same platform uid, as a container is by its kubelet.
    pub(crate) fn restart(&mut self) {
        if matches!(self.phase, Phase::Running) {
            self.restarts += 1;
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.document = None;
        self.owned = SlotSet::new();
        self.sealed.clear();
    }

    pub(super) fn observed(&self) -> ObservedNode {
        let port = self.port;
        ObservedNode {
            name: self.name.clone(),
            uid: self.uid.clone(),
            host: "127.0.0.1".into(),
            ports: Ports { resp: port, http: port + 1, admin: port + 2, bus: port + 3 },
            template: self.template.clone(),
            phase: self.phase,
            state: self.answers().then(|| self.state()),
            draining: self.draining,
            stopping: self.ends_at.is_some(),
            resting: self.rests > 0,
            silent_seconds: if self.answers() { 0 } else { self.silent_ticks * 10 },
            trouble: self.trouble().map(str::to_owned),
        }
    }

    fn trouble(&self) -> Option<&'static str> {
        match self.phase {
            Phase::Pending => Some("Unschedulable: 0/3 nodes are available"),
            Phase::Exited if self.rests > 0 => Some("Error: exit code 1"),
            _ => None,
        }
    }

    fn state(&self) -> NodeState {
        let pairs =
            |slots: &SlotSet| slots.ranges().map(std::ops::RangeInclusive::into_inner).collect();
        NodeState {
            version: ADMIN_VERSION,
            name: self.name.clone(),
            incarnation: self.incarnation(),
            cluster_uid: cluster_ref().uid,
            program: VERSION.to_owned(),
            epoch: self.epoch(),
            checksum: self.document.as_ref().map(|d| d.checksum.clone()).unwrap_or_default(),
            ownership: Ownership {
                owned: pairs(&self.owned),
                sealed: self
                    .sealed
                    .iter()
                    .map(|a| Sealed { slots: pairs(&a.slots), to: a.to.clone() })
                    .collect(),
                ..Ownership::default()
            },
            settings: self.settings.into(),
            stats: NodeStats { used_bytes: self.used_bytes, ..NodeStats::default() },
            heard: Vec::new(),
            draining: false,
        }
    }
}
