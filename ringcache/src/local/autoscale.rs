//! Asks the nodes what they have measured, and records how many of them there are to be.

use anyhow::Result;
use ringcache_admin_client::AdminClient;
use ringcache_operator_core::autoscaling::{Decided, Measured, Report, Seen, State, decide, is_on};
use ringcache_operator_core::{Held, InForce, Observed, Operation, Plan};
use tokio::task::JoinSet;

use super::report::{PlanResult, time};
use super::run::Up;

impl Up {
    /// Decides how many nodes there are to be, while the cluster is at rest. What is recorded is in force from the next run on. `None` =
    /// nothing scales the cluster.
    pub(super) async fn autoscale(
        &mut self,
        planned: &PlanResult,
        in_force: &Result<InForce, Held>,
        recorded: Option<&State>,
        observed: &Observed,
    ) -> Result<Option<Report>> {
        let Ok(InForce { spec, intent, held }) = in_force else { return Ok(None) };
        if intent.deleting || !is_on(spec, recorded) {
            return Ok(None);
        }
        let plan = planned.as_ref().and_then(|planned| planned.as_ref().ok());
        let there = plan.and_then(Plan::going_on_without);
        let rests = there.is_some() || plan.is_some_and(|it| *it.operation() == Operation::Steady);
        if !rests || held.is_some() {
            self.trend.disturb();
            return Ok(Report::undecided(spec, recorded, intent.nodes, held.as_ref()));
        }
        let measured = measured(&self.admin, observed).await;
        let now = i64::try_from(self.began.elapsed().as_secs()).unwrap_or(i64::MAX);
        let (nodes, at) = (intent.nodes, time().0.as_second());
        let seen = Seen { nodes, there, measured: measured.as_ref(), now, at };
        let Decided { record, nodes, report } = decide(spec, recorded, &mut self.trend, &seen);
        if record.as_ref() != recorded {
            self.dir.write_scaling(record.as_ref())?;
        }
        if nodes != intent.nodes {
            let why = report.as_ref().map_or("", |report| &report.message);
            let from = intent.nodes;
            self.screen.event(&format!("autoscaling: from {from} to {nodes} nodes. {why}"));
        }
        Ok(report)
    }
}

/// What all members have measured; `None` if one does not tell.
pub(super) async fn measured(admin: &AdminClient, observed: &Observed) -> Option<Measured> {
    let mut asked = JoinSet::new();
    for member in observed.stored()?.members.clone() {
        let admin = admin.clone();
        asked.spawn(async move {
            let (host, port) = (&member.host, member.ports.admin);
            // It may be late once.
            let told = match admin.curve(host, port).await {
                Err(_) => admin.curve(host, port).await.ok()?,
                Ok(told) => told,
            };
            (told.incarnation == member.uid).then_some((member.name, told))
        });
    }
    let mut told = Vec::new();
    while let Some(answer) = asked.join_next().await {
        told.push(answer.ok()??);
    }
    told.sort_by(|(one, _), (other, _)| one.cmp(other));
    Measured::of(&told, observed.used_bytes())
}
