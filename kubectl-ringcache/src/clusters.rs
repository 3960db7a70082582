//! All clusters of a namespace, or of all of them.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, ResourceExt as _};
use ringcache_api::admin::NodeState;
use ringcache_api::{CacheCluster, read_leniently};
use ringcache_operator::objects::meta::is_owned;
use ringcache_operator::objects::pod::PORTS;
use ringcache_operator::observe::ASKED_AT_ONCE;
use ringcache_operator_core::status::CLUSTER_LABEL;
use ringcache_show::clusters::{Columns, Row, json, table};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::output::{Table, complain, wide};
use crate::proxy::{Proxy, words};
use crate::verbs::Answer;

/// Longest wait for hit ratios, however many nodes there are that do not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the clusters of a namespace, or of all of them.
pub(crate) async fn answer(
    proxy: &Proxy,
    namespace: Option<&str>,
    output: Option<Table>,
) -> Result<Answer> {
    let clusters = clusters(proxy, namespace).await?;
    if clusters.is_empty() {
        bail!("there is no CacheCluster in any namespace");
    }
    let lookups = lookups(proxy, namespace, &clusters).await;
    let rows: Vec<Row> = clusters
        .iter()
        .map(|cluster| Row::of(cluster, lookups.get(&uid(cluster)).copied()))
        .collect();
    let is_good = rows.iter().all(|row| row.is_ready);
    let columns = |wide| Columns { namespace: namespace.is_none(), wide };
    let text = wide(output, |wide| table(&rows, columns(wide)), || json(&rows))?;
    Ok(Answer { text, is_good })
}

fn uid(cluster: &CacheCluster) -> String {
    cluster.uid().unwrap_or_default()
}

/// As far as they can be read, by namespace and name.
async fn clusters(proxy: &Proxy, namespace: Option<&str>) -> Result<Vec<CacheCluster>> {
    let kind = ApiResource::erase::<CacheCluster>(&());
    let api: Api<DynamicObject> = match namespace {
        None => Api::all_with(proxy.client(), &kind),
        Some(namespace) => Api::namespaced_with(proxy.client(), namespace, &kind),
    };
    let listed = api.list(&ListParams::default()).await.context("listing CacheClusters")?;
    let mut clusters: Vec<_> = listed.items.into_iter().map(read).collect();
    clusters.sort_by_key(|cluster| (cluster.namespace(), cluster.name_any()));
    Ok(clusters)
}

/// A word that this version does not know costs its field.
fn read(object: DynamicObject) -> CacheCluster {
    let DynamicObject { metadata, mut data, .. } = object;
    let mut part = |name: &str| data.get_mut(name).map(Value::take).unwrap_or_default();
    let spec = read_leniently(&part("spec")).value;
    let status = Some(part("status")).filter(|status| !status.is_null());
    let status = status.map(|status| read_leniently(&status).value);
    CacheCluster { metadata, spec, status }
}

/// Hits and misses that the nodes of each cluster have counted since they started, by the uid of the cluster. Clusters of which some
/// nodes were not waited for any longer have none: a part of them may be far from the whole.
async fn lookups(
    proxy: &Proxy,
    namespace: Option<&str>,
    clusters: &[CacheCluster],
) -> HashMap<String, (u64, u64)> {
    let pods: Api<Pod> = match namespace {
        None => Api::all(proxy.client()),
        Some(namespace) => Api::namespaced(proxy.client(), namespace),
    };
    let deadline = Instant::now() + PATIENCE;
    let labelled = ListParams::default().labels(CLUSTER_LABEL);
    let pods = match timeout_at(deadline, pods.list(&labelled)).await {
        Ok(Ok(listed)) => listed.items,
        Ok(Err(error)) => return without(&words(&error)),
        Err(_) => return without("no answer in time"),
    };
    let proxies: HashMap<String, Proxy> = clusters
        .iter()
        .filter_map(CacheCluster::namespace)
        .map(|namespace| (namespace.clone(), proxy.of_namespace(&namespace)))
        .collect();
    let ask = async |pod: &Pod| {
        let cluster = clusters.iter().find(|cluster| is_owned(&pod.metadata, cluster))?;
        let proxy = proxies.get(&cluster.namespace()?)?;
        let said = timeout_at(deadline, proxy.state_of(&pod.name_any(), PORTS.admin)).await;
        let Ok(said) = said else { return Some((uid(cluster), None)) };
        // Behind the name may be another pod by now.
        let is_it =
            |state: &NodeState| Some(state.incarnation.uid()) == pod.metadata.uid.as_deref();
        let stats = said.ok().filter(is_it)?.stats;
        Some((uid(cluster), Some((stats.hits, stats.misses))))
    };
    let ready = pods.iter().filter(|pod| is_ready(pod));
    let mut asked = stream::iter(ready).map(ask).buffer_unordered(ASKED_AT_ONCE);
    let mut sums: HashMap<String, Option<(u64, u64)>> = HashMap::new();
    while let Some(answer) = asked.next().await {
        let Some((uid, counted)) = answer else { continue };
        let sum = sums.entry(uid).or_insert(Some((0, 0)));
        let both = sum.zip(counted);
        *sum = both.map(|(sum, (hits, misses))| (sum.0 + hits, sum.1 + misses));
    }
    sums.into_iter().filter_map(|(uid, sum)| Some((uid, sum?))).collect()
}

fn without(why: &str) -> HashMap<String, (u64, u64)> {
    complain(&format!("hit ratios are missing, for pods cannot be listed: {why}"));
    HashMap::new()
}

/// Whether it is worth asking: others take seconds not to answer.
fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
