//! The hands of everybody but the operator: users, other people, and the platform's misfortunes.

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use ringcache_api::CacheCluster;
use serde_json::{Value, json};

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
        Action::Damage(child) => damage(&user, *child, &sim.pod(0)).await,
    }
}

async fn edit_host(administrator: Client, host: &str, spec: Value) {
    let nodes: Api<Node> = Api::all(administrator);
    let patch = Patch::Merge(json!({"spec": spec}));
    let edited = nodes.patch(host, &PatchParams::default(), &patch).await;
    edited.expect("an administrator may edit hosts");
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
