//! What each verb shows.

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, stream};
use kube::Client;
use ringcache_api::admin::NodeHeat;
use ringcache_api::status::{CacheClusterStatus, condition};
use ringcache_operator::autoscale::measured;
use ringcache_operator::observe::Observation;
use ringcache_operator_core::{InForce, Observed};
use ringcache_show as show;
use ringcache_show::curve::Sizes;
use ringcache_show::nodes::Place;
use ringcache_show::plan::{Cost, Wish};
use serde_json::{Value, json};

use crate::args::{Curve, Json, Picture, Shown, Verb, Which, Wide};
use crate::events::events;
use crate::look::{eyes, look};
use crate::proxy::Heat;

/// Nodes that are asked at once.
const ASKED_AT_ONCE: usize = 32;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// Whether nobody need look any further.
    pub(crate) is_good: bool,
}

/// Looks, and says what was asked for.
pub(crate) async fn answer<N: Heat>(
    verb: &Verb,
    client: Client,
    nodes: N,
    namespace: &str,
) -> Result<Answer> {
    let context = eyes(client.clone(), nodes.clone()).await;
    let seen = look(&context, namespace, verb.cluster()).await?;
    let (cluster, observed) = (&seen.cluster, &seen.observed);
    let status = cluster.status.clone().unwrap_or_default();
    let good = |text| Ok(Answer { text, is_good: true });
    match verb {
        Verb::Status(Shown { output, .. }) => {
            let json = || json!({ "cluster": cluster, "nodes": observed.nodes });
            let text = |place| show::status::text(cluster, &status, observed, place);
            Ok(Answer { text: wide(*output, text, json), is_good: is_ready(&status) })
        }
        Verb::Nodes(Shown { output, .. }) => {
            let json = || json!({ "nodes": observed.nodes });
            good(wide(*output, |place| show::nodes::table(observed, place), json))
        }
        Verb::Ring(Which { output, .. }) => {
            good(either(*output, || show::ring::text(observed), || show::ring::json(observed)))
        }
        Verb::Why(Which { output, .. }) => {
            let told = events(client, namespace, cluster).await?;
            let text = || show::why::text(cluster, &status, &told);
            good(either(*output, text, || show::why::json(&status, &told)))
        }
        Verb::Hotkeys(Which { output, .. }) => {
            let heats = heats(&nodes, observed).await?;
            let text = || show::hot_keys::text(&heats);
            good(either(*output, text, || show::hot_keys::json(&heats)))
        }
        Verb::Curve(Curve { output, .. }) => {
            let measured = measured(&context, observed).await;
            let Some(measured) = measured.filter(|measured| measured.served().is_some()) else {
                bail!("nothing was read lately, or not all nodes answer");
            };
            let sizes = Sizes::of(&measured);
            good(match output {
                None => sizes.text(),
                Some(Picture::Json) => pretty(&sizes.json()),
                Some(Picture::Svg) => sizes.svg(),
            })
        }
        Verb::Plan(plan) => {
            let in_force = in_force(&seen)?;
            let wish = Wish { nodes: plan.nodes, memory: plan.memory.clone() };
            let intent = wish.over(cluster, &in_force).map_err(anyhow::Error::msg)?;
            let forecast = show::plan::forecast(&intent, observed).map_err(anyhow::Error::msg)?;
            let measured = measured(&context, observed).await;
            let cost = measured.and_then(|it| Cost::of(&it, &in_force.intent, &intent));
            let text = || show::plan::text(&forecast, cost);
            good(either(plan.which.output, text, || show::plan::json(&forecast, cost)))
        }
    }
}

fn in_force(seen: &Observation) -> Result<InForce> {
    let intent = seen.intent.clone();
    let intent = intent
        .context("there is no spec that could be carried out: see `kubectl ringcache status`")?;
    Ok(InForce { spec: seen.cluster.spec.clone(), intent, held: seen.held.clone() })
}

fn is_ready(status: &CacheClusterStatus) -> bool {
    status.conditions.iter().any(|c| c.type_ == condition::READY && c.status == "True")
}

/// What the clients of each node that answers do.
async fn heats<N: Heat>(nodes: &N, observed: &Observed) -> Result<Vec<(String, NodeHeat)>> {
    let ask = async |node: &ringcache_operator_core::ObservedNode| {
        let heat = nodes.heat(&node.host, node.ports.admin).await.ok()?;
        (heat.incarnation.uid() == node.uid).then(|| (node.name.clone(), heat))
    };
    let asked: Vec<_> =
        stream::iter(&observed.nodes).map(ask).buffered(ASKED_AT_ONCE).collect().await;
    let heats: Vec<_> = asked.into_iter().flatten().collect();
    if heats.is_empty() {
        bail!("no node answers");
    }
    Ok(heats)
}

fn wide(
    output: Option<Wide>,
    text: impl FnOnce(Place) -> String,
    json: impl FnOnce() -> Value,
) -> String {
    match output {
        None => text(Place::Host),
        Some(Wide::Wide) => text(Place::HostAndProgram),
        Some(Wide::Json) => pretty(&json()),
    }
}

fn either(
    output: Option<Json>,
    text: impl FnOnce() -> String,
    json: impl FnOnce() -> Value,
) -> String {
    match output {
        None => text(),
        Some(Json::Json) => pretty(&json()),
    }
}

fn pretty(json: &Value) -> String {
    format!("{json:#}\n")
}
