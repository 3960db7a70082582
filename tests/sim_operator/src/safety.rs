//! What must never happen, judged at every write of the operator before it takes effect.

use std::collections::BTreeMap;
use std::sync::Mutex;

use ringcache_fake_apiserver::{ApiServer, Call, ChangeKind, Kind, Verb};
use serde_json::Value;

use crate::hands::lock;
use crate::plane::Plane;

/// Whoever judges, and what it must remember: an operator may still be at work on a cluster that has just gone.
#[derive(Default)]
pub(crate) struct Judge {
    /// Every cluster that there ever was, by uid, and the revision up to which they are known.
    clusters: Mutex<(u64, BTreeMap<String, Value>)>,
}

impl Judge {
    /// Breaches of safety by this call; empty = none.
    pub(crate) fn breaches(
        &self,
        api: &ApiServer,
        call: &Call,
        plane: &Plane,
        planned: bool,
    ) -> Vec<String> {
        if !call.is_write {
            return Vec::new();
        }
        let mut known = lock(&self.clusters);
        let (seen, clusters) = &mut *known;
        for change in api.history(*seen) {
            *seen = change.revision;
            if change.key.kind == Kind::CacheCluster {
                let mut cluster = change.object.value().clone();
                if change.kind == ChangeKind::Deleted {
                    cluster["metadata"]["deletionTimestamp"] = "gone".into();
                }
                let uid = cluster["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
                clusters.insert(uid, cluster);
            }
        }
        let clusters: Vec<Value> = clusters.values().cloned().collect();
        let mut breaches = breaches(call, &clusters, plane);
        if call.subresource.as_deref() == Some("status") {
            let images: Vec<_> =
                api.look_at(Kind::Pod, |pod| image(pod, plane)).into_iter().flatten().collect();
            for cluster in clusters.iter().filter(|cluster| is_about(call, cluster)) {
                breaches.extend(plane.truths.lies(call, cluster, &images, planned));
            }
        }
        breaches
    }
}

/// The uid of a pod's cluster and the image of its node, if that serves any slot.
fn image(pod: &Value, plane: &Plane) -> Option<(String, String)> {
    let at = |path: &str| pod.pointer(path).and_then(Value::as_str);
    let node = plane.in_pod(at("/metadata/uid")?).filter(|node| !node.serving().is_empty())?;
    Some((node.cluster_uid().to_owned(), at("/spec/containers/0/image")?.to_owned()))
}

/// Breaches of safety by this write; empty = none.
fn breaches(call: &Call, clusters: &[Value], plane: &Plane) -> Vec<String> {
    let mut breaches = Vec::new();
    let (resource, name) = (call.resource.as_str(), call.name.as_deref().unwrap_or_default());
    if !in_scope(call, clusters) {
        breaches.push(format!(
            "O5: {} {resource} {name} is none of the operator's business",
            call.verb
        ));
    }
    if call.verb == Verb::Delete {
        delete(call, clusters, plane, &mut breaches);
    }
    breaches
}

fn delete(call: &Call, clusters: &[Value], plane: &Plane, breaches: &mut Vec<String>) {
    let name = call.name.as_deref().unwrap_or_default();
    let uid = call.body.pointer("/preconditions/uid").and_then(Value::as_str);
    let Some(uid) = uid else {
        breaches.push(format!("O5: {} {name} is deleted without its uid", call.resource));
        return;
    };
    if call.resource != "pods" {
        return;
    }
    let Some(node) = plane.in_pod(uid) else { return };
    let alive = clusters.iter().any(|cluster| {
        cluster.pointer("/metadata/uid").and_then(Value::as_str) == Some(node.cluster_uid())
            && cluster.pointer("/metadata/deletionTimestamp").is_none()
    });
    if alive && !node.serving().is_empty() {
        let slots = node.serving().len();
        breaches.push(format!("O5: {name} is deleted while it owns {slots} slots"));
    }
}

/// Only objects that belong to one of the clusters, by their names, are ever written.
fn in_scope(call: &Call, clusters: &[Value]) -> bool {
    let (namespace, name) =
        (call.namespace.as_deref().unwrap_or_default(), call.name.as_deref().unwrap_or_default());
    if call.resource == "events" {
        return true;
    }
    clusters.iter().any(|cluster| {
        let at = |path: &str| cluster.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let cluster = at("/metadata/name");
        let of_cluster = match call.resource.as_str() {
            "cacheclusters" => name == cluster && call.subresource.as_deref() == Some("status"),
            "configmaps" => name == format!("{cluster}-ring"),
            "services" => name == cluster || name == format!("{cluster}-nodes"),
            "poddisruptionbudgets" => name == cluster,
            "pods" => name
                .strip_prefix(cluster)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|n| n.parse::<u64>().is_ok()),
            _ => false,
        };
        of_cluster && namespace == at("/metadata/namespace")
    })
}

/// Whether the call is about this cluster, which is there.
fn is_about(call: &Call, cluster: &Value) -> bool {
    let at = |path: &str| cluster.pointer(path).and_then(Value::as_str);
    at("/metadata/name") == call.name.as_deref()
        && at("/metadata/namespace") == call.namespace.as_deref()
        && at("/metadata/deletionTimestamp").is_none()
}
