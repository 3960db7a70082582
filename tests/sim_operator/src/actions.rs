//! The hands of everybody but the operator: users, other people, and the platform's misfortunes.

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, EvictParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use ringcache_api::CacheCluster;
use ringcache_api::status::condition;
use ringcache_fake_apiserver::Kind;
use ringcache_sim_nodes::Load;
use serde_json::{Value, json};

use crate::desired::text;
use crate::hands::lock;
use crate::sim::{NAME, NAMESPACE, Sim};
use crate::workload::{Action, Child};

/// Does it; whoever does it is not disturbed by faults, and must succeed.
pub(crate) async fn perform(sim: &mut Sim, action: &Action) {
    let user = sim.api.client("user");
    sim.stir();
    let pods: Api<Pod> = Api::namespaced(user.clone(), NAMESPACE);
    match action {
        Action::Create { nodes, image } => create(&user, NAMESPACE, *nodes, image).await,
        Action::Edit(patch) => edit_in(&user, NAMESPACE, patch).await,
        Action::DeleteCluster => {
            let clusters: Api<CacheCluster> = Api::namespaced(user, NAMESPACE);
            clusters.delete(NAME, &DeleteParams::default()).await.expect("a user may delete");
        }
        Action::KillPod(n) => kill(&pods, &sim.pod(*n)).await,
        Action::KillAllPods => {
            for pod in sim.pod_names() {
                kill(&pods, &pod).await;
            }
        }
        Action::DeletePod(n) => {
            let deleted = pods.delete(&sim.pod(*n), &DeleteParams::default()).await;
            deleted.expect("a user may delete pods");
        }
        Action::Evict(n) => {
            let evicted = pods.evict(&sim.pod(*n), &EvictParams::default()).await;
            evicted.expect("the disruption budget lets one go");
        }
        Action::Room(room) => make_room(sim, *room).await,
        Action::CrashNewest => {
            if let Some(name) = sim.pod_names().last() {
                sim.api.exit(NAMESPACE, name, 1);
            }
        }
        Action::CutOff(n, time) => {
            let name = sim.pod(*n);
            lock(&sim.plane).cut_off(NAMESPACE, &name, *time);
        }
        Action::CutOffNewest(time) => {
            if let Some(name) = sim.pod_names().last() {
                lock(&sim.plane).cut_off(NAMESPACE, name, *time);
            }
        }
        Action::ComeFromVersion01 => {
            sim.replace_operators();
            age(sim).await;
        }
        Action::ExitContainer(n) => {
            let name = sim.pod(*n);
            sim.api.exit(NAMESPACE, &name, 1);
        }
        Action::Cordon(n) => {
            edit_host(user, &sim.host_of(*n), json!({"unschedulable": true})).await;
        }
        Action::Taint(n) => {
            let taint = json!({"key": "karpenter.sh/disrupted", "effect": "NoSchedule"});
            edit_host(user, &sim.host_of(*n), json!({"taints": [taint]})).await;
        }
        Action::PowerLoss(n) => {
            let host = sim.host_of(*n);
            sim.lose_power(&host);
        }
        Action::Load(nodes) => lock(&sim.plane).load = Some(Load::of(*nodes)),
        Action::Damage(child) => damage(&user, *child, &sim.pod(0)).await,
    }
}

async fn edit_host(administrator: Client, host: &str, spec: Value) {
    let nodes: Api<Node> = Api::all(administrator);
    let patch = Patch::Merge(json!({"spec": spec}));
    let edited = nodes.patch(host, &PatchParams::default(), &patch).await;
    edited.expect("an administrator may edit hosts");
}

/// Gives hosts room for so many pods in all, those that are there first; `None` = for any number.
async fn make_room(sim: &Sim, room: Option<usize>) {
    let nodes: Api<Node> = Api::all(sim.api.client("administrator"));
    let pods = sim.api.of_kind(Kind::Pod);
    let on = |host: &str| pods.iter().filter(|pod| text(pod, "/spec/nodeName") == host).count();
    let mut left = room.map(|room| room.saturating_sub(pods.len()));
    for host in sim.api.of_kind(Kind::Node) {
        let name = text(&host, "/metadata/name");
        let more = left.as_mut().map(|left| {
            let more = (*left).min(1);
            *left -= more;
            more
        });
        let pods = more.map(|more| (on(name) + more).to_string());
        let patch = Patch::Merge(json!({"status": {"allocatable": {"pods": pods}}}));
        let patched = nodes.patch_status(name, &PatchParams::default(), &patch).await;
        patched.expect("an administrator may edit hosts");
    }
}

/// Takes from the objects what operators after version 0.1 have written into them.
async fn age(sim: &Sim) {
    /// What a status of version 0.1 did not have.
    const NEWER: [&str; 6] = [
        "/image",
        "/version",
        "/summary",
        "/operation/startedAt",
        "/operation/progressedAt",
        "/operation/slotsToGo",
    ];
    const NEWER_CONDITIONS: [&str; 2] = [condition::DEGRADED, condition::UP_TO_DATE];
    let user = sim.api.client("kubectl-edit");
    let params = PatchParams::default();
    let without = |names: &[&str]| {
        let gone: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        Patch::Merge(json!({"metadata": {"annotations": gone}}))
    };
    let maps: Api<ConfigMap> = Api::namespaced(user.clone(), NAMESPACE);
    let map = maps.patch(&format!("{NAME}-ring"), &params, &without(&["ringcache.dev/spec"])).await;
    map.expect("the ring can be edited");
    let pods: Api<Pod> = Api::namespaced(user.clone(), NAMESPACE);
    for name in sim.pod_names() {
        let pod = pods.patch(&name, &params, &without(&["ringcache.dev/fields"])).await;
        pod.expect("pods can be edited");
    }
    let clusters: Api<CacheCluster> = Api::namespaced(user, NAMESPACE);
    let cluster = sim.api.get(Kind::CacheCluster, NAMESPACE, NAME).unwrap_or_default();
    let mut status = cluster["status"].clone();
    for path in NEWER {
        if let Some(value) = status.pointer_mut(path) {
            *value = Value::Null;
        }
    }
    if let Some(conditions) = status["conditions"].as_array_mut() {
        conditions.retain(|c| !NEWER_CONDITIONS.iter().any(|newer| c["type"] == *newer));
    }
    let status = Patch::Merge(json!({ "status": status }));
    clusters.patch_status(NAME, &params, &status).await.expect("a status can be edited");
}

/// Creates a cluster called [`NAME`] in the namespace.
pub(crate) async fn create(user: &Client, namespace: &str, nodes: i32, image: &str) {
    let resource = json!({
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"nodes": nodes, "memory": "256Mi", "image": image},
    });
    let cluster: CacheCluster = serde_json::from_value(resource).expect("it is a CacheCluster");
    let clusters: Api<CacheCluster> = Api::namespaced(user.clone(), namespace);
    clusters.create(&PostParams::default(), &cluster).await.expect("a user may create");
}

/// `kubectl patch`.
pub(crate) async fn edit_in(user: &Client, namespace: &str, patch: &Value) {
    let clusters: Api<CacheCluster> = Api::namespaced(user.clone(), namespace);
    let edited = clusters.patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await;
    edited.expect("a user may edit");
}

/// `kubectl delete --force --grace-period=0`.
async fn kill(pods: &Api<Pod>, name: &str) {
    let params = DeleteParams::default().grace_period(0);
    pods.delete(name, &params).await.expect("a user may delete pods");
}

async fn damage(user: &Client, child: Child, pod: &str) {
    let services: Api<Service> = Api::namespaced(user.clone(), NAMESPACE);
    let params = DeleteParams::default();
    let merge = |patch: Value| Patch::Merge(patch);
    match child {
        Child::Ring => {
            let maps: Api<ConfigMap> = Api::namespaced(user.clone(), NAMESPACE);
            maps.delete(&format!("{NAME}-ring"), &params).await.map(drop)
        }
        Child::ClientService => services.delete(NAME, &params).await.map(drop),
        Child::NodesService => services.delete(&format!("{NAME}-nodes"), &params).await.map(drop),
        Child::Pdb => {
            let budgets: Api<PodDisruptionBudget> = Api::namespaced(user.clone(), NAMESPACE);
            budgets.delete(NAME, &params).await.map(drop)
        }
        Child::Labels => {
            let pods: Api<Pod> = Api::namespaced(user.clone(), NAMESPACE);
            let mut live = pods.get(pod).await.expect("the pod exists");
            let none: serde_json::Map<String, Value> =
                live.labels_mut().keys().map(|key| (key.clone(), Value::Null)).collect();
            let patch = merge(json!({"metadata": {"labels": none}}));
            pods.patch(pod, &PatchParams::default(), &patch).await.map(drop)
        }
        Child::Port => {
            let patch = merge(json!({"spec": {"ports": [{"name": "resp", "port": 7000}]}}));
            services.patch(NAME, &PatchParams::default(), &patch).await.map(drop)
        }
    }
    .expect("a user may do damage");
}
