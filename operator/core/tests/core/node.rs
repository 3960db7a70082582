//! What the platform knows of a node of the model. What the node itself knows is in `World::plane`.

use std::time::Duration;

use ringcache_api::admin::{NodeState, NodeStats, Settings};
use ringcache_api::{Incarnation, Ports};
use ringcache_operator_core::{ObservedNode, Phase, Place, Template};
use ringcache_sim_nodes::Start;

use crate::world::cluster_ref;

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) phase: Phase,
    pub(crate) place: Place,
    /// Does not answer the operator; serves and talks to the other nodes all the same.
    pub(crate) silent: bool,
    /// Its host is cordoned.
    pub(crate) draining: bool,
    /// The platform has no room for it: it stays `Starting`.
    pub(crate) stuck: bool,
    /// Ticks for which what is left of it stays as evidence.
    pub(crate) rests: u8,
    /// Ticks, of ten seconds each, for which it has not answered.
    pub(crate) silent_ticks: u64,
    pub(crate) used_bytes: u64,
    pub(super) restarts: u32,
    pub(super) port: u16,
    pub(super) template: Template,
    /// The settings that it is started with.
    pub(super) settings: Settings,
    pub(super) ends_at: Option<u64>,
}

impl Node {
    pub(super) fn new(name: &str, number: u16, template: &Template, settings: Settings) -> Self {
        Self {
            name: name.to_owned(),
            uid: format!("u{number}"),
            phase: Phase::Starting,
            place: Place::default(),
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
            ends_at: None,
        }
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation::new(&self.uid, &self.restarts.to_string())
    }

    /// Whether its process runs.
    pub(super) fn runs(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Stopping | Phase::Lost)
    }

    pub(super) fn answers(&self) -> bool {
        !self.silent && matches!(self.phase, Phase::Running | Phase::Stopping)
    }

    /// The process of its container.
    pub(super) fn start(&self) -> Start {
        Start {
            name: self.name.clone(),
            incarnation: self.incarnation(),
            cluster_uid: cluster_ref().uid,
            settings: self.settings,
            grace: Duration::MAX,
        }
    }

    /// Whether only the platform can clear it away.
    pub(crate) fn is_left_over(&self) -> bool {
        let is_told = self.ends_at.is_some();
        self.phase == Phase::Lost || (self.phase == Phase::Pending && is_told)
    }

    /// The process ends at once; what it held is lost.
    pub(crate) fn die(&mut self) {
        self.phase = Phase::Exited;
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
        }
    }

    /// What an operator sees of it that is answered `state`.
    pub(super) fn observed(&self, state: Option<NodeState>) -> ObservedNode {
        let port = self.port;
        let state = state.filter(|_| self.answers());
        ObservedNode {
            name: self.name.clone(),
            uid: self.uid.clone(),
            host: "127.0.0.1".into(),
            place: self.place.clone(),
            ports: Ports { resp: port, http: port + 1, admin: port + 2, bus: port + 3 },
            template: self.template.clone(),
            phase: self.phase,
            state: state.map(|said| NodeState {
                stats: NodeStats { used_bytes: self.used_bytes, ..said.stats },
                ..said
            }),
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
}
