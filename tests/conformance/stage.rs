//! Where behaviours are shown: a server, a client and a fresh namespace that is deleted afterwards.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use futures_util::FutureExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use kube::{Api, Client, Config, ResourceExt as _};
use ringcache_api::CacheCluster;
use ringcache_fake_apiserver::{ApiServer, Options};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

/// Names the kubeconfig of a real cluster.
const KUBECONFIG: &str = "RINGCACHE_CONFORMANCE_KUBECONFIG";
/// Longest time for anything that a controller does; a real one may have a queue.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether the chosen server is a real one.
pub(crate) fn is_real() -> bool {
    std::env::var_os(KUBECONFIG).is_some()
}

/// Shows a behaviour on the chosen server.
pub(crate) fn hold(behaviour: impl AsyncFnOnce(Client, String)) {
    if let Ok(path) = std::env::var(KUBECONFIG) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(path).unwrap();
            let options = KubeConfigOptions::default();
            let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
            // By default the client tries a refused eviction again, for minutes.
            config.default_retry = false;
            let client = Client::try_from(config).unwrap();
            on(client, behaviour, true).await;
        });
        return;
    }
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let api = ApiServer::new(Options::default());
        tokio::select! {
            () = api.run_platform() => unreachable!("it goes on for ever"),
            () = on(api.client("conformance"), behaviour, false) => {}
        }
    });
}

async fn on(client: Client, behaviour: impl AsyncFnOnce(Client, String), real: bool) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let wanted: Namespace = object(json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"generateName": "ringcache-conformance-"},
    }));
    let namespace = namespaces.create(&PostParams::default(), &wanted).await.unwrap().name_any();
    if real {
        // Pods are refused until their account is there; the server in memory has no accounts.
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
        eventually("the default account", async || {
            accounts.get_opt("default").await.unwrap().is_some()
        })
        .await;
    }
    let shown = AssertUnwindSafe(behaviour(client, namespace.clone())).catch_unwind().await;
    // One that a behaviour has deleted itself may be gone already.
    drop(namespaces.delete(&namespace, &DeleteParams::default()).await);
    if let Err(panic) = shown {
        resume_unwind(panic);
    }
}

/// Waits until it holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds().await {
            sleep(Duration::from_millis(200)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what}: not within {} s", PATIENCE.as_secs()));
}

/// An object of a type, from its JSON.
pub(crate) fn object<K: DeserializeOwned>(json: Value) -> K {
    serde_json::from_value(json).unwrap()
}

/// The refusal that a call must have met with.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> Status {
    match result {
        Err(kube::Error::Api(status)) => *status,
        other => panic!("not refused: {other:?}"),
    }
}

/// Code and reason of a refusal.
pub(crate) fn why<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> (u16, String) {
    let status = refusal(result);
    (status.code, status.reason)
}

pub(crate) fn post() -> PostParams {
    PostParams::default()
}

/// As the field manager `name`.
pub(crate) fn applied_by(name: &str) -> PatchParams {
    PatchParams::apply(name)
}

pub(crate) async fn merge<K>(api: &Api<K>, name: &str, patch: Value) -> Result<K, kube::Error>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

/// A `ConfigMap` with these members of `data`.
pub(crate) fn config_map(name: &str, data: Value) -> ConfigMap {
    object(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data,
    }))
}

/// A `CacheCluster` with this spec. It is paused, in case somebody looks after it all the same.
pub(crate) fn cluster(name: &str, mut spec: Value) -> CacheCluster {
    spec["paused"] = true.into();
    object(json!({
        "apiVersion": "ringcache.dev/v1alpha1", "kind": "CacheCluster",
        "metadata": {"name": name}, "spec": spec,
    }))
}

/// A pod that nobody binds to a host: it stays as it is for as long as one likes.
pub(crate) fn unbound(name: &str, labels: Value) -> Pod {
    let mut pod = pod(name, labels);
    let spec = pod.spec.as_mut().unwrap();
    spec.node_name = None;
    spec.scheduler_name = Some("ringcache-conformance-nobody".to_owned());
    pod
}

/// A pod bound to a host that nobody knows: no kubelet touches it. After a while it is collected.
pub(crate) fn pod(name: &str, labels: Value) -> Pod {
    object(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
        "spec": {
            "nodeName": "ringcache-conformance-nowhere",
            "automountServiceAccountToken": false,
            "containers": [{"name": "main", "image": "registry.example/none:1"}],
        },
    }))
}

/// Makes a pod look as if its containers ran.
pub(crate) async fn pretend(pods: &Api<Pod>, name: &str, ready: bool) {
    let status = if ready { "True" } else { "False" };
    let patch = json!({"status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": status}],
    }});
    let patched = pods.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await;
    patched.unwrap();
}
