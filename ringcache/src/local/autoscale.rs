//! Asks the nodes what they have measured, and records how many of them there are to be.

use anyhow::Result;
use ringcache_admin_client::AdminClient;
use ringcache_operator_core::autoscaling::{Measured, Report, State, decide, is_on};
use ringcache_operator_core::{Held, InForce, Observed, Operation};
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
        let rests = matches!(planned, Some(Ok(plan)) if *plan.operation() == Operation::Steady);
        if !rests || held.is_some() {
            self.trend.disturb();
            return Ok(Report::undecided(spec, recorded, held.as_ref()));
        }
        let measured = measured(&self.admin, observed).await;
        let now = i64::try_from(self.began.elapsed().as_secs()).unwrap_or(i64::MAX);
        let now = (now, time().0.as_second());
        let (next, report) = decide(spec, recorded, &mut self.trend, measured.as_ref(), now);
        if next.as_ref() != recorded {
            self.dir.write_scaling(next.as_ref())?;
        }
        if report.nodes != intent.nodes {
            let (from, to) = (intent.nodes, report.nodes);
            self.screen
                .event(&format!("autoscaling: from {from} to {to} nodes. {}", report.message));
        }
        Ok(Some(report))
    }
}

/// What all members have measured; `None` if one does not tell.
pub(super) async fn measured(admin: &AdminClient, observed: &Observed) -> Option<Measured> {
    let mut asked = JoinSet::new();
    for member in observed.stored()?.members.clone() {
        let admin = admin.clone();
        asked.spawn(async move {
            let told = admin.curve(&member.host, member.ports.admin).await.ok()?;
            (told.incarnation == member.uid).then_some((member.name, told))
        });
    }
    let mut told = Vec::new();
    while let Some(answer) = asked.join_next().await {
        told.push(answer.ok()??);
    }
    told.sort_by(|(one, _), (other, _)| one.cmp(other));
    Measured::of(&told)
}
