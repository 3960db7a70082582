//! One kubelet for all hosts: it runs no container, but reports of each what a real one would.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::cache_nodes::CacheNodes;
use crate::objects::LABEL;

/// Pods looked after at once.
const IN_FLIGHT: usize = 32;
/// Between two readiness probes: as the operator's pods ask for.
const PROBE: Duration = Duration::from_secs(2);

/// Follows all pods of clusters for ever.
pub(super) async fn run(client: Client, nodes: Arc<CacheNodes>) {
    let config = watcher::Config::default().labels(LABEL);
    let pods = watcher(Api::<Pod>::all(client.clone()), config).default_backoff().applied_objects();
    pods.for_each_concurrent(IN_FLIGHT, |pod| {
        let (client, nodes) = (client.clone(), Arc::clone(&nodes));
        async move {
            let done = match pod {
                Ok(pod) => follow(client, nodes, &pod).await,
                Err(error) => return eprintln!("the watch of pods failed: {error}"),
            };
            if let Err(error) = done {
                eprintln!("the kubelet failed: {error}");
            }
        }
    })
    .await;
}

/// Does what is due to a pod, as it is now.
async fn follow(client: Client, nodes: Arc<CacheNodes>, pod: &Pod) -> kube::Result<()> {
    let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
    let api = Api::<Pod>::namespaced(client, &pod.namespace().unwrap_or_default());
    if pod.metadata.deletion_timestamp.is_some() {
        // Its container has ended: the pod may go.
        nodes.end(&uid);
        let at_once = DeleteParams::default().grace_period(0);
        return unless_gone(api.delete(&name, &at_once).await.map(drop));
    }
    let is_bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let Some(address) = is_bound.then(|| nodes.start(pod)).flatten() else { return Ok(()) };
    report(&api, &name, &running(pod, &address.to_string())).await?;
    let image = image(pod).to_owned();
    tokio::spawn(async move {
        while let Some(is_ready) = nodes.is_ready(&uid) {
            if is_ready {
                if let Err(error) = report(&api, &name, &ready(&image)).await {
                    eprintln!("pod {name} could not be reported ready: {error}");
                }
                return;
            }
            sleep(PROBE).await;
        }
    });
    Ok(())
}

async fn report(api: &Api<Pod>, name: &str, status: &Value) -> kube::Result<()> {
    let patch = Patch::Strategic(json!({"status": status}));
    unless_gone(api.patch_status(name, &PatchParams::default(), &patch).await.map(drop))
}

fn unless_gone(done: kube::Result<()>) -> kube::Result<()> {
    match done {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        done => done,
    }
}

/// The container has started and is not ready yet.
fn running(pod: &Pod, address: &str) -> Value {
    let mut status = probed("False", image(pod));
    status["phase"] = json!("Running");
    status["podIP"] = json!(address);
    status["podIPs"] = json!([{"ip": address}]);
    status["startTime"] = json!(Timestamp::now());
    status
}

fn ready(image: &str) -> Value {
    probed("True", image)
}

fn probed(ready: &str, image: &str) -> Value {
    let now = Timestamp::now();
    let condition = |type_: &str, status: &str| json!({"type": type_, "status": status, "lastTransitionTime": now});
    json!({
        "conditions": [
            condition("Initialized", "True"),
            condition("ContainersReady", ready),
            condition("Ready", ready),
        ],
        "containerStatuses": [{
            "name": "cache-node",
            "image": image,
            "imageID": image,
            "ready": ready == "True",
            "started": true,
            "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        }],
    })
}

fn image(pod: &Pod) -> &str {
    let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    container.and_then(|container| container.image.as_deref()).unwrap_or_default()
}
