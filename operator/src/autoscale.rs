//! Asks the nodes what they have measured, and records how many of them there are to be. Nothing is done for it before the next pass, which
//! reads the record: so a crash, or another operator, changes nothing.

use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Patch;
use ringcache_operator_core::autoscaling::{Decided, Measured, Report, Seen, Trend, decide, is_on};
use ringcache_operator_core::{Checked, Observed, Operation, Plan};
use tokio::time::Instant;
use tracing::info;

use crate::execute::{api, params};
use crate::memory::{Key, Memory};
use crate::nodes::Nodes;
use crate::objects::ring;
use crate::observe::{ASKED_AT_ONCE, Observation};
use crate::{Context, Error};

/// What came of it.
pub(crate) struct Scaled {
    /// What is told; `None` = nothing scales the cluster.
    pub(crate) report: Option<Report>,
    /// Whether another number of nodes is in force now.
    pub(crate) has_changed: bool,
}

/// What is told where nothing is decided: something else is under way, has failed, or the spec is held back.
pub(crate) fn undecided(memory: &Memory, key: &Key, observation: &Observation) -> Option<Report> {
    memory.of(key, |notes| notes.trend = None);
    let Observation { cluster, held, scaling, intent, .. } = observation;
    Report::undecided(&cluster.spec, scaling.as_ref(), intent.as_ref()?.nodes, held.as_ref())
}

/// Decides how many nodes there are to be, while the cluster is at rest, or lacks nodes that cannot start.
pub(crate) async fn autoscale<N: Nodes>(
    context: &Context<N>,
    memory: &Memory,
    key: &Key,
    observation: &Observation,
    plan: &Plan<Checked>,
) -> Result<Scaled, Error> {
    let Observation { cluster, held, scaling, observed, children, intent, .. } = observation;
    let there = plan.going_on_without();
    let rests = *plan.operation() == Operation::Steady || there.is_some();
    let may_change = rests && held.is_none() && is_on(&cluster.spec, scaling.as_ref());
    let Some(intent) = intent.as_ref().filter(|_| may_change) else {
        return Ok(Scaled { report: undecided(memory, key, observation), has_changed: false });
    };
    let measured = measured(context, observed).await;
    let at = context.clock.now().as_second();
    let decided = memory.of(key, |notes| {
        let (since, trend) = notes.trend.get_or_insert_with(|| (Instant::now(), Trend::default()));
        let now = i64::try_from(since.elapsed().as_secs()).unwrap_or(i64::MAX);
        let seen = Seen { nodes: intent.nodes, there, measured: measured.as_ref(), now, at };
        decide(&cluster.spec, scaling.as_ref(), trend, &seen)
    });
    let Decided { record, nodes, report } = decided;
    let ours = children.ring.as_ref().filter(|ring| ring::is_ours(cluster, ring));
    if let Some(ring) = ours.filter(|_| record != *scaling) {
        // Of two operators that decide at once, one gets a conflict and looks again.
        let patch = ring::scaled(ring, record.as_ref());
        let rings = api::<ConfigMap>(&context.client, observation);
        rings.patch_metadata(&ring::name(cluster), &params(), &Patch::Merge(patch)).await?;
    }
    let has_changed = nodes != intent.nodes;
    if has_changed {
        let why = report.as_ref().map(|report| report.message.as_str());
        info!(namespace = key.namespace, name = key.name, nodes, why, "autoscaling");
    }
    Ok(Scaled { report, has_changed })
}

/// What all members have measured; `None` if one does not tell. It may be late once.
pub async fn measured<N: Nodes>(context: &Context<N>, observed: &Observed) -> Option<Measured> {
    let members = observed.stored().map(|document| document.members.as_slice()).unwrap_or_default();
    let ask = async |member: &ringcache_api::Member| {
        let (host, port) = (&member.host, member.ports.admin);
        let told = match context.nodes.curve(host, port).await {
            Err(_) => context.nodes.curve(host, port).await.ok()?,
            Ok(told) => told,
        };
        (told.incarnation == member.uid).then(|| (member.name.clone(), told))
    };
    let told: Vec<_> = stream::iter(members).map(ask).buffered(ASKED_AT_ONCE).collect().await;
    Measured::of(&told.into_iter().collect::<Option<Vec<_>>>()?, observed.used_bytes())
}
