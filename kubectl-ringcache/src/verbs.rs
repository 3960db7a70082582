//! What each verb shows of one cluster.

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, stream};
use ringcache_api::admin::NodeHeat;
use ringcache_operator::autoscale::measured;
use ringcache_operator::observe::{ASKED_AT_ONCE, Observation};
use ringcache_operator_core::{Cost, InForce, Observed, ObservedNode};
use ringcache_show as show;
use ringcache_show::curve::Sizes;
use ringcache_show::nodes::Place;
use ringcache_show::plan::Wish;
use ringcache_show::status::is_ready;
use serde_json::json;

use crate::args::{Curve, Plan, Shown, Verb, Which};
use crate::clusters;
use crate::events::events;
use crate::look::{Named, eyes, find, look, named, one};
use crate::output::{picture, plain, wide};
use crate::proxy::Proxy;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// Whether nobody need look any further.
    pub(crate) is_good: bool,
}

/// Looks, and says what was asked for.
pub(crate) async fn answer(verb: &Verb, proxy: &Proxy) -> Result<Answer> {
    let name = match (verb, named(proxy, verb.cluster()).await?) {
        (_, Named::One(name)) => name,
        (Verb::Status(Shown { output, .. }), Named::Several(_)) => {
            return clusters::answer(proxy, Some(proxy.namespace()), *output).await;
        }
        (_, Named::Several(_)) => one(proxy, None).await?,
    };
    let context = eyes(proxy, verb.is_about_hosts()).await;
    let found = find(&context, &name).await?;
    let cluster = found.cluster.clone();
    let status = cluster.status.clone().unwrap_or_default();
    let look = || look(&context, found);
    let mut is_good = true;
    let text = match verb {
        Verb::Status(Shown { output, .. }) => {
            let observed = look().await?.observed;
            is_good = is_ready(&status);
            let json = || json!({ "cluster": cluster, "nodes": observed.nodes });
            let text = |wide| show::status::text(&cluster, &status, &observed, place(wide));
            wide(*output, text, json)
        }
        Verb::Nodes(Shown { output, .. }) => {
            let observed = look().await?.observed;
            let json = || json!({ "nodes": observed.nodes });
            wide(*output, |wide| show::nodes::table(&observed, place(wide)), json)
        }
        Verb::Ring(Which { output, .. }) => {
            let observed = look().await?.observed;
            let text = || show::ring::text(&observed);
            plain(*output, text, || show::ring::json(&observed))
        }
        Verb::Why(Which { output, .. }) => {
            let told = events(proxy.client(), proxy.namespace(), &cluster).await?;
            let text = || show::why::text(&cluster, &status, &told);
            plain(*output, text, || show::why::json(&status, &told))
        }
        Verb::Hotkeys(Which { output, .. }) => {
            let observed = look().await?.observed;
            let heats = heats(proxy, &observed).await;
            let names: Vec<String> = observed.nodes.into_iter().map(|node| node.name).collect();
            let silent = show::hot_keys::silent(&names, &heats).map_err(anyhow::Error::msg)?;
            let text = || show::hot_keys::text(&heats, &silent);
            plain(*output, text, || show::hot_keys::json(&heats, &silent))
        }
        Verb::Curve(Curve { output, .. }) => {
            let measured = measured(&context, &look().await?.observed).await;
            let Some(measured) = measured.filter(|measured| measured.served().is_some()) else {
                bail!("nothing was read lately, or not all nodes answer");
            };
            let sizes = Sizes::of(&measured);
            picture(*output, || sizes.text(), || sizes.json(), || sizes.svg())
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
            plain(which.output, text, || show::plan::json(&forecast, cost))
        }
        Verb::Top(_) | Verb::Report(_) | Verb::Completion(_) => bail!("it shows no single look"),
    };
    Ok(Answer { text: text?, is_good })
}

fn place(wide: bool) -> Place {
    if wide { Place::HostAndProgram } else { Place::Host }
}

fn in_force(seen: &Observation) -> Result<InForce> {
    let intent = seen.intent.clone();
    let intent = intent
        .context("there is no spec that could be carried out: see `kubectl ringcache status`")?;
    Ok(InForce { spec: seen.cluster.spec.clone(), intent, held: seen.held.clone() })
}

/// What the clients of each node that answers do.
async fn heats(proxy: &Proxy, observed: &Observed) -> Vec<(String, NodeHeat)> {
    let ask = async |node: &ObservedNode| {
        let heat = proxy.heat(&node.host, node.ports.admin).await.ok()?;
        (heat.incarnation.uid() == node.uid).then(|| (node.name.clone(), heat))
    };
    let asked = stream::iter(&observed.nodes).map(ask).buffered(ASKED_AT_ONCE);
    asked.filter_map(async |heat| heat).collect().await
}
