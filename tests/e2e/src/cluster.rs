//! A `CacheCluster` under test.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use ringcache_api::admin::NodeState;
use ringcache_api::{CacheCluster, Document};
use ringcache_ring::{SLOTS, SlotSet};
use ringcache_tests::clock::{now, wait_for};
use serde_json::{Value, json};

use crate::Namespace;
use crate::view::{View, address, is_live};
use crate::world::World;

/// Longest time for any change of a small cluster on a busy machine.
pub const LIMIT: Duration = Duration::from_mins(2);
/// Port of the nodes' admin API.
pub const ADMIN: u16 = 9400;

/// A `CacheCluster` of a test's namespace.
#[derive(Clone, Copy)]
pub struct Cluster<'a> {
    namespace: &'a Namespace,
    name: &'a str,
}

impl<'a> Cluster<'a> {
    /// The cluster of that name, which may not exist yet.
    pub fn new(namespace: &'a Namespace, name: &'a str) -> Self {
        Self { namespace, name }
    }

    /// The namespace that it is in.
    pub fn namespace(&self) -> &'a Namespace {
        self.namespace
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// As kubectl names it.
    pub fn resource(&self) -> String {
        format!("cachecluster/{}", self.name)
    }

    fn world(&self) -> &'static World {
        self.namespace.world()
    }

    /// `kubectl scale`.
    pub fn scale(&self, nodes: usize) -> Result<()> {
        let replicas = format!("--replicas={nodes}");
        self.namespace.kubectl(&["scale", &self.resource(), &replicas]).map(drop)
    }

    /// Changes fields of the spec.
    pub fn patch(&self, spec: &Value) -> Result<()> {
        let patch = json!({"spec": spec}).to_string();
        let patch = ["patch", &self.resource(), "--type=merge", "--patch", &patch];
        self.namespace.kubectl(&patch).map(drop)
    }

    /// What is to be seen of it now.
    pub fn view(&self) -> Result<View> {
        let world = self.world();
        let clusters = Api::<CacheCluster>::namespaced(world.client.clone(), self.namespace.name());
        let pods = Api::<Pod>::namespaced(world.client.clone(), self.namespace.name());
        let labelled =
            ListParams::default().labels(&format!("ringcache.dev/cluster={}", self.name));
        world.block_on(async {
            let cluster = clusters.get(self.name).await?;
            let mut pods = pods.list(&labelled).await?.items;
            pods.sort_by_key(ResourceExt::name_any);
            Ok(View { cluster, pods })
        })
    }

    /// Looks at it until `done` is content.
    pub fn wait(
        &self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&View) -> Result<(), String>,
    ) -> Result<View> {
        wait_for(what, limit, || {
            let view = self.view()?;
            Ok(done(&view).map(|()| view))
        })
    }

    /// Waits until it has that many nodes and the operator has nothing left to do; returns what it looks like then.
    pub fn wait_settled(&self, nodes: usize) -> Result<View> {
        self.settled_within(LIMIT, nodes)
    }

    /// The same, with a time in which it must be so.
    pub fn settled_within(&self, limit: Duration, nodes: usize) -> Result<View> {
        let start = now();
        let what = format!("{} has settled on {nodes} nodes", self.name);
        let view = self.wait(&what, limit, |view| view.settled(nodes))?;
        println!("{what} after {:.1?}", start.elapsed());
        Ok(view)
    }

    /// Waits until `kubectl get --output wide` shows all those words: a person who looks must be told, within ten seconds where the
    /// machine has time for it. The time is printed.
    pub fn shows(&self, words: &[&str]) -> Result<()> {
        let start = now();
        let what = format!("kubectl shows {words:?} of {}", self.name);
        let line = wait_for(&what, LIMIT, || {
            let wide = ["get", &self.resource(), "--output=wide", "--no-headers"];
            let line = self.namespace.kubectl(&wide)?;
            let is_told = words.iter().all(|word| line.contains(word));
            Ok(if is_told { Ok(line) } else { Err(line) })
        })?;
        println!("shown after {:.1?}: {}", start.elapsed(), line.trim_end());
        Ok(())
    }

    /// Whether every slot has an owner that is not in that pod.
    pub fn served_without(&self, pod: &Pod) -> Result<Result<(), String>> {
        let uid = pod.uid().unwrap_or_default();
        let states = self.states()?;
        let owned: BTreeMap<_, _> = states
            .iter()
            .filter(|(_, state)| state.incarnation.uid() != uid)
            .map(|(name, state)| (name, ringcache_tests::cluster::owned(state).len()))
            .collect();
        let sum: usize = owned.values().sum();
        Ok(if sum == usize::from(SLOTS) { Ok(()) } else { Err(format!("{owned:?}")) })
    }

    /// Warnings of the operator about it so far, as `reason: note`.
    pub fn warnings(&self) -> Result<Vec<String>> {
        let selector = format!(
            "--field-selector=type=Warning,involvedObject.kind=CacheCluster,involvedObject.name={}",
            self.name
        );
        let format = r#"--output=jsonpath={range .items[*]}{.reason}{": "}{.message}{"\n"}{end}"#;
        let told = self.namespace.kubectl(&["get", "events", &selector, format])?;
        Ok(told.lines().map(str::to_owned).collect())
    }

    /// Its ring document, as it is stored.
    pub fn document(&self) -> Result<Document> {
        let world = self.world();
        let maps = Api::<ConfigMap>::namespaced(world.client.clone(), self.namespace.name());
        let map = world.block_on(maps.get(&format!("{}-ring", self.name)))?;
        let document = map.data.as_ref().and_then(|data| data.get("ring.json"));
        Ok(Document::parse(document.context("no ring document is stored")?.as_bytes())?)
    }

    /// What each of its running nodes says about itself; those that do not answer are left out.
    pub fn states(&self) -> Result<BTreeMap<String, NodeState>> {
        let world = self.world();
        let view = self.view()?;
        let live = view.pods.iter().filter(|pod| is_live(pod) && !address(pod).is_empty());
        let states = live.filter_map(|pod| {
            let state = world.block_on(world.nodes.state(address(pod), ADMIN)).ok()?;
            Some((pod.name_any(), state))
        });
        Ok(states.collect())
    }

    /// The slots that each of its running nodes owns.
    pub fn owned(&self) -> Result<BTreeMap<String, SlotSet>> {
        let owned = |state: &NodeState| ringcache_tests::cluster::owned(state);
        Ok(self.states()?.iter().map(|(name, state)| (name.clone(), owned(state))).collect())
    }

    /// Address of its client Service, with the port of the Redis protocol, once it leads to a node: each host is told of the
    /// endpoints a moment after the pods are ready.
    pub fn seed(&self) -> Result<String> {
        let world = self.world();
        let services = Api::<Service>::namespaced(world.client.clone(), self.namespace.name());
        let service = world.block_on(services.get(self.name))?;
        let address = service.spec.and_then(|spec| spec.cluster_ip);
        let seed = format!("{}:6379", address.context("the Service has no address")?);
        wait_for("the Service leads to a node", LIMIT, || {
            Ok(TcpStream::connect(&seed).map(drop).map_err(|error| error.to_string()))
        })?;
        Ok(seed)
    }
}
