//! One reconcile: observe, validate, plan, check, execute, repair, report; and when to come back.
//!
//! Nothing is expected from one reconcile to the next. Each reads again, past every cache, all that it decides on, so the
//! operator's own writes are always among what it sees, and there is no expectation that a missed event could leave open for
//! ever. Watches only say when.

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::controller::Action;
use kube::{Resource as _, ResourceExt as _};
use ringcache_operator_core::losses::{in_words, loss};
use ringcache_operator_core::{
    Checked, Observed, Operation, Outcome, Plan, Planned, Step, Trouble, check, plan,
};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use crate::autoscale::{Scaled, autoscale, undecided};
use crate::claim::{leave, left_to};
use crate::context::Context;
use crate::error::Error;
use crate::events::{EventReason, Notice};
use crate::execute::{Execution, record, tells_a_node};
use crate::memory::{Key, Memory, Notes};
use crate::metrics::CONTROLLER;
use crate::nodes::Nodes;
use crate::observe::{Observation, Resource, observe, resource};
use crate::report::{report, report_unobserved};
use crate::upkeep::upkeep;
use crate::watches::ClusterMeta;

/// Longest pause between two looks at an operation under way.
const MAX_POLL: Duration = Duration::from_secs(10);
/// Between two looks at what the nodes of a cluster at rest have measured, where something scales it.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// An end that no watch announces is noticed late by this share of the time that it took.
const POLL_SHARE: u32 = 20;

/// Looks after all clusters, each on its own.
pub(crate) struct Reconciler<N: Nodes> {
    pub(crate) context: Context<N>,
    pub(crate) memory: std::sync::Arc<Memory>,
}

/// When to come back, unless a watch calls earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Something is under way.
    Poll(Duration),
    /// It is planned again at once: what has been found out since changes the plan, and nothing has failed.
    Again,
    /// Nothing is.
    Resync,
    /// The cluster does not exist, so a watch is about to say. If none does, the answer was wrong: one look later decides.
    Gone,
}

impl<N: Nodes> Reconciler<N> {
    /// A reconcile that ends, whatever happens in it, and disturbs no other.
    pub(crate) async fn reconcile(&self, cluster: &ClusterMeta) -> Action {
        let key =
            Key { namespace: cluster.namespace().unwrap_or_default(), name: cluster.name_any() };
        let metrics = &self.context.metrics;
        let _active = Active::new(metrics.active_workers.with_label_values(&[CONTROLLER]));
        let began = Instant::now();
        let limit = self.context.config.reconcile_timeout;
        // On the heap: it would make every reconcile that waits in a queue as large.
        let guarded = AssertUnwindSafe(Box::pin(self.pass(&key))).catch_unwind();
        let result = match timeout(limit, guarded).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Error::Panic(message(&*panic))),
            Err(_) => Err(Error::Timeout(limit)),
        };
        metrics
            .reconcile_seconds
            .with_label_values(&[CONTROLLER])
            .observe(began.elapsed().as_secs_f64());
        match result {
            Ok(next) => self.succeeded(&key, next, &cluster.uid().unwrap_or_default()),
            Err(error) => self.failed(&key, &error, &cluster.object_ref(&())),
        }
    }

    fn succeeded(&self, key: &Key, next: Next, uid: &str) -> Action {
        let (result, action) = match next {
            Next::Poll(pause) => ("requeue_after", Action::requeue(pause)),
            Next::Again => ("requeue_after", Action::requeue(Duration::ZERO)),
            Next::Resync => ("success", Action::requeue(spread(self.context.config.resync, uid))),
            Next::Gone => ("success", Action::requeue(MAX_POLL)),
        };
        match next {
            Next::Gone => self.memory.forget(key),
            // What fails goes on failing: the next pass tells.
            Next::Again => {}
            Next::Poll(_) | Next::Resync => self.memory.of(key, Notes::succeeded),
        }
        self.context.metrics.reconciles.with_label_values(&[CONTROLLER, result]).inc();
        action
    }

    fn failed(&self, key: &Key, error: &Error, regarding: &ObjectReference) -> Action {
        let metrics = &self.context.metrics;
        if error.is_conflict() && !self.memory.of(key, |notes| notes.is_failing()) {
            return self.conflicted(key, error);
        }
        if matches!(error.trouble(false), Some(Trouble::Ending(_))) {
            // Nothing has failed: what fails next is the first.
            metrics.reconciles.with_label_values(&[CONTROLLER, "requeue_after"]).inc();
            debug!(namespace = key.namespace, name = key.name, %error, "waits");
            return Action::requeue(self.context.config.name_backoff);
        }
        metrics.reconciles.with_label_values(&[CONTROLLER, "error"]).inc();
        metrics.reconcile_errors.with_label_values(&[CONTROLLER]).inc();
        metrics.errors.with_label_values(&[error.category()]).inc();
        if matches!(error, Error::Panic(_)) {
            metrics.panics.with_label_values(&[CONTROLLER]).inc();
        }
        let text = error.to_string();
        warn!(namespace = key.namespace, name = key.name, error = text, "reconcile failed");
        let config = &self.context.config;
        // It is told in the status from the first time on, with an event of its own.
        let is_name = error.trouble(false).is_some();
        let longest = if is_name { config.name_backoff } else { config.max_backoff };
        let (is_news, pause) = self.memory.of(key, |notes| {
            let lasts = notes.is_failing() || matches!(error, Error::Panic(_));
            (lasts && notes.is_news(&text), notes.failed(config.min_backoff, longest))
        });
        if is_news && !is_name && !matches!(error, Error::Refused(_)) {
            let reason = match error {
                Error::Step { .. } => EventReason::StepFailed,
                _ => EventReason::ReconcileFailed,
            };
            self.context.events.tell(regarding, Notice::new(reason, text));
        }
        Action::requeue(pause)
    }

    /// Somebody else wrote at the same time. It is read and planned again at once, and an error if that does not help.
    fn conflicted(&self, key: &Key, error: &Error) -> Action {
        self.context.metrics.reconciles.with_label_values(&[CONTROLLER, "conflict"]).inc();
        debug!(namespace = key.namespace, name = key.name, %error, "reconcile is repeated");
        let config = &self.context.config;
        let failed = |notes: &mut Notes| notes.failed(config.min_backoff, config.max_backoff);
        Action::requeue(self.memory.of(key, failed))
    }

    async fn pass(&self, key: &Key) -> Result<Next, Error> {
        let other = left_to(&self.context, &key.namespace).await;
        if let Ok(Some(other)) = &other {
            let turn = leave(&self.context, &self.memory, key, other).await?;
            return Ok(turn.map_or(Next::Resync, Next::Poll));
        }
        self.memory.of(key, Notes::is_looked_after);
        let Some(resource) = resource(&self.context, &key.namespace, &key.name).await? else {
            return Ok(Next::Gone);
        };
        // While it is unknown whether the namespace is another operator's, nothing is done there but to say so.
        self.told(key, &resource, other).await?;
        let observation = observe(&self.context, resource.clone()).await;
        let mut observation = self.told(key, &resource, observation).await?;
        // The garbage collector takes what the cluster owns; there is nothing that the operator would have to do before. A foreground
        // deletion lasts until the nodes have ended, and a finalizer of somebody as long as it likes.
        if observation.cluster.metadata.deletion_timestamp.is_some() {
            self.report(key, &observation, Outcome::new(Planned::Deletion)).await?;
            return Ok(Next::Resync);
        }
        (observation.observed.starts_fail, observation.observed.foreign) =
            self.memory.of(key, |notes| (notes.starts_fail, notes.foreign()));
        let (observed, held) = (&observation.observed, observation.held.as_ref());
        let Some(intent) = &observation.intent else {
            let outcome = Outcome { held, ..Outcome::new(Planned::Nothing) };
            self.report(key, &observation, outcome).await?;
            return Ok(Next::Resync);
        };
        let plan = match check(plan(intent, observed), intent, observed) {
            Ok(plan) => plan,
            Err(violations) => {
                let report = undecided(&self.memory, key, &observation);
                let outcome = Outcome::new(Planned::Refused(&violations));
                let outcome = Outcome { held, autoscaling: report.as_ref(), ..outcome };
                self.report(key, &observation, outcome).await?;
                let texts: Vec<String> = violations.iter().map(ToString::to_string).collect();
                return Err(Error::Refused(texts.join("; ")));
            }
        };
        debug!(namespace = key.namespace, name = key.name, "{plan}");
        self.tell_deaths(key, &observation, &plan);
        let done = self.carry_out(key, &observation, &plan).await;
        if done.as_ref().is_err_and(Error::is_taken_name) {
            return Ok(Next::Again);
        }
        if done.as_ref().is_err_and(Error::is_end_of_namespace) {
            self.report(key, &observation, Outcome::new(Planned::Deletion)).await?;
            return Ok(Next::Resync);
        }
        let scaled = match &done {
            Ok(()) => autoscale(&self.context, &self.memory, key, &observation, &plan).await,
            Err(_) => Ok(Scaled {
                report: undecided(&self.memory, key, &observation),
                has_changed: false,
            }),
        };
        let (scaled, done) = match scaled {
            Ok(scaled) => (scaled, done),
            Err(error) => {
                let report = undecided(&self.memory, key, &observation);
                (Scaled { report, has_changed: false }, Err(error))
            }
        };
        let now = self.context.clock.time();
        let lasts = self.memory.of(key, |notes| {
            notes.holdings.note(observed, &now);
            notes.is_failing()
        });
        let trouble = done.as_ref().err().and_then(|error| error.trouble(lasts));
        let autoscaling = scaled.report.as_ref();
        let outcome =
            Outcome { held, trouble: trouble.as_ref(), autoscaling, ..Outcome::of(&plan) };
        let reported = self.report(key, &observation, outcome).await;
        done.and(reported)?;
        if scaled.has_changed {
            return Ok(Next::Again);
        }
        Ok(match self.next(key, &plan, observed) {
            // Nothing announces what clients do.
            Next::Resync if scaled.report.is_some() => Next::Poll(LOOK_EVERY),
            next => next,
        })
    }

    async fn report(
        &self,
        key: &Key,
        observation: &Observation,
        outcome: Outcome<'_>,
    ) -> Result<(), Error> {
        report(&self.context, &self.memory, key, observation, outcome).await
    }

    /// The same; what keeps the cluster from being looked at is told in its status.
    async fn told<T>(
        &self,
        key: &Key,
        resource: &Resource,
        observed: Result<T, Error>,
    ) -> Result<T, Error> {
        let is_failing = self.memory.of(key, |notes| notes.is_failing());
        // What is denied is no hiccup: there is no need to see it twice.
        let lasts = |error: &Error| is_failing || error.api_code() == Some(403);
        let trouble = observed.as_ref().err().and_then(|error| error.trouble(lasts(error)));
        if let Some(trouble) = trouble {
            // What cannot be told now is told next time.
            let _ = report_unobserved(&self.context, &self.memory, key, resource, &trouble).await;
        }
        observed
    }

    /// The plan's steps, then repairs, which do not depend on them. The first failure is given back.
    async fn carry_out(
        &self,
        key: &Key,
        observation: &Observation,
        plan: &Plan<Checked>,
    ) -> Result<(), Error> {
        let executed = match record(&self.context, observation, plan).await {
            Ok(()) => self.execute(key, observation, plan).await,
            Err(error) => Err(error),
        };
        executed.and(self.repair(key, observation, plan).await)
    }

    async fn execute(
        &self,
        key: &Key,
        observation: &Observation,
        plan: &Plan<Checked>,
    ) -> Result<(), Error> {
        let lost = plan.document().and_then(|document| loss(&observation.observed, document));
        let lost = lost.map(|loss| {
            self.memory.of(key, |notes| notes.holdings.lost(&loss, self.context.clock.time()))
        });
        let mut execution = Execution::new(&self.context, observation, lost.clone());
        let stretches = plan.steps().chunk_by(|one, next| tells_a_node(one) && tells_a_node(next));
        for steps in stretches {
            for step in steps {
                self.announce(key, observation, step);
            }
            let results = execution.carry_out(steps).await;
            for (step, result) in steps.iter().zip(results) {
                self.carried_out(key, observation, plan, step, result)?;
                if let (Step::WriteDocument { .. }, Some(lost)) = (step, &lost) {
                    let notice = Notice::new(EventReason::EntriesLost, in_words(lost));
                    self.context.events.tell(&observation.cluster.object_ref(&()), notice);
                }
            }
        }
        Ok(())
    }

    /// Counts and tells what became of a step; an error if the steps after it must not be carried out.
    fn carried_out(
        &self,
        key: &Key,
        observation: &Observation,
        plan: &Plan<Checked>,
        step: &Step,
        result: Result<(), Error>,
    ) -> Result<(), Error> {
        let outcome = match &result {
            Ok(()) => "success",
            Err(error) if error.is_conflict() || error.is_taken_name() => "conflict",
            Err(_) => "error",
        };
        if let Step::StartNode { name, .. } = step {
            self.memory.of(key, |notes| {
                match &result {
                    // A name that somebody else has is no lack of room: there are others.
                    Err(Error::Taken(_)) => notes.is_foreign(name),
                    // Nobody has refused anything: a ring that is founded without this node would soon be changed for it.
                    Err(Error::Ending(_)) => {}
                    Err(error) if error.is_conflict() && !notes.is_failing() => {}
                    result => notes.starts_fail = result.is_err(),
                }
            });
        }
        self.context.metrics.steps.with_label_values(&[kind(step), outcome]).inc();
        match result {
            Ok(()) => self.tell_done(observation, step, plan),
            // What a node does not take keeps no other step back: it is asked again as long as it lacks it.
            Err(error) if tells_a_node(step) => debug!(%step, %error, "a node did not take it"),
            Err(error) => {
                return Err(Error::Step { step: step.to_string(), source: Box::new(error) });
            }
        }
        Ok(())
    }

    async fn repair(
        &self,
        key: &Key,
        observation: &Observation,
        plan: &Plan<Checked>,
    ) -> Result<(), Error> {
        for repaired in upkeep(&self.context, observation, plan).await? {
            self.context.metrics.repairs.with_label_values(&[repaired.kind]).inc();
            let note = repaired.to_string();
            let is_first = observation.ring_version.is_none() && repaired.created;
            // Two who undo each other's work for ever must not fill the list of events.
            if !is_first && self.memory.of(key, |notes| notes.is_news(&note)) {
                let regarding = observation.cluster.object_ref(&());
                self.context.events.tell(&regarding, Notice::new(EventReason::Repaired, note));
            }
        }
        Ok(())
    }

    /// Before a pod goes, and not each time that it is tried again or already on its way.
    fn announce(&self, key: &Key, observation: &Observation, step: &Step) {
        let Step::StopNode { name, uid, reason } = step else { return };
        let mut nodes = observation.observed.nodes.iter();
        let is_stopping = nodes.any(|node| node.uid == *uid && node.stopping);
        let note = format!("{name}: {reason}");
        let is_new = self.memory.of(key, |notes| !notes.is_failing() || notes.is_news(&note));
        if is_new && !is_stopping {
            let notice = Notice::new(EventReason::PodDeleteInitiated, note);
            let pod = pod(observation, name, Some(uid));
            self.context.events.tell(&observation.cluster.object_ref(&()), notice.about(pod));
        }
    }

    /// Of the members that were not dead at the last look. It does not wait for the document that gives them up: while none of the nodes
    /// lives there is none.
    fn tell_deaths(&self, key: &Key, observation: &Observation, plan: &Plan<Checked>) {
        let dead = match plan.operation() {
            Operation::Repair { lost } => lost.as_slice(),
            _ => &[],
        };
        let died = self.memory.of(key, |notes| notes.newly_dead(dead));
        if !died.is_empty() {
            let notice = Notice::new(EventReason::NodeLost, format!("{} died", died.join(", ")));
            self.context.events.tell(&observation.cluster.object_ref(&()), notice);
        }
    }

    fn tell_done(&self, observation: &Observation, step: &Step, plan: &Plan<Checked>) {
        let regarding = observation.cluster.object_ref(&());
        let notice = match step {
            Step::StartNode { name, template, .. } => Notice::new(
                EventReason::PodCreated,
                format!("{name}: {template}"),
            )
            .about(pod(observation, name, None)),
            Step::WriteDocument { document } => {
                let operation = plan.operation();
                let note = format!("epoch {}, {}: {operation}", document.epoch, operation.kind());
                Notice::new(EventReason::RingPublished, note)
            }
            Step::StopNode { .. } | Step::PushDocument { .. } | Step::Configure { .. } => return,
        };
        self.context.events.tell(&regarding, notice);
    }

    fn next(&self, key: &Key, plan: &Plan<Checked>, observed: &Observed) -> Next {
        if !plan.poll_soon() && all_answer(observed) {
            return Next::Resync;
        }
        let unchanged = self.memory.of(key, |notes| notes.unchanged_for(&plan.to_string()));
        let pause = (unchanged / POLL_SHARE).min(MAX_POLL);
        Next::Poll(pause.max(self.context.config.poll))
    }
}

/// Whether every member of the ring answers: if one does not, nobody announces that it does again.
fn all_answer(observed: &Observed) -> bool {
    let mut members = observed.document.iter().flat_map(|document| &document.members);
    members.all(|member| observed.state_of(&member.uid).is_some())
}

/// `resync`, shortened by up to a quarter depending on the cluster, so that many of them do not come back at once.
fn spread(resync: Duration, uid: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    let share = (hasher.finish() % 1024) as u32;
    resync / 4 * 3 + resync / 4 / 1024 * share
}

fn kind(step: &Step) -> &'static str {
    match step {
        Step::WriteDocument { .. } => "WriteDocument",
        Step::PushDocument { .. } => "PushDocument",
        Step::Configure { .. } => "Configure",
        Step::StartNode { .. } => "StartNode",
        Step::StopNode { .. } => "StopNode",
    }
}

fn pod(observation: &Observation, name: &str, uid: Option<&str>) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        name: Some(name.to_owned()),
        namespace: observation.cluster.namespace(),
        uid: uid.map(str::to_owned),
        ..ObjectReference::default()
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".into())
}

/// Counts itself while it lives: a reconcile that is cancelled stops counting, too.
struct Active(prometheus::IntGauge);

impl Active {
    fn new(gauge: prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}
