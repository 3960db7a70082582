//! What the operator is given to look after, and what must not concern it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use ringcache_api::{CacheCluster, crd_yaml};
use ringcache_e2e::View;
use ringcache_lab::{Lab, output, output_with_input};
use serde_json::json;

use crate::wait::wait_for;

/// Nodes of every cluster.
pub(crate) const NODES: usize = 3;
/// Calls at once.
const IN_FLIGHT: usize = 32;
/// Bytes in an unrelated `ConfigMap`.
const BYTES: usize = 1024;
/// Label of everything that belongs to a cluster.
pub(crate) const LABEL: &str = "ringcache.dev/cluster";
const NAMESPACE: &str = "default";
/// Clusters in a namespace.
const NEIGHBOURS: usize = 20;

/// Makes `CacheCluster` known.
pub(crate) fn install_crd(lab: &Lab) -> Result<()> {
    let mut apply = lab.command("kubectl");
    apply.args(["apply", "--server-side", "--filename", "-"]);
    output_with_input(&mut apply, &crd_yaml())?;
    let mut wait = lab.command("kubectl");
    wait.args(["wait", "--for=condition=Established", "--timeout=60s"]);
    output(wait.arg("customresourcedefinition/cacheclusters.ringcache.dev")).map(drop)
}

/// Creates that many `ConfigMaps` that are no business of the operator.
pub(crate) async fn create_config_maps(client: &Client, count: usize) -> Result<()> {
    let api = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    let make = |number: usize| {
        let api = api.clone();
        async move {
            let name = Some(format!("unrelated-{number}"));
            let data = Some(BTreeMap::from([("data".to_owned(), "x".repeat(BYTES))]));
            let metadata = ObjectMeta { name, ..ObjectMeta::default() };
            let map = ConfigMap { metadata, data, ..ConfigMap::default() };
            api.create(&PostParams::default(), &map).await.map(drop)
        }
    };
    let calls = stream::iter(0..count).map(make).buffer_unordered(IN_FLIGHT);
    Ok(calls.try_collect::<()>().await?)
}

/// The clusters of this measurement, [`NEIGHBOURS`] in a namespace: that is what a team has, and an API server may read all pods of
/// a namespace to list those of one cluster.
#[derive(Clone)]
pub(crate) struct Clusters {
    client: Client,
}

impl Clusters {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// Creates clusters of [`NODES`] nodes with those names.
    pub(crate) async fn create(&self, names: &[String]) -> Result<()> {
        let namespaces: BTreeSet<String> = names.iter().map(|name| namespace(name)).collect();
        let api = Api::<Namespace>::all(self.client.clone());
        for name in namespaces.into_iter().filter(|name| name != NAMESPACE) {
            let metadata = ObjectMeta { name: Some(name), ..ObjectMeta::default() };
            let namespace = Namespace { metadata, ..Namespace::default() };
            api.create(&PostParams::default(), &namespace).await?;
        }
        let make = async |name: &String| {
            let cluster = json!({
                "apiVersion": "ringcache.dev/v1alpha1",
                "kind": "CacheCluster",
                "metadata": {"name": name},
                "spec": {"nodes": NODES, "memory": "256Mi"},
            });
            let cluster = serde_json::from_value(cluster)?;
            self.beside(name).create(&PostParams::default(), &cluster).await?;
            anyhow::Ok(())
        };
        stream::iter(names).map(make).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    /// Changes how many nodes a cluster has.
    pub(crate) async fn scale(&self, name: &str, nodes: usize) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": {"nodes": nodes}}));
        self.beside(name).patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Changes the default time to live of a cluster; the generation that the edit made.
    pub(crate) async fn set_default_ttl(&self, name: &str, seconds: usize) -> Result<i64> {
        let patch = Patch::Merge(json!({"spec": {"ttl": {"defaultSeconds": seconds}}}));
        let edited = self.beside(name).patch(name, &PatchParams::default(), &patch).await?;
        Ok(edited.metadata.generation.unwrap_or_default())
    }

    /// All of them.
    pub(crate) fn all(&self) -> Api<CacheCluster> {
        Api::all(self.client.clone())
    }

    /// Those in the namespace of one.
    fn beside(&self, name: &str) -> Api<CacheCluster> {
        Api::namespaced(self.client.clone(), &namespace(name))
    }

    fn pods(&self) -> Api<Pod> {
        Api::all(self.client.clone())
    }

    /// Deletes a cluster and waits until its pods are gone.
    pub(crate) async fn delete(&self, name: &str, limit: Duration) -> Result<()> {
        self.beside(name).delete(name, &DeleteParams::default()).await?;
        wait_for(&format!("nothing of {name} is left"), limit, async || {
            let pods = self.pods().list(&ListParams::default().labels(LABEL)).await?.items.len();
            let gone = self.beside(name).get_opt(name).await?.is_none() && pods == 0;
            Ok(if gone { Ok(()) } else { Err(format!("{pods} pods")) })
        })
        .await
    }

    /// Waits until there are so many clusters, each with that many nodes, all of them ready, and nothing is under way.
    pub(crate) async fn wait_settled(
        &self,
        count: usize,
        nodes: usize,
        limit: Duration,
    ) -> Result<()> {
        wait_for(&format!("all clusters have settled on {nodes} nodes"), limit, async || {
            let views = self.views().await?;
            if views.len() != count {
                return Ok(Err(format!("{} clusters are there", views.len())));
            }
            let done = |view: &View| view.settled(nodes).and_then(|()| ready(view));
            let open: Vec<_> =
                views.iter().filter_map(|v| Some((v.cluster.name_any(), done(v).err()?))).collect();
            Ok(match open.first() {
                None => Ok(()),
                Some((name, why)) => Err(format!("{} have not; {name}: {why}", open.len())),
            })
        })
        .await
    }

    /// As the API server's cache has them: looking must not be most of its work.
    async fn views(&self) -> Result<Vec<View>> {
        let cached = ListParams::default().match_any();
        let clusters = self.all().list(&cached).await?.items;
        let mut pods = BTreeMap::<String, Vec<Pod>>::new();
        for pod in self.pods().list(&cached.labels(LABEL)).await?.items {
            let Some(cluster) = pod.labels().get(LABEL).cloned() else {
                bail!("{} has no label", pod.name_any())
            };
            pods.entry(cluster).or_default().push(pod);
        }
        let view = |cluster: CacheCluster| {
            let pods = pods.remove(&cluster.name_any()).unwrap_or_default();
            View { cluster, pods }
        };
        Ok(clusters.into_iter().map(view).collect())
    }
}

/// Where a cluster is: `<name>-<number>` beside its neighbours.
fn namespace(name: &str) -> String {
    let number = name.rsplit_once('-').and_then(|(_, number)| number.parse::<usize>().ok());
    number.map_or(NAMESPACE.to_owned(), |number| format!("team-{}", number / NEIGHBOURS))
}

/// Whether the kubelet, too, is content with all pods.
fn ready(view: &View) -> Result<(), String> {
    let is_ready = |pod: &&Pod| {
        let mut conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    match view.pods.iter().find(|pod| !is_ready(pod)) {
        Some(pod) => Err(format!("pod {} is not ready", pod.name_any())),
        None => Ok(()),
    }
}
