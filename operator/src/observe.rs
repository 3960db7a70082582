//! Reads, and only reads: the `CacheCluster`, its ring document, its pods, and what each node says of itself.
//!
//! The order matters. Whoever is in the ring document and not among the pods counts as dead, so the document is read before
//! the pods: every member of it had its pod before. Read the other way round, a pod that another operator started and
//! admitted in between would be declared dead. For the same reason nothing comes from a cache of watched objects.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join3};
use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, ResourceExt};
use ringcache_api::admin::NodeState;
use ringcache_api::document::ClusterRef;
use ringcache_api::{CacheCluster, Document};
use ringcache_operator_core::autoscaling::State;
use ringcache_operator_core::{
    Held, InForce, Intent, Observed, ObservedNode, Phase, Place, Said, as_it_is, in_force,
};
use serde_json::Value;

use crate::hosts::Standing;
use crate::nodes::Nodes;
use crate::objects::fingerprint::fingerprint;
use crate::objects::pod::PORTS;
use crate::objects::{meta, ring, services};
use crate::{Context, Error};

mod container;
#[cfg(test)]
pub(crate) mod fixture;
mod phase;
mod pods;
mod program;
mod resource;
mod rest;
#[cfg(test)]
mod tests;
mod trouble;

pub(crate) use phase::serves_unready;
pub(crate) use pods::is_ours;
#[cfg(test)]
pub(crate) use program::template;
pub use resource::{Resource, resource};
pub(crate) use rest::failures;

/// One look at a cluster.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The resource, with the spec that is carried out.
    pub cluster: CacheCluster,
    /// Its status, word by word; null if it has none.
    pub status: Value,
    /// What that spec says; `None` = there is none to go by.
    pub intent: Option<Intent>,
    /// Why it is not the spec that the resource has.
    pub held: Option<Held>,
    /// The number of nodes in force, as it is recorded, where something scales the cluster.
    pub scaling: Option<State>,
    /// What the planner decides by.
    pub observed: Observed,
    /// `resourceVersion` of the ring ConfigMap: who writes the next document must have seen this one.
    pub ring_version: Option<String>,
    /// The objects themselves.
    pub children: Children,
}

/// The objects of a cluster, as read.
#[derive(Clone, Debug)]
pub struct Children {
    /// Its pods, by name.
    pub pods: Vec<Pod>,
    /// Whatever has the name of its ring ConfigMap.
    pub ring: Option<ConfigMap>,
    /// Whatever has the name of its client Service.
    pub client: Read<Service>,
    /// Whatever has the name of its headless Service.
    pub nodes: Read<Service>,
    /// Whatever has the name of its disruption budget.
    pub pdb: Read<PodDisruptionBudget>,
}

/// An object that nothing but its own repair depends on, if it could be read: a kind that the operator may not read, or whose
/// API fails, costs that repair.
pub type Read<K> = Result<Option<K>, Arc<kube::Error>>;

/// Looks at a cluster whose resource has just been read: everything else is judged by its uid.
pub async fn observe<N: Nodes>(
    context: &Context<N>,
    Resource { mut cluster, status, unread }: Resource,
) -> Result<Observation, Error> {
    let client = &context.client;
    let namespace = &cluster.namespace().unwrap_or_default();
    let rings: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let ring = rings.get_opt(&ring::name(&cluster)).await?;
    let ours = ring.as_ref().filter(|ring| ring::is_ours(&cluster, ring));
    let document = ours.and_then(ring::document);
    let last = ours.and_then(ring::spec);
    let found = match unread {
        Some(problem) => ringcache_operator_core::unread(&cluster, problem, last.as_ref()),
        None => in_force(&cluster, last.as_ref()),
    };
    let status_of_scaling = cluster.status.as_ref().and_then(|it| it.autoscaling.as_ref());
    let scaling = ours.and_then(ring::scaling).or_else(|| status_of_scaling.and_then(State::read));
    let sized = |in_force: InForce| in_force.sized(scaling.as_ref(), document.as_ref());
    let (intent, held) = match found.map(sized) {
        Ok(InForce { spec, intent, held }) => {
            cluster.spec = spec;
            (Some(intent), held)
        }
        Err(held) => (None, Some(held)),
    };
    // Then the pods: see above.
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = pods::read(&api, &cluster, document.as_ref()).await?;
    let (answers, (client, nodes_service, pdb)) =
        join(ask(context, &cluster, &pods), fixtures(context, namespace, &cluster)).await;
    let judge = |answers| judged(context, &cluster, &pods, document.as_ref(), answers);
    let mut observed = judge(answers);
    if observed.may_be_between_answers() {
        observed = judge(ask(context, &cluster, &pods).await).after(&observed);
    }
    let (intent, held) = match (intent, held) {
        (None, Some(held)) => match as_it_is(&cluster, held, &observed).map(sized) {
            Ok(InForce { spec, intent, held }) => {
                cluster.spec = spec;
                (Some(intent), held)
            }
            Err(held) => (None, Some(held)),
        },
        known => known,
    };
    observed.lost = ours.and_then(ring::lost);
    let is_foreign = |service: &Service| !meta::is_owned(&service.metadata, &cluster);
    let leads_elsewhere = client.as_ref().is_ok_and(|found| found.as_ref().is_some_and(is_foreign));
    observed.open &= !leads_elsewhere;
    observed.endpoints = match &client {
        // One that is missing is created in this pass.
        _ if leads_elsewhere => None,
        Ok(_) => Some(services::endpoints(&cluster)),
        Err(_) => cluster.status.as_ref().and_then(|status| status.endpoints.clone()),
    };
    let ring_version = ring.as_ref().and_then(ResourceExt::resource_version);
    let children = Children { pods, ring, client, nodes: nodes_service, pdb };
    Ok(Observation { cluster, status, intent, held, scaling, observed, ring_version, children })
}

/// What the planner decides by, from what was read and what the nodes answered.
fn judged<N: Nodes>(
    context: &Context<N>,
    cluster: &CacheCluster,
    pods: &[Pod],
    document: Option<&Document>,
    answers: Vec<Option<NodeState>>,
) -> Observed {
    let nodes = nodes(context, cluster, pods, document, answers);
    Observed {
        cluster: cluster_ref(cluster),
        generation: cluster.metadata.generation.unwrap_or_default(),
        program: program::wanted(cluster, &nodes, &context.config.cache_image),
        pod: fingerprint(&cluster.spec),
        endpoints: None,
        open: pods.iter().any(phase::is_ready),
        document: document.cloned(),
        nodes,
        seen: Vec::new(),
        starts_fail: false,
        foreign: BTreeSet::new(),
        lost: None,
    }
}

/// What a cluster is called where only its text counts.
pub(crate) fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

fn key_of(cluster: &CacheCluster) -> String {
    key(&cluster.namespace().unwrap_or_default(), &cluster.name_any())
}

fn cluster_ref(cluster: &CacheCluster) -> ClusterRef {
    ClusterRef {
        namespace: cluster.namespace().unwrap_or_default(),
        name: cluster.name_any(),
        uid: cluster.uid().unwrap_or_default(),
    }
}

/// What stands where the Services and the disruption budget should be.
async fn fixtures<N: Nodes>(
    context: &Context<N>,
    namespace: &str,
    cluster: &CacheCluster,
) -> (Read<Service>, Read<Service>, Read<PodDisruptionBudget>) {
    let services: Api<Service> = Api::namespaced(context.client.clone(), namespace);
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(context.client.clone(), namespace);
    let name = cluster.name_any();
    let nodes_name = services::nodes_name(cluster);
    let (client, nodes, pdb) =
        join3(services.get_opt(&name), services.get_opt(&nodes_name), budgets.get_opt(&name)).await;
    (client.map_err(Arc::new), nodes.map_err(Arc::new), pdb.map_err(Arc::new))
}

/// Nodes that are asked at once: what each of them may answer has to fit into memory, whoever wrote its image.
pub const ASKED_AT_ONCE: usize = 32;

/// What every node says of itself, in the order of the pods: many are asked at once, so that the slowest ones count.
///
/// One question may get lost, and a node may be late once: one that answered before is asked again before it counts as silent.
async fn ask<N: Nodes>(
    context: &Context<N>,
    cluster: &CacheCluster,
    pods: &[Pod],
) -> Vec<Option<NodeState>> {
    let name = &key_of(cluster);
    let ask = async |pod: &Pod| {
        let address = address(pod).filter(|_| phase::phase(pod) != Phase::Exited)?;
        let was_silent = context.reach.is_silent(name, pod.metadata.uid.as_deref()?);
        match context.nodes.state(address, PORTS.admin).await {
            Err(_) if !was_silent => context.nodes.state(address, PORTS.admin).await.ok(),
            answer => answer.ok(),
        }
    };
    stream::iter(pods).map(ask).buffered(ASKED_AT_ONCE).collect().await
}

/// A pod without an address cannot be asked yet.
fn address(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.pod_ip.as_deref()
}

/// The pods as the planner sees them.
fn nodes<N: Nodes>(
    context: &Context<N>,
    cluster: &CacheCluster,
    pods: &[Pod],
    document: Option<&Document>,
    answers: Vec<Option<NodeState>>,
) -> Vec<ObservedNode> {
    // Behind an address may sit another pod by now: its answer says nothing about this one.
    let own = |pod: &Pod, said: Said<'_>| {
        Some(said.incarnation.uid()) == pod.metadata.uid.as_deref()
            && Some(said.cluster_uid) == cluster.metadata.uid.as_deref()
    };
    let answers: Vec<_> = pods
        .iter()
        .zip(answers)
        .map(|(pod, answer)| answer.filter(|state| own(pod, state.into())))
        .collect();
    let silent = pods
        .iter()
        .zip(&answers)
        .filter(|(pod, answer)| answer.is_none() && phase::phase(pod) != Phase::Exited)
        .filter_map(|(pod, _)| pod.metadata.uid.as_deref());
    let silences = context.reach.note(&key_of(cluster), silent);
    let lost = lost(context, pods, document, &answers, &silences);
    let nodes = pods.iter().zip(&answers);
    let node = |(pod, state): (&Pod, &Option<NodeState>)| {
        node(context, cluster, pod, state.as_ref(), &lost, &silences)
    };
    nodes.map(node).collect()
}

/// The uids of the pods that are proven lost with their hosts.
fn lost<N: Nodes>(
    context: &Context<N>,
    pods: &[Pod],
    document: Option<&Document>,
    answers: &[Option<NodeState>],
    silences: &HashMap<String, Duration>,
) -> HashSet<String> {
    let uid = |pod: &Pod| pod.uid().unwrap_or_default();
    let gone = |uid: &str| {
        document.is_some_and(|document| document.gone.iter().any(|gone| gone.uid() == uid))
    };
    let may_be_lost = |pod: &Pod| {
        let uid = uid(pod);
        // An operator that has just started need not wait again for what was proven before.
        let enough = |silence: Duration| if gone(&uid) { phase::LOST_AFTER } else { silence };
        silences
            .get(&uid)
            .is_some_and(|silence| phase::may_be_lost(standing(context, pod), enough(*silence)))
    };
    // Whether the node can have heard of the others: it takes part, or nobody knows whether it does. What the gone say does
    // not count, and need not be waited for.
    let takes_part = |pod: &Pod, answer: Option<Said<'_>>| {
        let uid = uid(pod);
        let is_member = document
            .is_none_or(|document| document.members.iter().any(|member| member.uid.uid() == uid));
        phase::phase(pod) != Phase::Exited
            && !gone(&uid)
            && answer.map_or(is_member, |state| state.epoch > 0)
    };
    let witnesses: Vec<Option<Said<'_>>> = pods
        .iter()
        .zip(answers)
        .map(|(pod, answer)| (pod, answer.as_ref().map(Said::from)))
        .filter(|(pod, answer)| !may_be_lost(pod) && takes_part(pod, *answer))
        .map(|(_, answer)| answer)
        .collect();
    // Who has declared that a host is off knows more than any witness.
    let is_off =
        |pod: &&Pod| standing(context, pod).is_some_and(|standing| standing.out_of_service);
    let (off, silent): (Vec<&Pod>, Vec<&Pod>) =
        pods.iter().filter(|pod| may_be_lost(pod)).partition(is_off);
    let silent: Vec<String> = silent.into_iter().map(uid).collect();
    // Those who may be lost may hear each other: a minority of witnesses may be the part that is cut off, with us.
    let in_doubt = silent.iter().filter(|uid| !gone(uid)).count();
    let is_unheard = |uid: &str| in_doubt <= witnesses.len() && phase::is_unheard(uid, &witnesses);
    // What the document states has been proven; nobody listens for the gone any more.
    let proven = silent.iter().filter(|uid| gone(uid) || is_unheard(uid)).cloned();
    proven.chain(off.into_iter().map(uid)).collect()
}

/// How the host of a pod stands; `None` = it has none, or nothing is known of hosts yet.
pub(crate) fn standing<N: Nodes>(context: &Context<N>, pod: &Pod) -> Option<Standing> {
    let host = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    host.and_then(|host| context.hosts.standing(host))
}

fn node<N: Nodes>(
    context: &Context<N>,
    cluster: &CacheCluster,
    pod: &Pod,
    state: Option<&NodeState>,
    lost: &HashSet<String>,
    silences: &HashMap<String, Duration>,
) -> ObservedNode {
    let uid = pod.uid().unwrap_or_default();
    let standing = standing(context, pod);
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref());
    let tolerations = tolerations.unwrap_or_default();
    let resting = rest::is_resting(pod, context.clock.now());
    let phase = match phase::phase(pod) {
        _ if lost.contains(&uid) => Phase::Lost,
        // Told to end by its host, which the pod object does not show: a shutdown, an eviction for want of resources.
        Phase::Running if state.is_some_and(|state| Said::from(state).draining) => Phase::Stopping,
        phase => phase,
    };
    let node = ObservedNode {
        name: pod.name_any(),
        silent_seconds: silences.get(&uid).map_or(0, Duration::as_secs),
        uid,
        host: address(pod).unwrap_or_default().to_owned(),
        place: Place {
            zone: standing.as_ref().and_then(|standing| standing.zone.clone()),
            host: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        },
        ports: PORTS,
        template: program::template(pod, &cluster.spec),
        phase,
        state: state.cloned(),
        draining: standing.is_some_and(|standing| standing.sends_away(tolerations)),
        // One that was told to end does so by itself.
        stopping: phase::is_stopping(pod) || phase == Phase::Stopping,
        resting,
        // What has ended and is replaced at once need not trouble anybody.
        trouble: trouble::trouble(pod).filter(|_| phase != Phase::Exited || resting),
    };
    // A moment without a scheduler is none: it may not have come to this pod yet.
    let untaken = node.is_stuck().then(|| trouble::untaken(pod)).flatten();
    ObservedNode { trouble: node.trouble.or(untaken), ..node }
}
