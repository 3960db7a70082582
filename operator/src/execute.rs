//! Carries out the steps of a plan. Every call says which object it means, so that a step that comes late, twice, or from an
//! operator that is not the leader any more does no harm.

use std::borrow::Cow;
use std::fmt::Debug;

use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt as _};
use ringcache_api::Document;
use ringcache_api::admin::{Settings, SettingsFor};
use ringcache_api::status::LostEntries;
use ringcache_operator_core::{Checked, ObservedNode, Phase, Plan, Step, Template};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::nodes::Nodes;
use crate::objects::meta::FIELD_MANAGER;
use crate::objects::{meta, pod, ring};
use crate::observe::{Observation, failures, is_ours};
use crate::{Context, Error};

#[cfg(test)]
mod tests;

/// Most nodes that are told something at once.
const AT_ONCE: usize = 16;

/// Whether the step only tells a node something: steps of this kind need not wait for each other.
pub(crate) fn tells_a_node(step: &Step) -> bool {
    matches!(step, Step::PushDocument { .. } | Step::Configure { .. })
}

/// The steps of one plan, being carried out.
pub(crate) struct Execution<'a, N: Nodes> {
    context: &'a Context<N>,
    observation: &'a Observation,
    /// The ring document as stored: as it was observed, then as this plan has written it. Kept, so that a hundred nodes that
    /// are given it do not take a hundred reads of it.
    stored: Option<Cow<'a, Document>>,
    /// What is lost with the nodes that the plan gives up.
    lost: Option<LostEntries>,
}

impl<'a, N: Nodes> Execution<'a, N> {
    /// Of a plan that was made from `observation`, and with which so much is lost.
    pub(crate) fn new(
        context: &'a Context<N>,
        observation: &'a Observation,
        lost: Option<LostEntries>,
    ) -> Self {
        let stored = observation.observed.document.as_ref().map(Cow::Borrowed);
        Self { context, observation, stored, lost }
    }

    /// Carries out steps that follow each other: one, or any number that tell nodes something, so that a node that hangs holds
    /// up no other. What became of each, in their order.
    pub(crate) async fn carry_out(&mut self, steps: &[Step]) -> Vec<Result<(), Error>> {
        if let [Step::WriteDocument { document }] = steps {
            let stored = self.write(document).await;
            return vec![
                stored.map(|stored| self.stored = ring::document(&stored).map(Cow::Owned)),
            ];
        }
        let execution = &*self;
        let one = |(n, step)| async move { (n, execution.one(step).await) };
        let all: Vec<_> = steps.iter().enumerate().map(one).collect();
        let mut results: Vec<_> = stream::iter(all).buffer_unordered(AT_ONCE).collect().await;
        results.sort_by_key(|(n, _)| *n);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Writes the document, and with it what is lost; what was lost before stays recorded.
    async fn write(&self, document: &Document) -> Result<ConfigMap, Error> {
        let Self { context, observation, lost, .. } = self;
        let lost = lost.as_ref().or(observation.observed.lost.as_ref());
        write(context, observation, document, lost).await
    }

    async fn one(&self, step: &Step) -> Result<(), Error> {
        let Self { context, observation, .. } = self;
        match step {
            Step::WriteDocument { document } => self.write(document).await.map(drop),
            Step::PushDocument { name, uid, epoch } => {
                let node = node(observation, name, uid)?;
                let document = self.stored(*epoch)?;
                Ok(context.nodes.push(&node.host, node.ports.admin, document).await?)
            }
            Step::Configure { name, uid, settings } => {
                let node = node(observation, name, uid)?;
                // The address may be another pod's by now, which must not take what is not for it.
                let to = node.state.as_ref().map(|state| state.incarnation.clone());
                let settings = SettingsFor { to, settings: (*settings).into() };
                Ok(context.nodes.configure(&node.host, node.ports.admin, &settings).await?)
            }
            Step::StartNode { name, template, settings } => {
                start(context, observation, name, template, *settings).await
            }
            Step::StopNode { name, uid, reason: _ } => stop(context, observation, name, uid).await,
        }
    }

    /// The stored document of that epoch: nodes are given what is stored, never what was only planned.
    fn stored(&self, epoch: u64) -> Result<&Document, Error> {
        let stored = self.stored.as_deref().filter(|document| document.epoch == epoch);
        stored.ok_or_else(|| {
            let name = ring::name(&self.observation.cluster);
            Error::Malformed(format!("ConfigMap {name} does not hold epoch {epoch}"))
        })
    }
}

/// The API of the objects in the cluster's namespace.
pub(crate) fn api<K>(client: &Client, observation: &Observation) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    Api::namespaced(client.clone(), &observation.observed.cluster.namespace)
}

/// Creates an object, never changes one: that there is one of that name already is an error.
pub(crate) async fn create<K>(api: &Api<K>, object: &K) -> Result<K, kube::Error>
where
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run: false };
    api.create(&params, object).await
}

/// Writes our fields of an object that exists.
pub(crate) async fn apply<K>(api: &Api<K>, name: &str, object: &K) -> Result<K, kube::Error>
where
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(name, &params, &Patch::Apply(object)).await
}

/// Compare and swap: of two operators that write the next document at once, one gets a conflict and plans again. What is
/// stored then.
async fn write<N: Nodes>(
    context: &Context<N>,
    observation: &Observation,
    document: &Document,
    lost: Option<&LostEntries>,
) -> Result<ConfigMap, Error> {
    let Observation { cluster, held, scaling, ring_version, children, .. } = observation;
    let rings: Api<ConfigMap> = api(&context.client, observation);
    let wanted = ring::with_scaling(ring::ring(cluster, document), scaling.as_ref());
    let mut wanted = ring::with_loss(wanted, lost);
    let Some(live) = &children.ring else { return Ok(create(&rings, &wanted).await?) };
    if !ring::is_ours(cluster, live) {
        return Err(meta::foreign("ConfigMap", &live.metadata, cluster));
    }
    ring::writable(live)?;
    if held.is_some() {
        wanted = ring::with_record_of(wanted, live);
    }
    wanted.metadata.resource_version.clone_from(ring_version);
    Ok(apply(&rings, &wanted.name_any(), &wanted).await?)
}

/// Records the spec that is carried out from now on, before anything is done by it: were it recorded afterwards, a crash in
/// between could leave a cluster whose spec is then found invalid at the spec before. One that is held is recorded if there is no other.
///
/// A plan that writes a document needs no other record: the document's write brings the spec with it, and is the plan's first step. Written
/// apart, the record would change the `resourceVersion` that the document's write must have seen.
pub(crate) async fn record<N: Nodes>(
    context: &Context<N>,
    observation: &Observation,
    plan: &Plan<Checked>,
) -> Result<(), Error> {
    if plan.document().is_some() {
        return Ok(());
    }
    let Observation { cluster, held, children, .. } = observation;
    let ours = children.ring.as_ref().filter(|ring| ring::is_ours(cluster, ring));
    let is_new = |ring: &&ConfigMap| held.is_none() || !ring::is_recorded(ring);
    let Some(ring) = ours.filter(is_new) else { return Ok(()) };
    let Some(patch) = ring::record(cluster, ring) else { return Ok(()) };
    merge(&api::<ConfigMap>(&context.client, observation), &ring::name(cluster), &patch).await
}

fn node<'a>(
    observation: &'a Observation,
    name: &str,
    uid: &str,
) -> Result<&'a ObservedNode, Error> {
    let mut nodes = observation.observed.nodes.iter();
    let found = nodes.find(|node| node.name == name && node.uid == uid);
    found.ok_or_else(|| Error::Malformed(format!("pod {name} ({uid}) was not observed")))
}

/// Creates the pod. Never by server-side apply: that would change a pod of this name which somebody else has just started.
async fn start<N: Nodes>(
    context: &Context<N>,
    observation: &Observation,
    name: &str,
    template: &Template,
    settings: Settings,
) -> Result<(), Error> {
    let Observation { cluster, observed, children, .. } = observation;
    let failures = failures(&children.pods);
    let wanted = pod::pod(cluster, name, template, settings, failures);
    let pods: Api<Pod> = api(&context.client, observation);
    match create(&pods, &wanted).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            // Gone again: nothing was started, and the steps after this one count on it.
            let Some(live) = pods.get_opt(name).await? else {
                return Err(kube::Error::Api(status).into());
            };
            if !is_ours(cluster, observed.document.as_ref(), &live) {
                let error = meta::foreign("Pod", &live.metadata, cluster);
                // Another number is as good. Only what is left of a deleted cluster of the same name is waited for: it makes room, too.
                let is_awaited = meta::is_of_predecessor(&live.metadata, cluster)
                    && !pod::is_overdue(&live.metadata, context.clock.now());
                return Err(if is_awaited { error } else { Error::Taken(error.to_string()) });
            }
            // Ours and not observed: created in the meantime, or somebody took its label away. With the label it is seen
            // next time; without, this step would fail for ever.
            match meta::repair_pod(cluster, &live.metadata) {
                Some(patch) => merge(&pods, name, &patch).await,
                None => Ok(()),
            }
        }
        other => Ok(other.map(drop)?),
    }
}

/// Changes metadata of an object, which the patch names by its uid. If that is gone there is nothing to change.
pub(crate) async fn merge<K>(
    api: &Api<K>,
    name: &str,
    patch: &serde_json::Value,
) -> Result<(), Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    already_gone(api.patch_metadata(name, &params(), &Patch::Merge(patch)).await.map(drop))
}

/// Of a merge patch in the operator's name.
pub(crate) fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// Deletes exactly this pod. The kubelet tells the node to end, which serves and forwards until then.
async fn stop<N: Nodes>(
    context: &Context<N>,
    observation: &Observation,
    name: &str,
    uid: &str,
) -> Result<(), Error> {
    let node = node(observation, name, uid)?;
    // Nothing runs in an exited pod, so nothing needs time to end. A lost one gets it: if its host comes back, its kubelet
    // must still find the pod and end the node. One whose host was declared to be off would wait for a kubelet for ever.
    let nothing_runs = node.phase == Phase::Exited
        || node.phase == Phase::Lost && is_out_of_service(context, observation, uid);
    let grace = nothing_runs.then_some(0);
    if node.stopping && (grace.is_none() || has_no_grace_left(observation, uid)) {
        return Ok(());
    }
    let preconditions = Preconditions { uid: Some(uid.to_owned()), ..Preconditions::default() };
    let params = DeleteParams {
        grace_period_seconds: grace,
        preconditions: Some(preconditions),
        ..DeleteParams::default()
    };
    let pods: Api<Pod> = api(&context.client, observation);
    already_gone(pods.delete(name, &params).await.map(drop))
}

/// Whether the pod's host was declared to be off.
fn is_out_of_service<N: Nodes>(context: &Context<N>, observation: &Observation, uid: &str) -> bool {
    let mut pods = observation.children.pods.iter();
    let pod = pods.find(|pod| pod.metadata.uid.as_deref() == Some(uid));
    let host = pod.and_then(|pod| pod.spec.as_ref()?.node_name.as_deref());
    host.and_then(|host| context.hosts.standing(host)).is_some_and(|host| host.out_of_service)
}

/// Asking again would be a write that changes nothing, at every look, for as long as a finalizer holds the pod.
fn has_no_grace_left(observation: &Observation, uid: &str) -> bool {
    let mut pods = observation.children.pods.iter();
    let pod = pods.find(|pod| pod.metadata.uid.as_deref() == Some(uid));
    pod.is_some_and(|pod| pod.metadata.deletion_grace_period_seconds == Some(0))
}

/// An object that does not exist, or has another uid than the one meant, is gone: what was wanted of it is done.
fn already_gone(result: Result<(), kube::Error>) -> Result<(), Error> {
    match result {
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        other => Ok(other?),
    }
}
