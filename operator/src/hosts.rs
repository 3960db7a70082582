//! The Kubernetes nodes, here called hosts: only what decides whether a cache node can stay where it is.

use std::time::Duration;

use futures_util::FutureExt as _;
use k8s_openapi::api::core::v1::{Node, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

mod taints;

pub use taints::HostTaint;
use taints::OUT_OF_SERVICE;

/// Label of a host: the zone that it is in.
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";

/// How long after its start an operator waits for the first list of hosts. It may never come: who runs the operator may not
/// want it to see hosts.
const PATIENCE: Duration = Duration::from_secs(10);

/// A `Node` object without what nobody here reads: a real one has kilobytes of images and addresses, and the store keeps
/// all of them.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[resource(inherit = Node)]
pub struct Host {
    /// Its name, and what [`prune`] leaves.
    pub metadata: ObjectMeta,
    /// What is wanted of it.
    #[serde(default)]
    pub spec: HostSpec,
    /// How it is.
    #[serde(default)]
    pub status: HostStatus,
}

/// What is wanted of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostSpec {
    /// Cordoned: whoever did it is about to take the host away.
    pub unschedulable: bool,
    /// What keeps pods away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<HostTaint>,
}

/// How a host is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostStatus {
    /// Among them `Ready`.
    pub conditions: Vec<HostCondition>,
}

/// A condition of a host, without the heartbeat that changes all the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCondition {
    /// `Ready` and others.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
}

impl Host {
    /// How the host stands.
    pub fn standing(&self) -> Standing {
        let ready =
            |condition: &HostCondition| condition.type_ == "Ready" && condition.status == "True";
        let ready = self.status.conditions.iter().any(ready);
        let taints = self.spec.taints.iter().filter(|taint| taint.sends_away()).cloned();
        let cordon = self.spec.unschedulable.then(HostTaint::cordon);
        Standing {
            ready,
            repels: taints.chain(cordon).collect(),
            zone: self.metadata.labels.as_ref().and_then(|labels| labels.get(ZONE)).cloned(),
            out_of_service: !ready && self.spec.taints.iter().any(|t| t.key == OUT_OF_SERVICE),
        }
    }
}

/// How a host stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Its kubelet is heard of. False also for a host that is not known to Kubernetes any more.
    pub ready: bool,
    /// What keeps new pods from it, a cordon or taints: those on it that do not put up with it are to go elsewhere.
    pub repels: Vec<HostTaint>,
    /// The zone that it is in.
    pub zone: Option<String>,
    /// Somebody who knows has said that nothing runs on it any more, and its kubelet does not say otherwise.
    pub out_of_service: bool,
}

impl Standing {
    /// Whether the host is about to go, for a pod with these tolerations.
    pub fn sends_away(&self, tolerations: &[Toleration]) -> bool {
        self.repels.iter().any(|taint| !taint.is_tolerated(tolerations))
    }
}

/// Takes out of a watched host what is not needed.
pub fn prune(host: &mut Host) {
    let ObjectMeta { name, uid, resource_version, labels, .. } = std::mem::take(&mut host.metadata);
    let labels = labels.map(|mut labels| {
        labels.retain(|key, _| key == ZONE);
        labels
    });
    let labels = labels.filter(|labels| !labels.is_empty());
    host.metadata = ObjectMeta { name, uid, resource_version, labels, ..ObjectMeta::default() };
    host.spec.taints.retain(|taint| taint.key == OUT_OF_SERVICE || taint.sends_away());
    host.status.conditions.retain(|condition| condition.type_ == "Ready");
}

/// The hosts as last seen by a watch.
#[derive(Clone, Debug)]
pub struct Hosts {
    store: Store<Host>,
    patience_ends: Instant,
}

impl Hosts {
    /// Reads from a store that a watch is about to fill.
    pub fn new(store: Store<Host>) -> Self {
        Self { store, patience_ends: Instant::now() + PATIENCE }
    }

    /// Waits for the first list, for a while. Without it a drain would seem to be over whenever an operator starts, and be
    /// undone.
    pub async fn wait(&self) {
        // Neither a late list nor one that never comes is an error: then nothing is known of hosts.
        let _ = timeout_at(self.patience_ends, self.store.wait_until_ready()).await;
    }

    /// How the host of that name stands; `None` = unknown, because the hosts have not been listed yet. Without that
    /// difference an operator that has just started would take every host for a vanished one.
    pub fn standing(&self, name: &str) -> Option<Standing> {
        let listed =
            self.store.wait_until_ready().now_or_never().is_some_and(|ready| ready.is_ok());
        listed.then(|| {
            let host = self.store.get(&ObjectRef::new(name));
            host.map_or_else(Standing::default, |host| host.standing())
        })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Node;
    use kube::runtime::reflector::store;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_is_read_from_what_the_api_server_sends() {
        let host = |value| serde_json::from_value::<Host>(value).unwrap().standing();
        let condition = |kind, status| json!({"type": kind, "status": status, "reason": "x"});
        let ready = json!({"metadata": {"name": "a"}, "status": {"conditions": [
            condition("DiskPressure", "False"), condition("Ready", "True"),
        ]}});
        assert_eq!(host(ready.clone()), Standing { ready: true, ..Standing::default() });
        let mut tainted = ready;
        tainted["spec"] = json!({"taints": [
            {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"},
        ]});
        assert!(!host(tainted.clone()).out_of_service, "it is back, and the taint was forgotten");
        tainted["status"] = json!({});
        assert!(host(tainted).out_of_service);
        let cordoned = json!({"metadata": {"name": "a"}, "spec": {"unschedulable": true, "podCIDR": "x"},
            "status": {"conditions": [condition("Ready", "Unknown")]}});
        let standing = host(cordoned);
        assert_eq!(standing.repels, [HostTaint::cordon()]);
        assert!(!standing.ready && standing.sends_away(&[]));
        let bare = serde_json::to_value(Node::default()).unwrap();
        assert_eq!(host(bare), Standing::default(), "it has not reported yet");
    }

    #[test]
    fn pods_are_sent_away_by_what_they_do_not_put_up_with() {
        let host: Host = serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": {
            "unschedulable": true,
            "taints": [
                {"key": "karpenter.sh/disrupted", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"},
                {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
            ],
        }}))
        .unwrap();
        let exists = |key: &str| Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            ..Toleration::default()
        };
        let standing = host.standing();
        assert!(standing.sends_away(&[]));
        assert!(standing.sends_away(&[exists("karpenter.sh/disrupted")]), "it is cordoned, too");
        assert!(standing.sends_away(&[exists("node.kubernetes.io/unschedulable")]));
        assert!(!standing.sends_away(&[exists("")]), "its successor could be placed here again");
    }

    #[test]
    fn pruning_keeps_how_a_host_stands_and_drops_the_rest() {
        let mut host: Host = serde_json::from_value(json!({
            "metadata": {"name": "a", "uid": "u", "labels": {"a": "b"}, "managedFields": [{}]},
            "spec": {"unschedulable": true, "taints": [
                {"key": "a", "value": "b", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"},
                {"key": "a", "effect": "PreferNoSchedule"},
                {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
            ]},
            "status": {"conditions": [
                {"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"},
            ]},
        }))
        .unwrap();
        let before = host.standing();
        prune(&mut host);
        assert_eq!(host.standing(), before);
        let expected = json!({
            "metadata": {"name": "a", "uid": "u"},
            "spec": {
                "unschedulable": true,
                "taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}],
            },
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        assert_eq!(serde_json::to_value(&host).unwrap(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn before_the_first_list_nothing_is_known_and_it_is_waited_for_once() {
        let (reader, mut writer) = store();
        let (hosts, began) = (Hosts::new(reader), Instant::now());
        assert_eq!(hosts.standing("a"), None);
        hosts.wait().await;
        assert_eq!(began.elapsed(), PATIENCE);
        hosts.wait().await;
        assert_eq!(began.elapsed(), PATIENCE, "the next look does not wait again");
        for event in [Event::Init, Event::InitDone] {
            writer.apply_watcher_event(&event);
        }
        assert_eq!(hosts.standing("a"), Some(Standing::default()), "it does not exist");
    }
}
