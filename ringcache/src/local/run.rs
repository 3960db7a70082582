//! The loop of `ringcache up`: the operator's planner over processes of this machine.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow};
use ringcache_admin_client::AdminClient;
use ringcache_api::CacheCluster;
use ringcache_api::status::LostEntries;
use ringcache_operator_core::autoscaling::{Report, Trend};
use ringcache_operator_core::losses::{Holdings, in_words, loss};
use ringcache_operator_core::{Checked, Held, InForce, Observed, Plan, Step, as_it_is, in_force};
use ringcache_show::nodes::Place;
use ringcache_show::status::is_ready;

use super::dir::StateDir;
use super::execute::Executor;
use super::movement::Movement;
use super::observe::observe;
use super::report::{PlanResult, Reporter, endpoints, plan_for, status_of, time};
use super::resource;
use super::screen::Screen;
use super::spec::{Edit, SpecFile};
use crate::clock;

/// Between two runs when the last one has changed something, or an edit waits for its second look.
const SOON: Duration = Duration::from_millis(20);
/// Between two runs while something is going on.
const BUSY: Duration = Duration::from_millis(100);
/// Between two runs when nothing is, or a step has failed.
const STEADY: Duration = Duration::from_millis(500);

/// A local cluster and everything that looks after it.
pub(super) struct Up {
    pub(super) dir: StateDir,
    pub(super) admin: AdminClient,
    pub(super) spec: SpecFile,
    pub(super) cluster: CacheCluster,
    /// An edit that was accepted and comes into force when it is recorded.
    pub(super) edited: Option<CacheCluster>,
    pub(super) executor: Executor,
    pub(super) reporter: Reporter,
    pub(super) holdings: Holdings,
    /// What was lost last with nodes that ended.
    pub(super) lost: Option<LostEntries>,
    pub(super) movement: Movement,
    pub(super) trend: Trend,
    pub(super) screen: Screen,
    pub(super) began: Instant,
    /// Whether the endpoints were printed.
    pub(super) announced: bool,
}

impl Up {
    /// One run, and how long to wait for the next. Whatever fails is told and tried again: the nodes go on meanwhile.
    pub(super) async fn run(&mut self) -> Duration {
        let (pace, troubles) = self.attempt().await;
        let troubles = troubles.iter().map(|trouble| format!("{trouble:#}")).collect();
        for line in self.reporter.troubles(troubles) {
            self.screen.event(&line);
        }
        pace
    }

    /// One run, how long to wait for the next, and what failed.
    pub(super) async fn attempt(&mut self) -> (Duration, Vec<Error>) {
        let mut troubles = Vec::new();
        let pace = self.pass(&mut troubles).await.unwrap_or_else(|error| {
            troubles.push(error);
            STEADY
        });
        let pace = if troubles.is_empty() { pace } else { STEADY };
        (if self.spec.is_unsettled() { SOON } else { pace }, troubles)
    }

    /// From observation to execution. Not being able to write something down keeps back only what needs it to be written.
    async fn pass(&mut self, troubles: &mut Vec<Error>) -> Result<Duration> {
        troubles.extend(self.follow_edits().err());
        troubles.extend(self.reap());
        let observed = observe(&self.dir, &self.admin, &self.cluster).await?;
        let starts_fail = self.executor.starts_fail;
        let observed = Observed { starts_fail, lost: self.lost.clone(), ..observed };
        self.holdings.note(&observed, &time());
        let last = self.dir.spec()?;
        let recorded = self.dir.scaling()?;
        let in_force = in_force(&self.cluster, last.as_ref())
            .or_else(|held| as_it_is(&self.cluster, held, &observed))
            .map(|in_force| in_force.sized(recorded.as_ref(), observed.stored()));
        // One that is held is recorded if there is no other: of the nodes that are there now one may be lost later.
        if let Ok(InForce { spec, held, .. }) = &in_force
            && if held.is_none() { last.as_ref() != Some(spec) } else { last.is_none() }
        {
            troubles.extend(self.dir.write_spec(spec).err());
        }
        let planned = plan_for(&in_force, &observed);
        let scaled = self.autoscale(&planned, &in_force, recorded.as_ref(), &observed).await;
        let scaled = scaled.unwrap_or_else(|error| {
            troubles.push(error);
            None
        });
        troubles.extend(self.report(&planned, &in_force, scaled.as_ref(), &observed).err());
        let (plan, intent) = match (planned, in_force) {
            (Some(Ok(plan)), Ok(in_force)) => (plan, in_force.intent),
            (planned, _) => {
                let found = planned.and_then(Result::err).unwrap_or_default();
                troubles.extend(found.iter().map(|v| anyhow!("the plan is refused: {v}")));
                return Ok(STEADY);
            }
        };
        let mut pace = if plan.poll_soon() { BUSY } else { STEADY };
        for step in plan.steps() {
            match self.executor.execute(step, &observed, intent.nodes, intent.deleting).await {
                Ok(event) => {
                    pace = pace.min(SOON);
                    self.executed(step, event, &plan, &observed);
                }
                Err(error) => {
                    troubles.push(error);
                    // Nodes keep each other back neither by what they refuse nor by not ending; after the failure of a
                    // document or a start the rest may be wrong.
                    if matches!(step, Step::WriteDocument { .. } | Step::StartNode { .. }) {
                        break;
                    }
                }
            }
        }
        Ok(pace)
    }

    /// From now on everything goes.
    pub(super) fn delete(&mut self) {
        self.cluster.metadata.deletion_timestamp = Some(time());
    }

    fn follow_edits(&mut self) -> Result<()> {
        let edit = match self.spec.look() {
            Edit::Accepted(wanted) => resource::apply(Some(&self.cluster), *wanted)
                .map_err(|error| vec![format!("{}: {error}", self.spec.path().display())]),
            Edit::Refused(problems) => Err(problems),
            Edit::None => return self.adopt_edit(),
        };
        match edit {
            Ok(wanted) => {
                let changes = resource::difference(&self.cluster, &wanted);
                let changes =
                    if changes.is_empty() { "as in force".into() } else { changes.join(", ") };
                self.screen.event(&format!("{}: {changes}", self.spec.path().display()));
                self.edited = Some(wanted);
            }
            Err(problems) => {
                for problem in problems {
                    self.screen.event(&problem);
                }
                self.screen.event("the edit changes nothing: the last good spec stays in force");
            }
        }
        self.adopt_edit()
    }

    /// Recorded before it comes into force: another `up` must not count generations again that nodes already know.
    fn adopt_edit(&mut self) -> Result<()> {
        if let Some(edited) = &self.edited {
            self.dir.write_cluster(edited)?;
            let deleted = self.cluster.metadata.deletion_timestamp.take();
            self.cluster.clone_from(edited);
            self.cluster.metadata.deletion_timestamp = deleted;
            self.edited = None;
        }
        Ok(())
    }

    fn reap(&mut self) -> Vec<Error> {
        let mut troubles = Vec::new();
        for reaped in self.executor.reap().unwrap_or_else(|error| vec![Err(error)]) {
            match reaped {
                Ok(event) => self.screen.event(&event),
                Err(error) => troubles.push(error),
            }
        }
        troubles
    }

    fn executed(
        &mut self,
        step: &Step,
        event: Option<String>,
        plan: &Plan<Checked>,
        observed: &Observed,
    ) {
        if let Some(event) = event {
            self.screen.event(&event);
        }
        if let Step::WriteDocument { document } = step {
            let moves = self.movement.document(observed, document, clock::now());
            let (epoch, operation) = (document.epoch, plan.operation());
            self.screen
                .event(&format!("epoch {epoch}: {}, {operation}: {moves}", operation.kind()));
            for note in plan.notes() {
                self.screen.event(&note.to_string());
            }
            if let Some(loss) = loss(observed, document) {
                let lost = self.holdings.lost(&loss, time());
                self.screen.event(&in_words(&lost));
                self.lost = Some(lost);
            }
        }
    }

    fn report(
        &mut self,
        planned: &PlanResult,
        in_force: &Result<InForce, Held>,
        scaled: Option<&Report>,
        observed: &Observed,
    ) -> Result<()> {
        for event in self.reporter.answers(observed) {
            self.screen.event(&event);
        }
        let settled = matches!(planned, Some(Ok(plan)) if !plan.poll_soon());
        if let Some(line) = self.movement.observe(observed, settled, clock::now()) {
            self.screen.event(&line);
        }
        let status = status_of(planned, in_force, observed, scaled, self.reporter.status());
        let ready = is_ready(&status);
        let written = self.reporter.write(&self.dir, &self.cluster, status);
        if ready && !self.announced {
            self.announce(observed);
        }
        if self.screen.is_live() {
            self.screen.show(&ringcache_show::nodes::table(observed, Place::Ports));
        }
        written
    }

    fn announce(&mut self, observed: &Observed) {
        let Some(node) = observed.nodes.iter().find(|node| observed.state(node).is_some()) else {
            return;
        };
        self.announced = true;
        let after = self.began.elapsed().as_secs_f64();
        self.screen.event(&format!("Ready after {after:.1} s"));
        let program = std::env::args().next().unwrap_or_else(|| "ringcache".into());
        let is_scaled = self.cluster.spec.autoscaling.is_some();
        self.screen.plain(&endpoints(node, &program, relative(self.spec.path()), is_scaled));
    }
}

/// The path as seen from here, when that is shorter.
fn relative(path: &Path) -> &Path {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path)
}
