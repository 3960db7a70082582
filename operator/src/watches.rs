//! What wakes a reconcile: one watch a kind, each with a back-off of its own. A trigger is a cluster's name and nothing else;
//! what is acted on is read anew.

use std::future::ready;
use std::iter;
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodSpec, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store, reflector, store::Writer};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt as _, reflector::store};
use kube::{Api, Client, Resource, ResourceExt as _};
use ringcache_api::CacheCluster;
use ringcache_operator_core::status::CLUSTER_LABEL;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::Config;
use crate::hosts::{Host, Hosts, prune};
use crate::metrics::Metrics;
use crate::objects::meta::FIELD_MANAGER;
use crate::seen::{Seen, digest, metadata};

/// A cluster's metadata: all that a trigger needs.
pub(crate) type ClusterMeta = PartialObjectMeta<CacheCluster>;
/// A trigger.
pub(crate) type Trigger = ObjectRef<ClusterMeta>;

/// Below the usual 500, so that a first list of many objects is never in memory as one.
const PAGE_SIZE: u32 = 250;

/// Makes the watches.
pub(crate) struct Watches<'a> {
    pub(crate) client: &'a Client,
    pub(crate) config: &'a Config,
    pub(crate) metrics: &'a Metrics,
}

impl Watches<'_> {
    /// The clusters, without those changes that the operator makes itself: the status does not count.
    pub(crate) fn clusters(&self) -> impl Stream<Item = Event<ClusterMeta>> + Send + use<> {
        self.namespaced::<ClusterMeta>("CacheCluster", true, None, || {
            Seen::new(|cluster| metadata(&cluster.metadata), strip)
        })
    }

    /// Clusters whose pods change, and a store of which pod is on which host.
    pub(crate) fn pods(&self) -> (Store<Pod>, impl Stream<Item = Trigger> + Send + use<>) {
        let pods =
            self.namespaced("Pod", true, Some(&managed()), || Seen::new(pod_digest, strip_pod));
        let (reader, writer) = store();
        (reader, merged(writer, pods).filter_map(touched))
    }

    /// Clusters whose Services, ring or disruption budget change.
    pub(crate) fn others(&self) -> impl Stream<Item = Trigger> + Send + use<> {
        let services = self.children::<Service>("Service").filter_map(touched).boxed();
        let rings = self.children::<ConfigMap>("ConfigMap").filter_map(touched).boxed();
        let budgets =
            self.children::<PodDisruptionBudget>("PodDisruptionBudget").filter_map(touched).boxed();
        stream::select_all([services, rings, budgets])
    }

    /// The hosts, and the clusters that have pods on one that changes.
    pub(crate) fn hosts(
        &self,
        pods: Store<Pod>,
    ) -> (Hosts, impl Stream<Item = Trigger> + Send + use<>) {
        let (reader, writer) = store();
        let hosts = self.events(Api::<Host>::all(self.client.clone()), "Node", false, None);
        let mut seen = Seen::new(host_digest, |_| ());
        let changed = reflector(writer, hosts.map(Ok).modify(prune))
            .filter_map(async |event| event.ok())
            .flat_map(move |event| stream::iter(seen.take(event)))
            .flat_map(move |event| stream::iter(on_host(&pods, &event)));
        (Hosts::new(reader), changed)
    }

    /// Metadata only: of these kinds it matters that they change, and their content is read anew.
    fn children<K>(
        &self,
        kind: &'static str,
    ) -> impl Stream<Item = Event<PartialObjectMeta<K>>> + Send + use<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug,
        K: Send + Sync + 'static,
    {
        // A ConfigMap has no generation: its resourceVersion is the only sign of another content.
        self.namespaced::<PartialObjectMeta<K>>(kind, false, Some(&managed()), || {
            let digest = |child: &PartialObjectMeta<K>| {
                digest((&child.metadata.uid, &child.metadata.resource_version))
            };
            Seen::new(digest, strip)
        })
    }

    /// One watch, or one a namespace.
    fn namespaced<K>(
        &self,
        kind: &'static str,
        essential: bool,
        labels: Option<&str>,
        seen: fn() -> Seen<K>,
    ) -> impl Stream<Item = Event<K>> + Send + use<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static,
    {
        let apis: Vec<Api<K>> = match self.config.namespaces.as_slice() {
            [] => vec![Api::all(self.client.clone())],
            some => some.iter().map(|ns| Api::namespaced(self.client.clone(), ns)).collect(),
        };
        let watch = |api| {
            let mut seen = seen();
            let events = self.events(api, kind, essential, labels);
            events.flat_map(move |event| stream::iter(seen.take(event))).boxed()
        };
        stream::select_all(apis.into_iter().map(watch).collect::<Vec<BoxStream<_>>>())
    }

    /// A watch that never ends. Its errors are counted and wait out a back-off of its own: if all watches shared one, a kind
    /// that is forbidden for ever would delay every trigger of the others.
    fn events<K>(
        &self,
        api: Api<K>,
        kind: &'static str,
        essential: bool,
        labels: Option<&str>,
    ) -> impl Stream<Item = Event<K>> + Send + use<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + std::fmt::Debug,
        K: Send + 'static,
    {
        let path = api.resource_url().to_owned();
        self.metrics.progress.expect(&path, kind, essential);
        let errors = self.metrics.watch_errors.with_label_values(&[kind]);
        let mut config = watcher::Config::default().page_size(PAGE_SIZE);
        config.label_selector = labels.map(str::to_owned);
        let mut is_broken = false;
        watcher(api, config).backoff(WatchBackoff::default()).filter_map(move |event| {
            match &event {
                Err(error) => {
                    errors.inc();
                    if !is_broken {
                        warn!(kind, path, %error, "a watch failed; it is begun anew until it works");
                    }
                    is_broken = true;
                }
                // The beginning of an attempt: nothing is known yet.
                Ok(Event::Init) => (),
                Ok(_) => {
                    if is_broken {
                        info!(kind, path, "the watch works again");
                    }
                    is_broken = false;
                }
            }
            ready(event.ok())
        })
    }
}

/// Keeps `writer`'s store by the events of several watches. A list of one of them must not empty the store of the others'
/// objects, so the store begins empty and complete and sees changes only.
pub(crate) fn merged<K>(
    mut writer: Writer<K>,
    events: impl Stream<Item = Event<K>> + Send + 'static,
) -> impl Stream<Item = Event<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    for event in [Event::Init, Event::InitDone] {
        writer.apply_watcher_event(&event);
    }
    events.inspect(move |event| writer.apply_watcher_event(event))
}

fn managed() -> String {
    format!("app.kubernetes.io/managed-by={FIELD_MANAGER}")
}

async fn touched<K: Resource<DynamicType = ()>>(event: Event<K>) -> Option<Trigger> {
    match event {
        Event::Apply(object) | Event::Delete(object) => cluster_of(object.meta()),
        Event::Init | Event::InitApply(_) | Event::InitDone => None,
    }
}

/// The cluster that an object belongs to: by its owner, or by its label if somebody has taken the owner away.
fn cluster_of(meta: &ObjectMeta) -> Option<Trigger> {
    let namespace = meta.namespace.as_deref()?;
    let owner = |owner| Trigger::from_owner_ref(Some(namespace), owner, ());
    let by_owner = meta.owner_references.iter().flatten().find_map(owner);
    let label = || Some(Trigger::new(meta.labels.as_ref()?.get(CLUSTER_LABEL)?).within(namespace));
    by_owner.or_else(label)
}

/// The clusters with pods on the host.
fn on_host(pods: &Store<Pod>, event: &Event<Host>) -> Vec<Trigger> {
    let (Event::Apply(host) | Event::Delete(host)) = event else { return Vec::new() };
    let name = host.name_any();
    let is_there = |pod: &&std::sync::Arc<Pod>| {
        pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) == Some(&name)
    };
    pods.state().iter().filter(is_there).filter_map(|pod| cluster_of(&pod.metadata)).collect()
}

/// What of a pod matters: heartbeats are not written into pods, so its whole status does.
fn pod_digest(pod: &Pod) -> u64 {
    let host = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
    let status = serde_json::to_string(&pod.status).unwrap_or_default();
    digest((metadata(&pod.metadata), host, status))
}

/// What of a host matters: that it exists, and how it stands.
fn host_digest(host: &Host) -> u64 {
    digest((&host.metadata.uid, host.standing()))
}

/// Leaves of an object what finds its cluster.
fn strip<K: Resource>(object: &mut K) {
    strip_metadata(object.meta_mut());
}

fn strip_pod(pod: &mut Pod) {
    strip_metadata(&mut pod.metadata);
    let node_name = pod.spec.take().and_then(|spec| spec.node_name);
    pod.spec = Some(PodSpec { node_name, ..PodSpec::default() });
    pod.status = None;
}

fn strip_metadata(meta: &mut ObjectMeta) {
    let ObjectMeta { name, namespace, uid, labels, owner_references, .. } = std::mem::take(meta);
    let label = labels.and_then(|mut labels| labels.remove_entry(CLUSTER_LABEL));
    let labels = label.map(|label| iter::once(label).collect());
    *meta = ObjectMeta { name, namespace, uid, labels, owner_references, ..ObjectMeta::default() };
}

/// Pauses of 0.8 s doubling to 30 s, forgotten after two good minutes.
///
/// Not the library's: each attempt begins with an event that says so, which resets that one before the list has failed
/// again, and its pauses are random, so that no simulation could be repeated.
#[derive(Debug, Default)]
struct WatchBackoff {
    failures: u32,
    last: Option<Instant>,
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        const FIRST: Duration = Duration::from_millis(800);
        const LONGEST: Duration = Duration::from_secs(30);
        const FORGOTTEN: Duration = Duration::from_mins(2);
        if self.last.is_some_and(|last| last.elapsed() > FORGOTTEN) {
            self.failures = 0;
        }
        self.last = Some(Instant::now());
        let pause = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        Some(pause)
    }
}

impl Backoff for WatchBackoff {
    /// Only time resets it.
    fn reset(&mut self) {}
}
