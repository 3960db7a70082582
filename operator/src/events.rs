//! Events for people: a closed list of reasons, sent in the background and given up rather than waited for.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::objects::meta::FIELD_MANAGER;

/// Most events that wait to be sent; more are dropped.
const MAX_WAITING: usize = 256;
/// Longest time for one event.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest note that the API server takes, in bytes.
const MAX_NOTE_BYTES: usize = 1024;

/// Why there is an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventReason {
    /// An operation has begun.
    OperationInitiated,
    /// Everything is as specified.
    OperationCompleted,
    /// A pod was created.
    PodCreated,
    /// A pod is about to be deleted.
    PodDeleteInitiated,
    /// A ring document was written.
    RingPublished,
    /// Another number of nodes is in force.
    Autoscaled,
    /// The number of nodes follows the load no more.
    AutoscalingStopped,
    /// A cache node died.
    NodeLost,
    /// Cache nodes ended before they had handed over everything.
    EntriesLost,
    /// Every slot has an owner that answers.
    Serving,
    /// Some slots have no owner that answers.
    SlotsWithoutOwner,
    /// Nodes are missing, or an operation gets no further.
    Degraded,
    /// Objects were put right.
    Repaired,
    /// The spec breaks a rule.
    InvalidSpec,
    /// An object of somebody else has a name that is needed.
    NameConflict,
    /// The operator refused its own plan.
    PlanRefused,
    /// Another operator is to look after the cluster, and does not.
    LeftToOther,
    /// A step fails again and again.
    StepFailed,
    /// A reconcile fails again and again.
    ReconcileFailed,
}

struct Facts {
    name: &'static str,
    type_: &'static str,
    action: &'static str,
    meaning: &'static str,
}

const fn normal(name: &'static str, action: &'static str, meaning: &'static str) -> Facts {
    Facts { name, type_: "Normal", action, meaning }
}

const fn warning(name: &'static str, action: &'static str, meaning: &'static str) -> Facts {
    Facts { name, type_: "Warning", action, meaning }
}

impl EventReason {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::OperationInitiated,
        Self::OperationCompleted,
        Self::PodCreated,
        Self::PodDeleteInitiated,
        Self::RingPublished,
        Self::Autoscaled,
        Self::AutoscalingStopped,
        Self::NodeLost,
        Self::EntriesLost,
        Self::Serving,
        Self::SlotsWithoutOwner,
        Self::Degraded,
        Self::Repaired,
        Self::InvalidSpec,
        Self::NameConflict,
        Self::PlanRefused,
        Self::LeftToOther,
        Self::StepFailed,
        Self::ReconcileFailed,
    ];

    /// As written into the event.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// `Normal` or `Warning`.
    pub fn type_(self) -> &'static str {
        self.facts().type_
    }

    /// What the operator was doing.
    pub fn action(self) -> &'static str {
        self.facts().action
    }

    /// What it tells, for the manual.
    pub fn meaning(self) -> &'static str {
        self.facts().meaning
    }

    const fn facts(self) -> Facts {
        match self {
            Self::OperationInitiated => normal(
                "OperationInitiated",
                "Operate",
                "An operation has begun: the note says which, such as `ScaleOut: from 3 to 5 nodes`.",
            ),
            Self::OperationCompleted => {
                normal("OperationCompleted", "Operate", "Everything is as specified.")
            }
            Self::PodCreated => {
                normal("PodCreated", "CreatePod", "A pod for a cache node was created.")
            }
            Self::PodDeleteInitiated => normal(
                "PodDeleteInitiated",
                "DeletePod",
                "A pod is about to be deleted; the note says why. It has handed over its slots, or has ended.",
            ),
            Self::Autoscaled => normal(
                "Autoscaled",
                "Autoscale",
                "Another number of nodes is in force; the note says why, and which hit ratio is predicted. Or `autoscaling` was removed, and \
                 the number of nodes returns to `spec.nodes`.",
            ),
            Self::AutoscalingStopped => warning(
                "AutoscalingStopped",
                "Autoscale",
                "Predictions failed, and the number of nodes stays as it is until `autoscaling` is edited; the note says which.",
            ),
            Self::RingPublished => normal(
                "RingPublished",
                "PublishRing",
                "A ring document was written; the nodes hand slots over accordingly.",
            ),
            Self::NodeLost => warning(
                "NodeLost",
                "Repair",
                "Cache nodes died: what they held is lost, their slots go to other nodes.",
            ),
            Self::Degraded => warning(
                "Degraded",
                "Operate",
                "Nodes are missing that were waited for, or an operation has got no further for ten minutes; the note says why.",
            ),
            Self::EntriesLost => warning(
                "EntriesLost",
                "Repair",
                "Cache nodes ended while they held slots: the note says how many, and how many entries they had.",
            ),
            Self::Serving => normal("Serving", "Serve", "Every slot has an owner that answers."),
            Self::SlotsWithoutOwner => warning(
                "SlotsWithoutOwner",
                "Serve",
                "Some slots have no owner that answers: requests for them wait or fail.",
            ),
            Self::Repaired => normal(
                "Repaired",
                "Repair",
                "Somebody had changed or removed an object of the cluster; it is as it should be again.",
            ),
            Self::InvalidSpec => warning(
                "InvalidSpec",
                "Validate",
                "The spec breaks a rule: until it is corrected the last valid one is carried out.",
            ),
            Self::NameConflict => warning(
                "NameConflict",
                "Repair",
                "An object of somebody else has a name that the cluster needs. It is not touched: rename it, or the cluster.",
            ),
            Self::PlanRefused => warning(
                "PlanRefused",
                "Check",
                "The operator's own check refused its plan: a bug, nothing was changed.",
            ),
            Self::LeftToOther => warning(
                "LeftToOther",
                "Leave",
                "The namespace is left to another operator, which has not looked at the cluster; the note names it and the ConfigMap that says so.",
            ),
            Self::StepFailed => warning(
                "StepFailed",
                "Execute",
                "A step failed twice in a row; it is repeated with growing pauses.",
            ),
            Self::ReconcileFailed => warning(
                "ReconcileFailed",
                "Reconcile",
                "Two reconciles in a row failed; they are repeated with growing pauses.",
            ),
        }
    }
}

/// Something to tell about a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Why.
    pub reason: EventReason,
    /// What, in words.
    pub note: String,
    /// The pod it is about.
    pub related: Option<ObjectReference>,
}

impl Notice {
    /// About the cluster as a whole.
    pub fn new(reason: EventReason, note: impl Into<String>) -> Self {
        Self { reason, note: note.into(), related: None }
    }

    /// About a pod of the cluster.
    #[must_use]
    pub fn about(self, pod: ObjectReference) -> Self {
        Self { related: Some(pod), ..self }
    }
}

/// Takes notices and never keeps anybody waiting.
#[derive(Clone, Debug)]
pub struct Events {
    sender: mpsc::Sender<(Notice, ObjectReference)>,
    metrics: Metrics,
}

impl Events {
    /// Both ends: whoever has something to tell, and the sender, which must be run.
    pub fn new(
        client: Client,
        instance: &str,
        clock: Clock,
        metrics: &Metrics,
    ) -> (Self, EventSender) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let instance = instance.to_owned();
        let metrics = metrics.clone();
        let events = Self { sender, metrics: metrics.clone() };
        (events, EventSender { client, receiver, instance, clock, metrics, sent: 0 })
    }

    /// Tells something about the cluster.
    pub fn tell(&self, regarding: &ObjectReference, notice: Notice) {
        let name = regarding.name.as_deref().unwrap_or_default();
        let namespace = regarding.namespace.as_deref().unwrap_or_default();
        let reason = notice.reason.name();
        if notice.reason.type_() == "Warning" {
            warn!(namespace, name, reason, "{}", notice.note);
        } else {
            tracing::info!(namespace, name, reason, "{}", notice.note);
        }
        if self.sender.try_send((notice, regarding.clone())).is_err() {
            self.metrics.events.with_label_values(&[reason, "dropped"]).inc();
        }
    }
}

/// Sends events to the API server, one after another.
///
/// Not the client library's `Recorder`: that one counts events of the same reason as one, and the second epoch or the second
/// failure would be told with the words of the first.
pub struct EventSender {
    client: Client,
    receiver: mpsc::Receiver<(Notice, ObjectReference)>,
    instance: String,
    clock: Clock,
    metrics: Metrics,
    sent: u64,
}

impl EventSender {
    /// Sends until every [`Events`] is dropped.
    pub async fn run(&mut self) {
        while let Some((notice, regarding)) = self.receiver.recv().await {
            let reason = notice.reason.name();
            let event = self.event(notice, regarding);
            let namespace = event.metadata.namespace.clone().unwrap_or_default();
            let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
            let created = timeout(SEND_TIMEOUT, api.create(&PostParams::default(), &event)).await;
            let result = if matches!(created, Ok(Ok(_))) { "success" } else { "error" };
            if result == "error" {
                debug!(reason, ?created, "an event was not accepted");
            }
            self.metrics.events.with_label_values(&[reason, result]).inc();
        }
    }

    fn event(&mut self, notice: Notice, regarding: ObjectReference) -> Event {
        let Notice { reason, mut note, related } = notice;
        note.truncate(note.floor_char_boundary(MAX_NOTE_BYTES));
        let now = self.clock.now();
        self.sent += 1;
        let name = regarding.name.as_deref().unwrap_or(FIELD_MANAGER);
        let metadata = ObjectMeta {
            name: Some(format!("{name}.{:x}{:04x}", now.as_nanosecond(), self.sent & 0xffff)),
            namespace: regarding.namespace.clone(),
            ..ObjectMeta::default()
        };
        Event {
            metadata,
            action: Some(reason.action().into()),
            event_time: Some(MicroTime(now)),
            note: Some(note),
            reason: Some(reason.name().into()),
            regarding: Some(regarding),
            related,
            reporting_controller: Some(FIELD_MANAGER.into()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(reason.type_().into()),
            ..Event::default()
        }
    }
}

#[cfg(test)]
mod tests;
