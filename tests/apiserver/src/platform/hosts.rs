//! Hosts: they report until they lose power, and what the platform makes of silence.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Platform, condition_is, put, set_condition};
use crate::delete::{DeleteOptions, delete};
use crate::fields::Managers;
use crate::kind::Kind;
use crate::object::{is_deleting, text};
use crate::store::{Key, Store};

pub(super) fn add(store: &mut Store, name: &str, index: usize) {
    let now = store.timestamp(Duration::ZERO);
    let mut host = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": store.next_uid(),
            "creationTimestamp": now,
            "labels": {
                "kubernetes.io/hostname": name,
                "topology.kubernetes.io/zone": format!("zone-{}", index % 3),
            },
        },
        "spec": {},
        "status": {"addresses": [{"type": "InternalIP", "address": format!("192.168.0.{}", index + 1)}]},
    });
    set_condition(&mut host, "Ready", "True", &json!({"reason": "KubeletReady"}), &now);
    store.put(&Key::new(Kind::Node, "", name), host, Managers::new());
}

impl Platform {
    pub(crate) fn lose_power(&mut self, store: &Store, host: &str) {
        self.dark.entry(host.to_owned()).or_insert(store.now());
        self.looked_at = 0;
    }

    pub(super) fn is_dark(&self, host: &str) -> bool {
        self.dark.contains_key(host)
    }

    /// A silent host is not ready after a while, nor are its pods; after a longer while they are deleted.
    pub(super) fn watch_hosts(&mut self, store: &mut Store) {
        let dark: Vec<String> = self.dark.keys().cloned().collect();
        for host in dark {
            let (grace, eviction) = (self.paces.host_grace, self.paces.host_eviction);
            if !self.has_lasted(store, "dark", &host, grace) {
                continue;
            }
            let now = store.timestamp(Duration::ZERO);
            let why = json!({"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."});
            put(store, &Key::new(Kind::Node, "", &host), |host| {
                set_condition(host, "Ready", "Unknown", &why, &now);
            });
            let evict = self.has_lasted(store, "dark", &host, grace + eviction);
            for key in pods_on(store, &host) {
                put(store, &key, |pod| {
                    if condition_is(pod, "Ready", "True") {
                        set_condition(
                            pod,
                            "Ready",
                            "False",
                            &json!({"reason": "NodeStatusUnknown"}),
                            &now,
                        );
                    }
                });
                let gone = store.get(&key).is_none_or(|pod| is_deleting(pod.value()));
                if evict && !gone {
                    // It exists, and without preconditions nothing can stand against it.
                    drop(delete(store, &key, &DeleteOptions::default()));
                }
            }
        }
    }
}

fn pods_on(store: &Store, host: &str) -> Vec<Key> {
    let pods = store.of_kind(Kind::Pod, None);
    let there = pods.filter(|(_, pod)| text(pod.value(), "/spec/nodeName") == host);
    there.map(|(key, _)| key.clone()).collect()
}

/// Whether a host takes new pods that tolerate nothing.
pub(super) fn takes_pods(host: &Value) -> bool {
    let keeps_away = |taint: &Value| taint["effect"] != "PreferNoSchedule";
    let mut taints = host["spec"]["taints"].as_array().into_iter().flatten();
    host["spec"]["unschedulable"] != true
        && !taints.any(keeps_away)
        && condition_is(host, "Ready", "True")
        && !is_deleting(host)
}
