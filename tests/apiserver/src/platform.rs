//! The rest of Kubernetes in small: scheduler, kubelets, and the controllers that the operator counts on.
//!
//! All of it acts when [`Platform::step`] is called, and writes only what differs, so that a platform at rest is silent.

mod budgets;
mod garbage;
mod hosts;
mod kubelet;
mod namespaces;
mod scheduler;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fields::Managers;
use crate::kind::Kind;
use crate::object::text;
use crate::server::Probe;
use crate::store::{Key, Store};

pub(crate) use kubelet::is_ready;

/// How long the platform takes.
#[derive(Clone, Copy, Debug)]
pub struct Paces {
    /// From a pod's creation until it is bound to a host.
    pub schedule: Duration,
    /// From the binding until the container runs.
    pub start: Duration,
    /// From the end of an owner until what it owned is deleted.
    pub collect: Duration,
    /// From the last sign of a host until it counts as not ready.
    pub host_grace: Duration,
    /// From then until its pods are deleted.
    pub host_eviction: Duration,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            schedule: Duration::from_millis(50),
            start: Duration::from_millis(900),
            collect: Duration::from_millis(400),
            host_grace: Duration::from_secs(40),
            host_eviction: Duration::from_mins(5),
        }
    }
}

/// What the platform knows besides the stored objects.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    seed: u64,
    probe: Probe,
    paces: Paces,
    writer: Arc<str>,
    /// When something about an object was first seen, by what it is and the uid.
    since: BTreeMap<(&'static str, String), Duration>,
    /// When hosts lost their power.
    dark: BTreeMap<String, Duration>,
    /// What probes say, by uid of the pod.
    ready: BTreeMap<String, bool>,
    /// Exit codes of containers that have ended, by uid of the pod.
    exits: BTreeMap<String, i64>,
    /// Addresses given out.
    addresses: u64,
    /// What everything was at when it was last looked at.
    looked_at: u64,
    /// When there is something to do although nothing has changed.
    next: Option<Duration>,
}

impl Platform {
    pub(crate) fn new(seed: u64, probe: Probe, paces: Paces) -> Self {
        Self {
            seed,
            probe,
            paces,
            writer: Arc::from("platform"),
            since: BTreeMap::new(),
            dark: BTreeMap::new(),
            ready: BTreeMap::new(),
            exits: BTreeMap::new(),
            addresses: 0,
            looked_at: 0,
            next: None,
        }
    }

    pub(crate) fn writer(&self) -> &Arc<str> {
        &self.writer
    }

    /// Does whatever is due. What one part does another reacts to in the next step, as controllers do.
    pub(crate) fn step(&mut self, store: &mut Store) {
        let due = self.next.is_some_and(|next| next <= store.now());
        if store.revision == self.looked_at && !due {
            return;
        }
        self.looked_at = store.revision;
        self.next = None;
        self.watch_hosts(store);
        self.schedule(store);
        self.run_pods(store);
        budgets::keep(store);
        self.collect_garbage(store);
        namespaces::end(store);
    }

    /// Whether something that was first seen now or earlier has lasted long enough; if not, it is looked at again then.
    fn has_lasted(&mut self, store: &Store, what: &'static str, uid: &str, time: Duration) -> bool {
        let since = *self.since.entry((what, uid.to_owned())).or_insert(store.now());
        let end = since + time;
        if store.now() < end {
            self.next = Some(self.next.map_or(end, |next| next.min(end)));
        }
        store.now() >= end
    }

    fn forget(&mut self, what: &'static str, uid: &str) {
        self.since.remove(&(what, uid.to_owned()));
    }
}

/// The namespaces and hosts that exist from the beginning.
pub(crate) fn set_up(store: &mut Store, namespaces: &[String], hosts: &[String]) {
    for name in namespaces {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "uid": store.next_uid(),
                "creationTimestamp": store.timestamp(Duration::ZERO),
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        store.put(&Key::new(Kind::Namespace, "", name), namespace, Managers::new());
    }
    for (index, name) in hosts.iter().enumerate() {
        hosts::add(store, name, index);
    }
}

/// Writes a version of an object that the platform has changed, if it has.
fn put(store: &mut Store, key: &Key, change: impl FnOnce(&mut Value)) {
    let Some(live) = store.get(key).cloned() else { return };
    let mut value = live.value().clone();
    change(&mut value);
    if value != *live.value() {
        store.put(key, value, live.managers.clone());
    }
}

/// Sets a condition of an object; its time only changes with its status.
fn set_condition(object: &mut Value, type_: &str, status: &str, details: &Value, now: &str) {
    let list = &mut object["status"]["conditions"];
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else { return };
    let before = list.iter().position(|condition| condition["type"] == type_);
    let same = before.map(|index| &list[index]).filter(|condition| condition["status"] == status);
    let time = same.map_or(now, |condition| text(condition, "/lastTransitionTime")).to_owned();
    let mut condition = json!({"type": type_, "status": status, "lastTransitionTime": time});
    for (name, value) in details.as_object().into_iter().flatten() {
        condition[name] = value.clone();
    }
    match before {
        Some(index) => list[index] = condition,
        None => list.push(condition),
    }
}

fn condition_is(object: &Value, type_: &str, status: &str) -> bool {
    let list = object.pointer("/status/conditions").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .any(|condition| condition["type"] == type_ && condition["status"] == status)
}
