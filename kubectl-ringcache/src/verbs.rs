//! What each verb shows.

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, stream};
use kube::Client;
use ringcache_api::admin::NodeHeat;
use ringcache_operator::autoscale::measured;
use ringcache_operator::observe::{ASKED_AT_ONCE, Observation};
use ringcache_operator_core::{InForce, Observed, ObservedNode};
use ringcache_show as show;
use ringcache_show::curve::{Sizes, served};
use ringcache_show::nodes::Place;
use ringcache_show::plan::{Cost, Wish};
use ringcache_show::status::is_ready;
use serde_json::{Value, json};

use crate::args::{Curve, Json, Picture, Plan, Shown, Verb, Which, Wide};
use crate::events::events;
use crate::look::{eyes, find, look};
use crate::proxy::Heat;

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
    let context = eyes(client.clone(), nodes.clone(), verb.is_about_hosts()).await;
    let found = find(&context, namespace, verb.cluster()).await?;
    let cluster = found.cluster.clone();
    let status = cluster.status.clone().unwrap_or_default();
    let good = |text| Ok(Answer { text, is_good: true });
    let look = || look(&context, found);
    match verb {
        Verb::Status(Shown { output, .. }) => {
            let observed = look().await?.observed;
            let json = || json!({ "cluster": cluster, "nodes": observed.nodes });
            let text = |place| show::status::text(&cluster, &status, &observed, place);
            Ok(Answer { text: wide(*output, text, json), is_good: is_ready(&status) })
        }
        Verb::Nodes(Shown { output, .. }) => {
            let observed = look().await?.observed;
            let json = || json!({ "nodes": observed.nodes });
            good(wide(*output, |place| show::nodes::table(&observed, place), json))
        }
        Verb::Ring(Which { output, .. }) => {
            let observed = look().await?.observed;
            let text = || show::ring::text(&observed);
            good(either(*output, text, || show::ring::json(&observed)))
        }
        Verb::Why(Which { output, .. }) => {
            let told = events(client, namespace, &cluster).await?;
            let text = || show::why::text(&cluster, &status, &told);
            good(either(*output, text, || show::why::json(&status, &told)))
        }
        Verb::Hotkeys(Which { output, .. }) => {
            let observed = look().await?.observed;
            let heats = heats(&nodes, &observed).await;
            let names: Vec<String> = observed.nodes.into_iter().map(|node| node.name).collect();
            let silent = show::hot_keys::silent(&names, &heats).map_err(anyhow::Error::msg)?;
            let text = || show::hot_keys::text(&heats, &silent);
            good(either(*output, text, || show::hot_keys::json(&heats, &silent)))
        }
        Verb::Curve(Curve { output, .. }) => {
            let measured = measured(&context, &look().await?.observed).await;
            let Some(measured) = measured.filter(|measured| served(measured).is_some()) else {
                bail!("nothing was read lately, or not all nodes answer");
            };
            let sizes = Sizes::of(&measured);
            good(match output {
                None => sizes.text(),
                Some(Picture::Json) => pretty(&sizes.json()),
                Some(Picture::Svg) => sizes.svg(),
            })
        }
        Verb::Plan(Plan { which, nodes, memory }) => {
            let seen = look().await?;
            let (in_force, observed) = (in_force(&seen)?, seen.observed);
            let wish = Wish { nodes: *nodes, memory: memory.clone() };
            let intent = wish.over(&cluster, &in_force).map_err(anyhow::Error::msg)?;
            let forecast = show::plan::forecast(&intent, &observed).map_err(anyhow::Error::msg)?;
            let measured = measured(&context, &observed).await;
            let cost = measured.and_then(|measured| Cost::of(&measured, &observed, &intent));
            let text = || show::plan::text(&forecast, cost);
            good(either(which.output, text, || show::plan::json(&forecast, cost)))
        }
    }
}

fn in_force(seen: &Observation) -> Result<InForce> {
    let intent = seen.intent.clone();
    let intent = intent
        .context("there is no spec that could be carried out: see `kubectl ringcache status`")?;
    Ok(InForce { spec: seen.cluster.spec.clone(), intent, held: seen.held.clone() })
}

/// What the clients of each node that answers do.
async fn heats<N: Heat>(nodes: &N, observed: &Observed) -> Vec<(String, NodeHeat)> {
    let ask = async |node: &ObservedNode| {
        let heat = nodes.heat(&node.host, node.ports.admin).await.ok()?;
        (heat.incarnation.uid() == node.uid).then(|| (node.name.clone(), heat))
    };
    let asked = stream::iter(&observed.nodes).map(ask).buffered(ASKED_AT_ONCE);
    asked.filter_map(async |heat| heat).collect().await
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
