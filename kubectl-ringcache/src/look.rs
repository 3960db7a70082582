//! One look at a cluster, with the operator's own eyes.

use anyhow::{Context as _, Result, bail};
use kube::api::ListParams;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use kube::{Api, Client, ResourceExt};
use ringcache_api::CacheCluster;
use ringcache_operator::events::Events;
use ringcache_operator::hosts::{Host, Hosts, prune};
use ringcache_operator::observe::{Observation, Resource, observe, resource};
use ringcache_operator::reach::Reach;
use ringcache_operator::{Clock, Config, Context, Metrics};

use crate::proxy::Proxy;

/// How this program calls itself.
const NAME: &str = "kubectl-ringcache";

/// What an operator would look with that has just started, with the hosts or without. Nothing is ever written with it.
pub(crate) async fn eyes(proxy: &Proxy, with_hosts: bool) -> Context<Proxy> {
    let (client, clock, metrics) = (proxy.client(), Clock::system(), Metrics::new());
    let (events, _) = Events::new(client.clone(), NAME, clock.clone(), &metrics);
    Context {
        hosts: hosts(with_hosts.then(|| client.clone())).await,
        client,
        nodes: proxy.clone(),
        config: Config { instance: NAME.into(), ..Config::default() },
        clock,
        reach: Reach::new(),
        metrics,
        events,
    }
}

/// The hosts, if the user may list them. Otherwise nothing is known of them.
async fn hosts(client: Option<Client>) -> Hosts {
    let mut writer = Writer::<Host>::default();
    let hosts = Hosts::new(writer.as_reader());
    let Some(client) = client else { return hosts };
    // As the API server remembers them: they are many, and need not be of this very moment.
    let listed = Api::<Host>::all(client).list(&ListParams::default().match_any()).await;
    if let Ok(listed) = listed {
        writer.apply_watcher_event(&Event::Init);
        for mut host in listed.items {
            prune(&mut host);
            writer.apply_watcher_event(&Event::InitApply(host));
        }
        writer.apply_watcher_event(&Event::InitDone);
    }
    hosts
}

/// Which cluster is meant where none is named.
pub(crate) enum Named {
    /// The only one.
    One(String),
    /// One of these.
    Several(Vec<String>),
}

/// The cluster of that name, or what there is in the namespace.
pub(crate) async fn named(proxy: &Proxy, cluster: Option<&str>) -> Result<Named> {
    if let Some(name) = cluster {
        return Ok(Named::One(name.to_owned()));
    }
    let namespace = proxy.namespace();
    let clusters: Api<CacheCluster> = Api::namespaced(proxy.client(), namespace);
    let listed = clusters.list_metadata(&ListParams::default()).await?;
    let names: Vec<String> = listed.items.iter().map(ResourceExt::name_any).collect();
    match names.as_slice() {
        [] => bail!(
            "there is no CacheCluster in the namespace `{namespace}`: name another one with -n"
        ),
        [name] => Ok(Named::One(name.clone())),
        _ => Ok(Named::Several(names)),
    }
}

/// The name of a cluster, for what is about one.
pub(crate) async fn one(proxy: &Proxy, cluster: Option<&str>) -> Result<String> {
    match named(proxy, cluster).await? {
        Named::One(name) => Ok(name),
        Named::Several(names) => {
            bail!("which one? In the namespace `{}` are {}", proxy.namespace(), names.join(", "))
        }
    }
}

/// The resource of that name.
pub(crate) async fn find(context: &Context<Proxy>, name: &str) -> Result<Resource> {
    let namespace = context.nodes.namespace();
    resource(context, namespace, name).await?.with_context(|| absent(namespace, name))
}

/// What is said where there is no such cluster.
pub(crate) fn absent(namespace: &str, name: &str) -> String {
    format!("there is no CacheCluster `{name}` in the namespace `{namespace}`")
}

/// What an operator would see of it.
pub(crate) async fn look(context: &Context<Proxy>, found: Resource) -> Result<Observation> {
    let mut seen = Box::pin(observe(context, found)).await?;
    // Which image the operator gives to a cluster that names none and has never run one is known to nobody else.
    if seen.observed.program.is_empty() {
        let first = seen.observed.nodes.first().map(|node| node.template.program.clone());
        seen.observed.program = first.unwrap_or_else(|| "of the operator's choice".into());
    }
    Ok(seen)
}
