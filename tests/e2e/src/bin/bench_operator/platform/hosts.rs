//! Hosts without a machine: large enough for all pods, and never silent.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::wait::wait_for;

const HOSTS: u8 = 6;
const ZONES: u8 = 3;
/// Between two signs of life. The lab's controller manager gives up a host after 8 s.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Longest time until pods may come.
const LIMIT: Duration = Duration::from_mins(1);

/// Creates them, waits until pods may come, and keeps them alive in the background.
pub(super) async fn start(client: &Client) -> Result<()> {
    let api = Api::<Node>::all(client.clone());
    for number in 1..=HOSTS {
        api.create(&PostParams::default(), &serde_json::from_value(host(number))?).await?;
    }
    let leases = Api::<Lease>::namespaced(client.clone(), "kube-node-lease");
    // The namespace may come a little later than the API server.
    wait_for("hosts can report", LIMIT, async || {
        Ok(beat(&leases).await.map_err(|error| error.to_string()))
    })
    .await?;
    tokio::spawn(keep_alive(leases));
    wait_for("pods may come to every host", LIMIT, async || {
        let hosts = api.list(&ListParams::default()).await?.items;
        let is_closed =
            |host: &&Node| host.spec.iter().any(|s| s.taints.iter().flatten().next().is_some());
        Ok(hosts.iter().find(is_closed).map_or(Ok(()), |host| Err(host.name_any())))
    })
    .await
}

/// A heartbeat that fails is followed by the next one.
async fn keep_alive(leases: Api<Lease>) {
    loop {
        if let Err(error) = beat(&leases).await {
            eprintln!("a heartbeat of the hosts failed: {error}");
        }
        sleep(HEARTBEAT).await;
    }
}

async fn beat(leases: &Api<Lease>) -> kube::Result<()> {
    let params = PatchParams::apply("bench").force();
    let renew = async |number| {
        let name = name(number);
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name},
            "spec": {
                "holderIdentity": name,
                "leaseDurationSeconds": 40,
                "renewTime": format!("{:.6}", Timestamp::now()),
            },
        });
        leases.patch(&name, &params, &Patch::Apply(lease)).await
    };
    try_join_all((1..=HOSTS).map(renew)).await.map(drop)
}

fn name(number: u8) -> String {
    format!("host-{number}")
}

fn host(number: u8) -> Value {
    let (name, now) = (name(number), Timestamp::now().to_string());
    let room = json!({
        "cpu": "10000", "memory": "100Ti", "pods": "10000", "ephemeral-storage": "100Ti",
    });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "topology.kubernetes.io/zone": format!("zone-{}", (number - 1) % ZONES + 1),
        }},
        "status": {
            "capacity": room,
            "allocatable": room,
            "addresses": [{"type": "InternalIP", "address": address(number)}],
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "KubeletReady",
                "message": "made up",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }],
        },
    })
}

/// Address of a host: nobody listens there.
fn address(number: u8) -> String {
    format!("10.91.0.{number}")
}
