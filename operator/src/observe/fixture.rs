//! A cluster, its pods, its nodes and its hosts, for tests of single calls.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::store;
use kube::runtime::watcher::Event;
use ringcache_api::admin::{
    ADMIN_VERSION, NodeCurve, NodeState, NodeStats, Ownership, Settings, SettingsFor,
};
use ringcache_api::cluster::parse_yaml;
use ringcache_api::document::{ClusterRef, FORMAT_VERSION, HashRule, SlotRange};
use ringcache_api::{CacheCluster, Document, Incarnation, Member, MemberState};
use ringcache_operator_core::Template;
use serde_json::{Value, json};

use super::{Observation, observe, resource};
use crate::hosts::{Host, HostCondition, HostSpec, HostStatus, HostTaint, Hosts};
use crate::nodes::{NodeError, Nodes};
use crate::objects::pod::PORTS;
use crate::reach::Reach;
pub(crate) use crate::testing::{FakeApi, START};
use crate::{Clock, Config, Context, Error, Metrics};

/// Uid of the cluster `shop/web`.
pub(crate) const CLUSTER_UID: &str = "11111111-web";

/// The cluster `shop/web` with this spec.
pub(crate) fn cluster(spec: &str) -> CacheCluster {
    let head = "apiVersion: ringcache.dev/v1alpha1\nkind: CacheCluster\nmetadata: {name: web, namespace: shop}\n";
    let mut cluster = parse_yaml(&format!("{head}spec: {spec}")).unwrap();
    cluster.metadata.uid = Some(CLUSTER_UID.to_owned());
    cluster.metadata.generation = Some(4);
    cluster
}

pub(crate) fn template(image: &str) -> Template {
    let pod = crate::objects::fingerprint::fingerprint(&cluster("{}").spec);
    Template { memory_bytes: 256 << 20, program: image.to_owned(), pod }
}

/// A pod of `shop/web` as rendered, then scheduled to `host-1`, with the status given.
pub(crate) fn pod(name: &str, status: Value) -> Pod {
    let (cluster, template) = (cluster("{}"), template("cache:1"));
    let mut pod = crate::objects::pod::pod(&cluster, name, &template, Settings::default(), 0);
    pod.metadata.uid = Some(format!("uid-{name}"));
    pod.metadata.creation_timestamp = Some(time(START));
    if let Some(spec) = &mut pod.spec {
        spec.node_name = Some("host-1".to_owned());
    }
    pod.status = serde_json::from_value(status).unwrap();
    pod
}

/// A pod that runs.
pub(crate) fn running(name: &str, ip: &str) -> Pod {
    pod(name, json!({"phase": "Running", "podIP": ip}))
}

pub(crate) fn time(text: &str) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Time {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(text.parse().unwrap())
}

/// Status of a pod whose container failed.
pub(crate) fn ended(started: &str, finished: &str) -> Value {
    let terminated = json!({
        "exitCode": 1, "reason": "Error", "startedAt": started, "finishedAt": finished,
    });
    let container = json!({
        "name": "cache-node", "image": "cache:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": terminated},
    });
    json!({"phase": "Failed", "podIP": "10.0.0.9", "containerStatuses": [container]})
}

/// A document with these members, the first of which owns everything.
pub(crate) fn document(epoch: u64, members: &[&str]) -> Document {
    let member = |name: &&str| Member {
        name: (*name).to_owned(),
        uid: Incarnation::new(&format!("uid-{name}"), "1"),
        host: "10.0.0.1".to_owned(),
        ports: PORTS,
        state: MemberState::Active,
    };
    let document = Document {
        version: FORMAT_VERSION,
        cluster: ClusterRef {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            uid: CLUSTER_UID.to_owned(),
        },
        epoch,
        hash: HashRule::default(),
        members: members.iter().map(member).collect(),
        gone: std::collections::BTreeSet::new(),
        slots: vec![SlotRange { range: (0, 16383), owner: members[0].to_owned() }],
        checksum: String::new(),
    };
    document.sealed()
}

/// What the node of the pod `name` says of itself.
pub(crate) fn answer(name: &str) -> NodeState {
    NodeState {
        version: ADMIN_VERSION,
        name: name.to_owned(),
        incarnation: Incarnation::new(&format!("uid-{name}"), "1"),
        cluster_uid: CLUSTER_UID.to_owned(),
        program: "1".to_owned(),
        epoch: 0,
        checksum: String::new(),
        ownership: Ownership::default(),
        settings: Settings::default().into(),
        stats: NodeStats::default(),
        heard: Vec::new(),
        draining: false,
    }
}

/// Where the cluster is.
pub(crate) const CLUSTER_PATH: &str =
    "/apis/ringcache.dev/v1alpha1/namespaces/shop/cacheclusters/web";
/// Where its disruption budget is.
pub(crate) const PDB_PATH: &str = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/web";

/// How long a node takes that answers, and how long one is waited for that does not.
const ROUND_TRIP: Duration = Duration::from_millis(1);
pub(crate) const HANG: Duration = Duration::from_secs(5);

/// Cache nodes that answer by their address, and remember what they were given.
#[derive(Clone, Default)]
pub(crate) struct FakeNodes {
    pub(crate) states: Arc<Mutex<HashMap<String, NodeState>>>,
    /// What they have measured.
    pub(crate) curves: Arc<Mutex<HashMap<String, NodeCurve>>>,
    /// What they say when they are asked again.
    pub(crate) next: Arc<Mutex<HashMap<String, NodeState>>>,
    pub(crate) pushed: Arc<Mutex<Vec<(String, u64)>>>,
    pub(crate) configured: Arc<Mutex<Vec<SettingsFor>>>,
    /// Addresses at which nobody answers a push before its time is over.
    pub(crate) hanging: Arc<Mutex<HashSet<String>>>,
    /// How many are being given a document, and how many were at most.
    pub(crate) busy: Arc<Mutex<(usize, usize)>>,
}

impl Nodes for FakeNodes {
    async fn state(&self, host: &str, _: u16) -> Result<NodeState, NodeError> {
        let mut states = self.states.lock().unwrap();
        let state = states.get(host).cloned();
        states.extend(self.next.lock().unwrap().remove_entry(host));
        state.ok_or_else(|| NodeError::Transport("nobody there".to_owned()))
    }

    async fn curve(&self, host: &str, _: u16) -> Result<NodeCurve, NodeError> {
        let curves = self.curves.lock().unwrap();
        let curve = curves.get(host).cloned();
        curve.ok_or_else(|| NodeError::Transport("nobody there".to_owned()))
    }

    async fn push(&self, host: &str, _: u16, document: &Document) -> Result<(), NodeError> {
        {
            let mut busy = self.busy.lock().unwrap();
            *busy = (busy.0 + 1, busy.1.max(busy.0 + 1));
        }
        let hangs = self.hanging.lock().unwrap().contains(host);
        tokio::time::sleep(if hangs { HANG } else { ROUND_TRIP }).await;
        self.busy.lock().unwrap().0 -= 1;
        if hangs {
            return Err(NodeError::Timeout(HANG));
        }
        self.pushed.lock().unwrap().push((host.to_owned(), document.epoch));
        Ok(())
    }

    async fn configure(&self, _: &str, _: u16, asked: &SettingsFor) -> Result<(), NodeError> {
        self.configured.lock().unwrap().push(asked.clone());
        Ok(())
    }
}

/// A host of that name.
pub(crate) fn host(name: &str, ready: &str, unschedulable: bool) -> Host {
    let mut host = Host {
        spec: HostSpec { unschedulable, ..HostSpec::default() },
        status: HostStatus {
            conditions: vec![HostCondition { type_: "Ready".to_owned(), status: ready.to_owned() }],
        },
        ..Host::default()
    };
    host.metadata.name = Some(name.to_owned());
    host
}

/// A host that somebody has declared to be off.
pub(crate) fn off(name: &str, ready: &str) -> Host {
    let mut host = host(name, ready, false);
    host.spec.taints = vec![HostTaint {
        key: "node.kubernetes.io/out-of-service".to_owned(),
        effect: "NoExecute".to_owned(),
        ..HostTaint::default()
    }];
    host
}

/// Hosts as a watch has listed them.
pub(crate) fn hosts(list: impl IntoIterator<Item = Host>) -> Hosts {
    let (reader, mut writer) = store();
    let listed = list.into_iter().map(Event::InitApply);
    for event in std::iter::once(Event::Init).chain(listed).chain([Event::InitDone]) {
        writer.apply_watcher_event(&event);
    }
    Hosts::new(reader)
}

/// Everything together.
pub(crate) fn context(api: &FakeApi, nodes: &FakeNodes, hosts: Hosts) -> Context<FakeNodes> {
    let (client, metrics) = (api.client(), Metrics::new());
    let clock = Clock::virtual_from(START.parse::<Timestamp>().unwrap());
    let (events, _) = crate::events::Events::new(client.clone(), "test", clock.clone(), &metrics);
    let config = Config { cache_image: "cache:default".to_owned(), ..Config::default() };
    let nodes = nodes.clone();
    Context { client, nodes, config, clock, hosts, reach: Reach::new(), metrics, events }
}

/// Looks at the cluster `web`.
pub(crate) async fn observe_web(
    context: &Context<FakeNodes>,
) -> Result<Option<Observation>, Error> {
    match resource(context, "shop", "web").await? {
        Some(web) => Box::pin(observe(context, web)).await.map(Some),
        None => Ok(None),
    }
}
