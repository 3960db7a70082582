//! The kubelets: containers start, become ready, end by themselves or because they are told to.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Platform, condition_is, put, set_condition};
use crate::delete::{DeleteOptions, delete};
use crate::kind::Kind;
use crate::not_modelled;
use crate::object::{Object, deletion_grace, is_deleting, text, uid};
use crate::server::Probe;
use crate::store::{Key, Store};

/// Images with this in their names cannot be pulled.
const ABSENT: &str = "/absent:";

/// Whether a pod is ready, by its condition.
pub(crate) fn is_ready(pod: &Value) -> bool {
    condition_is(pod, "Ready", "True")
}

fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

fn is_running(pod: &Value) -> bool {
    text(pod, "/status/phase") == "Running"
}

impl Platform {
    /// A container ends with an exit code.
    pub(crate) fn exit(&mut self, store: &Store, namespace: &str, name: &str, code: i64) {
        let Some(pod) = store.get(&Key::new(Kind::Pod, namespace, name)) else { return };
        if text(pod.value(), "/spec/restartPolicy") != "Never" {
            not_modelled("a container that is started again");
        }
        if self.exits.insert(uid(pod.value()).to_owned(), code).is_none() {
            self.looked_at = 0;
        }
    }

    /// What a probe says.
    pub(crate) fn set_ready(&mut self, store: &Store, namespace: &str, name: &str, ready: bool) {
        let Some(pod) = store.get(&Key::new(Kind::Pod, namespace, name)) else { return };
        if self.ready.insert(uid(pod.value()).to_owned(), ready) != Some(ready) {
            self.looked_at = 0;
        }
    }

    /// Every pod on a host that has power.
    pub(super) fn run_pods(&mut self, store: &mut Store) {
        let pods = store.of_kind(Kind::Pod, None).filter(|(_, pod)| {
            let host = text(pod.value(), "/spec/nodeName");
            !self.is_dark(host) && store.get(&Key::new(Kind::Node, "", host)).is_some()
        });
        let pods: Vec<(Key, Arc<Object>)> =
            pods.map(|(key, pod)| (key.clone(), Arc::clone(pod))).collect();
        for (key, pod) in pods {
            let pod = pod.value();
            if is_deleting(pod) {
                self.end_pod(store, &key, pod);
            } else if !has_ended(pod) {
                self.run_pod(store, &key, pod);
            }
        }
    }

    fn run_pod(&mut self, store: &mut Store, key: &Key, pod: &Value) {
        let now = store.timestamp(Duration::ZERO);
        if let Some(code) = self.exits.get(uid(pod)) {
            let code = *code;
            put(store, key, |pod| ended(pod, code, &now));
        } else if is_running(pod) {
            let ready = match self.probe {
                Probe::Always => true,
                Probe::Told => self.ready.get(uid(pod)).copied().unwrap_or(false),
            };
            if ready != is_ready(pod) {
                put(store, key, |pod| set_ready(pod, ready, &now));
            }
        } else if self.has_lasted(store, "bound", uid(pod), self.paces.start) {
            if containers(pod).any(|(_, image)| image.contains(ABSENT)) {
                put(store, key, waiting);
                return;
            }
            self.addresses += 1;
            let address = format!(
                "10.{}.{}.{}",
                self.seed % 200,
                self.addresses / 250,
                self.addresses % 250 + 1
            );
            put(store, key, |pod| started(pod, &address, &now));
        }
    }

    /// A pod that was told to end: its container gets its time, then the object goes.
    fn end_pod(&mut self, store: &mut Store, key: &Key, pod: &Value) {
        let grace = Duration::from_secs(deletion_grace(pod));
        let over = self.has_lasted(store, "ending", uid(pod), grace);
        let done = has_ended(pod) || !is_running(pod);
        if done || over {
            let options =
                DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
            // It exists, and without preconditions nothing can stand against it.
            drop(delete(store, key, &options));
        } else if let Some(code) = self.exits.get(uid(pod)) {
            let (code, now) = (*code, store.timestamp(Duration::ZERO));
            put(store, key, |pod| ended(pod, code, &now));
        } else if self.probe == Probe::Told {
            let (now, ready) = (store.timestamp(Duration::ZERO), self.ready.get(uid(pod)).copied());
            if is_ready(pod) && ready != Some(true) {
                put(store, key, |pod| set_ready(pod, false, &now));
            }
        }
    }
}

/// The image of some container cannot be pulled: none of them has run.
fn waiting(pod: &mut Value) {
    let reason = json!({"reason": "ImagePullBackOff", "message": "Back-off pulling image"});
    let waiting: Vec<Value> = containers(pod)
        .map(|(name, image)| {
            json!({
                "name": name,
                "image": image,
                "imageID": "",
                "ready": false,
                "started": false,
                "restartCount": 0,
                "state": {"waiting": reason},
            })
        })
        .collect();
    pod["status"]["containerStatuses"] = waiting.into();
}

fn started(pod: &mut Value, address: &str, now: &str) {
    let running: Vec<Value> = containers(pod)
        .map(|(name, image)| {
            json!({
                "name": name,
                "image": image,
                "imageID": image,
                "ready": false,
                "started": true,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            })
        })
        .collect();
    let status = &mut pod["status"];
    status["phase"] = "Running".into();
    status["podIP"] = address.into();
    status["podIPs"] = json!([{"ip": address}]);
    status["startTime"] = now.into();
    status["containerStatuses"] = running.into();
    set_condition(pod, "Initialized", "True", &json!({}), now);
    set_ready(pod, false, now);
}

fn containers(pod: &Value) -> impl Iterator<Item = (String, String)> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers.map(|container| {
        (text(container, "/name").to_owned(), text(container, "/image").to_owned())
    })
}

fn set_ready(pod: &mut Value, ready: bool, now: &str) {
    let (status, details) = if ready {
        ("True", json!({}))
    } else {
        ("False", json!({"reason": "ContainersNotReady"}))
    };
    for type_ in ["ContainersReady", "Ready"] {
        set_condition(pod, type_, status, &details, now);
    }
    for container in pod["status"]["containerStatuses"].as_array_mut().into_iter().flatten() {
        container["ready"] = ready.into();
    }
}

fn ended(pod: &mut Value, code: i64, now: &str) {
    let (phase, reason) = if code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
    set_ready(pod, false, now);
    pod["status"]["phase"] = phase.into();
    for container in pod["status"]["containerStatuses"].as_array_mut().into_iter().flatten() {
        let started = container.pointer("/state/running/startedAt").cloned().unwrap_or_default();
        container["state"] = json!({"terminated": {
            "exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now,
        }});
        container["started"] = false.into();
    }
}
