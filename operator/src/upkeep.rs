//! Puts back what is missing or was changed by hand. Writes nothing when nothing differs.

use std::fmt::{self, Debug};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::Patch;
use kube::{Api, Client, Resource, ResourceExt as _};
use ringcache_operator_core::{Checked, Plan};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::execute::{api, apply, create, merge, params};
use crate::nodes::Nodes;
use crate::objects::{meta, ownership, pdb, ring, services};
use crate::observe::{Observation, Read, serves_unready, standing};
use crate::{Context, Error};

#[cfg(test)]
mod tests;

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Kind of the object.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Whether it was missing altogether.
    pub created: bool,
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, created } = self;
        let what = if *created { "created" } else { "put right" };
        write!(f, "{kind} {name} {what}")
    }
}

/// Compares, after `plan` has been carried out, the Services, the disruption budget and the metadata of pods and ring with what they should be, and puts right what
/// differs. All that can be done is done, whatever fails; then the first error is returned. One of them says that an object
/// of our name belongs to somebody else: that one is not touched.
pub async fn upkeep<N: Nodes>(
    context: &Context<N>,
    observation: &Observation,
    plan: &Plan<Checked>,
) -> Result<Vec<Repaired>, Error> {
    let Observation { cluster, observed, children, intent, .. } = observation;
    let client = &context.client;
    let wanted = intent.as_ref().map_or(0, |intent| intent.nodes);
    let available = pdb::available(cluster, &children.pods, observed, plan, wanted);
    // What a kubelet said last that is not heard of any more may be older than the end of its host. Silence of the node proves nothing:
    // it may be the operator that is cut off, and the nodes serve.
    let host_is_up = |pod: &&Pod| standing(context, pod).is_none_or(|standing| standing.ready);
    let unready_serve = children.pods.iter().filter(host_is_up).any(serves_unready);
    let budget = pdb::pdb(cluster, available, unready_serve);
    let outcomes = [
        object(client, observation, &children.nodes, services::nodes(cluster)).await,
        object(client, observation, &children.client, services::client(cluster)).await,
        object(client, observation, &children.pdb, budget).await,
        ring_metadata(client, observation).await,
    ];
    let mut outcomes = Vec::from(outcomes);
    for pod in &children.pods {
        outcomes.push(pod_metadata(client, observation, pod).await);
    }
    let repaired: Result<Vec<_>, _> = outcomes.into_iter().collect();
    Ok(repaired?.into_iter().flatten().collect())
}

/// Creates the object, or applies it if the live one lacks something of it.
async fn object<K>(
    client: &Client,
    observation: &Observation,
    live: &Read<K>,
    wanted: K,
) -> Result<Option<Repaired>, Error>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + k8s_openapi::Resource
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned,
{
    let mut wanted = ownership::marked(wanted);
    let name = wanted.name_any();
    let objects: Api<K> = api(client, observation);
    let repaired = |created| {
        Some(Repaired { kind: <K as k8s_openapi::Resource>::KIND, name: name.clone(), created })
    };
    let Some(live) = live.as_ref().map_err(Arc::clone)? else {
        // Not by apply: an object of this name that somebody else creates in this moment must not be overwritten.
        create(&objects, &wanted).await?;
        return Ok(repaired(true));
    };
    if !meta::is_owned(live.meta(), &observation.cluster) {
        return Err(meta::foreign(
            <K as k8s_openapi::Resource>::KIND,
            live.meta(),
            &observation.cluster,
        ));
    }
    let is_deleting = live.meta().deletion_timestamp.is_some();
    let (is, should_be) = (serde_json::to_value(live)?, serde_json::to_value(&wanted)?);
    let first = detour(&is, &should_be);
    if is_deleting || first.is_none() && contains(&is, &should_be) {
        return Ok(None);
    }
    if let Some(claim) = ownership::claim(live.meta()) {
        objects.patch_metadata(&name, &params(), &Patch::Merge(claim)).await?;
    }
    if let Some(first) = first {
        merge(&objects, &name, &first).await?;
    }
    wanted.meta_mut().uid.clone_from(&live.meta().uid);
    match apply(&objects, &name, &wanted).await {
        // Applied lists only grow by what is missing. An item of ours that somebody gave another key, such as a port another
        // number, stays beside the one put back, and stands in its way with the same name: then lists are set as a whole.
        Err(kube::Error::Api(status)) if status.is_invalid() => {
            merge(&objects, &name, &whole(&wanted)?).await?;
        }
        applied => drop(applied?),
    }
    // What this operator renders in another way than the one before it, or by another number of nodes, nobody has damaged.
    let is_damage = ownership::is_same_rendering(live.meta(), wanted.meta());
    Ok(repaired(false).filter(|_| is_damage))
}

/// What has to be written first. A load balancer cannot be given to another class, only taken away and made again; and a name that leads
/// elsewhere is no choice of a type that could be left alone.
fn detour(live: &Value, wanted: &Value) -> Option<Value> {
    let (live, wanted) = (&live["spec"], &wanted["spec"]);
    let class = &wanted["loadBalancerClass"];
    let is_other = !class.is_null() && live["loadBalancerClass"] != *class;
    if live["type"] == "LoadBalancer" && is_other {
        return Some(json!({"spec": {"type": "ClusterIP", "loadBalancerClass": null}}));
    }
    let leads_away = live["type"] == "ExternalName";
    // Once it has got an address, it cannot become headless.
    let mut back = json!({"type": "ClusterIP", "externalName": null});
    if !wanted["clusterIP"].is_null() {
        back["clusterIP"] = wanted["clusterIP"].clone();
    }
    leads_away.then(|| json!({ "spec": back }))
}

/// A merge patch with everything that is wanted, and without what excludes it.
fn whole<K: k8s_openapi::Resource + Serialize>(wanted: &K) -> Result<Value, Error> {
    let mut whole = serde_json::to_value(wanted)?;
    if K::KIND == "PodDisruptionBudget" {
        whole["spec"]["maxUnavailable"] = Value::Null;
    }
    Ok(whole)
}

/// Whether `live` says everything that `wanted` says. What the API server or others have added does not count, so that their
/// defaults cause no write.
fn contains(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            live.get(key).is_some_and(|live| match key.as_str() {
                // A selector is one thing: with one more key it selects other pods.
                "selector" => live == wanted,
                _ => contains(live, wanted),
            })
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            wanted.iter().all(|wanted| live.iter().any(|live| contains(live, wanted)))
        }
        _ => live == wanted,
    }
}

/// The ring ConfigMap itself is the planner's business: a lost document is made again from what nodes own.
async fn ring_metadata(
    client: &Client,
    observation: &Observation,
) -> Result<Option<Repaired>, Error> {
    let Observation { cluster, children, .. } = observation;
    let Some(live) = &children.ring else { return Ok(None) };
    if !ring::is_ours(cluster, live) {
        return Err(meta::foreign("ConfigMap", &live.metadata, cluster));
    }
    ring::writable(live)?;
    // A merge patch, not apply: without the document in it, apply by the owner of the document would delete that.
    let patch = meta::repair(cluster, &live.metadata);
    let rings: Api<ConfigMap> = api(client, observation);
    metadata(&rings, "ConfigMap", live.name_any(), patch).await
}

/// Labels and annotations of a pod change in place. One that ends is left alone.
async fn pod_metadata(
    client: &Client,
    observation: &Observation,
    live: &Pod,
) -> Result<Option<Repaired>, Error> {
    let phase = live.status.as_ref().and_then(|status| status.phase.as_deref());
    if live.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Failed" | "Succeeded")) {
        return Ok(None);
    }
    let patch = meta::repair_pod(&observation.cluster, &live.metadata);
    let pods: Api<Pod> = api(client, observation);
    metadata(&pods, "Pod", live.name_any(), patch).await
}

async fn metadata<K>(
    api: &Api<K>,
    kind: &'static str,
    name: String,
    patch: Option<Value>,
) -> Result<Option<Repaired>, Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let Some(patch) = patch else { return Ok(None) };
    merge(api, &name, &patch).await?;
    Ok(Some(Repaired { kind, name, created: false }))
}
