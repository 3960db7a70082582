//! The scheduler: binds a pod to the ready host with the fewest pods that has room for one more. Requests, taints and spreading are
//! not weighed.

use std::time::Duration;

use serde_json::{Value, json};

use super::hosts::takes_pods;
use super::{Platform, put, set_condition};
use crate::kind::Kind;
use crate::object::{is_deleting, text, uid};
use crate::store::{Key, Store};

impl Platform {
    pub(super) fn schedule(&mut self, store: &mut Store) {
        let pods = store.of_kind(Kind::Pod, None);
        let unbound = pods.filter(|(_, pod)| {
            text(pod.value(), "/spec/nodeName").is_empty()
                && text(pod.value(), "/spec/schedulerName") == "default-scheduler"
                && !is_deleting(pod.value())
        });
        let unbound: Vec<(Key, String)> =
            unbound.map(|(key, pod)| (key.clone(), uid(pod.value()).to_owned())).collect();
        for (key, uid) in unbound {
            if !self.has_lasted(store, "unbound", &uid, self.paces.schedule) {
                continue;
            }
            let now = store.timestamp(Duration::ZERO);
            match self.choose(store) {
                Some(host) => put(store, &key, |pod| {
                    pod["spec"]["nodeName"] = host.clone().into();
                    set_condition(pod, "PodScheduled", "True", &json!({}), &now);
                }),
                None => put(store, &key, |pod| {
                    let why =
                        json!({"reason": "Unschedulable", "message": "0 nodes are available"});
                    set_condition(pod, "PodScheduled", "False", &why, &now);
                }),
            }
        }
    }

    fn choose(&self, store: &Store) -> Option<String> {
        let pods_on = |host: &str| {
            store
                .of_kind(Kind::Pod, None)
                .filter(|(_, pod)| text(pod.value(), "/spec/nodeName") == host)
                .count()
        };
        let hosts: Vec<&str> = store
            .of_kind(Kind::Node, None)
            .filter(|(key, host)| {
                takes_pods(host.value()) && pods_on(&key.name) < room(host.value())
            })
            .map(|(key, _)| key.name.as_str())
            .collect();
        // The seed decides where the count begins, so that equals are not always taken in the same order.
        let first = self.seed as usize % hosts.len().max(1);
        let order = hosts.iter().cycle().skip(first).take(hosts.len());
        order.min_by_key(|host| pods_on(host)).map(|host| (*host).to_owned())
    }
}

/// How many pods a host takes.
fn room(host: &Value) -> usize {
    text(host, "/status/allocatable/pods").parse().unwrap_or(usize::MAX)
}
