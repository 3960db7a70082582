//! Whether a cluster is what its resource says, judged from the stored objects and the nodes themselves, not from what the
//! operator believes.

use std::collections::BTreeSet;

use ringcache_api::Document;
use serde_json::Value;

use crate::plane::{Plane, PodView};
use crate::workload::HIT_RATIO;

/// All objects and nodes at one moment.
pub(crate) struct Snapshot<'a> {
    pub(crate) objects: &'a [Value],
    pub(crate) plane: &'a Plane,
    /// Hosts without power: what is on them cannot be helped.
    pub(crate) dark: &'a BTreeSet<String>,
}

/// Text at a path of an object, empty if there is none.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, path: &str) -> i64 {
    object.pointer(path).and_then(Value::as_i64).unwrap_or_default()
}

impl<'a> Snapshot<'a> {
    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    fn child(&self, kind: &'static str, cluster: &Value, name: &str) -> Option<&'a Value> {
        self.of_kind(kind)
            .find(|object| owned_by(object, cluster) && text(object, "/metadata/name") == name)
    }

    /// What is not as it should be; empty = every cluster is what its resource says.
    pub(crate) fn lacks(&self) -> Vec<String> {
        let mut lacks = Vec::new();
        for cluster in self.of_kind("CacheCluster") {
            self.cluster(cluster, &mut lacks);
        }
        let clusters: BTreeSet<&str> =
            self.of_kind("CacheCluster").map(|c| text(c, "/metadata/uid")).collect();
        for object in self.objects {
            let orphaned =
                owners(object).any(|uid| !clusters.contains(uid)) && !self.is_dark(object);
            if orphaned {
                lacks.push(format!(
                    "{} {} is left over",
                    object["kind"],
                    text(object, "/metadata/name")
                ));
            }
        }
        if self.plane.iter().any(|node| !clusters.contains(node.cluster_uid())) {
            lacks.push("a node of a deleted cluster runs".into());
        }
        lacks
    }

    fn is_dark(&self, object: &Value) -> bool {
        self.dark.contains(text(object, "/spec/nodeName"))
    }

    fn cluster(&self, cluster: &Value, lacks: &mut Vec<String>) {
        if cluster.pointer("/metadata/deletionTimestamp").is_some() {
            lacks.push("the cluster is still being deleted".into());
            return;
        }
        self.pods(cluster, lacks);
        self.ring(cluster, lacks);
        self.children(cluster, lacks);
        status(cluster, lacks);
    }

    fn pods(&self, cluster: &Value, lacks: &mut Vec<String>) {
        let uid = text(cluster, "/metadata/uid");
        let scaled = self.plane.load.filter(|_| cluster.pointer("/spec/autoscaling").is_some());
        let scaled = scaled.and_then(|load| i64::try_from(load.nodes_for(HIT_RATIO)).ok());
        let wanted = scaled.unwrap_or_else(|| number(cluster, "/spec/nodes"));
        let pods: Vec<&Value> = self
            .of_kind("Pod")
            .filter(|pod| owned_by(pod, cluster) && !self.is_dark(pod))
            .collect();
        if i64::try_from(pods.len()) != Ok(wanted) {
            lacks.push(format!("{} pods of {wanted}", pods.len()));
        }
        let is_going = |node: &&Value| {
            let taints = node.pointer("/spec/taints").and_then(Value::as_array);
            node.pointer("/spec/unschedulable") == Some(&Value::Bool(true))
                || taints.is_some_and(|taints| !taints.is_empty())
        };
        let going: BTreeSet<&str> = self
            .of_kind("Node")
            .filter(is_going)
            .map(|node| text(node, "/metadata/name"))
            .collect();
        for pod in pods {
            let (name, view) = (text(pod, "/metadata/name"), PodView::read(pod));
            if !view.running || view.deleting || !view.ready {
                lacks.push(format!("pod {name} is not ready"));
            }
            if going.contains(view.host.as_str()) {
                lacks.push(format!("pod {name} is on a host that is about to go"));
            }
            let image = text(cluster, "/spec/image");
            if !image.is_empty() && text(pod, "/spec/containers/0/image") != image {
                lacks.push(format!("pod {name} has another image"));
            }
            if text(pod, "/metadata/labels/ringcache.dev~1cluster")
                != text(cluster, "/metadata/name")
            {
                lacks.push(format!("pod {name} lacks its labels"));
            }
        }
        let ttl = number(cluster, "/spec/ttl/defaultSeconds");
        for node in self.plane.of_cluster(uid) {
            if i64::from(node.settings().ttl_default_seconds) != ttl {
                lacks.push(format!("{} has another time to live", node.name()));
            }
        }
    }

    fn ring(&self, cluster: &Value, lacks: &mut Vec<String>) {
        let (uid, name) = (text(cluster, "/metadata/uid"), text(cluster, "/metadata/name"));
        let unserved = self.plane.unserved(uid);
        if unserved > 0 {
            lacks.push(format!("{unserved} slots are not served"));
        }
        if !self.plane.is_converged(uid) {
            lacks.push("slots are not where they should be".into());
        }
        let map = self.child("ConfigMap", cluster, &format!("{name}-ring"));
        let stored = map.map(|map| Document::parse(text(map, "/data/ring.json").as_bytes()));
        let Some(Ok(document)) = stored else {
            lacks.push(format!("no ring document is stored: {stored:?}"));
            return;
        };
        if self.plane.of_cluster(uid).any(|node| node.epoch() != document.epoch) {
            lacks.push("some node does not know the stored document".into());
        }
        if number(cluster, "/status/ring/epoch") as u64 != document.epoch {
            lacks.push("the status names another epoch".into());
        }
        let reported = cluster.pointer("/status/members").and_then(Value::as_array);
        let reported: Vec<(&str, i64, bool)> = reported
            .into_iter()
            .flatten()
            .map(|m| (text(m, "/name"), number(m, "/slots"), m["ready"] == true))
            .collect();
        let share = |name: &str| i64::try_from(document.intended(name).len()).unwrap_or(-1);
        let actual: Vec<(&str, i64, bool)> =
            document.members.iter().map(|m| (m.name.as_str(), share(&m.name), true)).collect();
        if reported != actual {
            lacks.push(format!("the status names the members {reported:?} instead of {actual:?}"));
        }
        let shares = document.members.iter().map(|m| document.intended(&m.name).len());
        let (least, most) = (shares.clone().min(), shares.max());
        if most.unwrap_or(0) - least.unwrap_or(0) > 1 {
            lacks.push("the shares are not even".into());
        }
    }

    fn children(&self, cluster: &Value, lacks: &mut Vec<String>) {
        let name = text(cluster, "/metadata/name");
        let nodes_service = format!("{name}-nodes");
        for (kind, name) in
            [("Service", name), ("Service", &nodes_service), ("PodDisruptionBudget", name)]
        {
            if self.child(kind, cluster, name).is_none() {
                lacks.push(format!("{kind} {name} is missing"));
            }
        }
        let service = self.child("Service", cluster, name);
        let ports = service.and_then(|s| s.pointer("/spec/ports")).and_then(Value::as_array);
        let ports: Vec<i64> = ports.into_iter().flatten().map(|p| number(p, "/port")).collect();
        if ports != [6379, 8080] {
            lacks.push(format!("the Service has ports {ports:?}"));
        }
    }
}

fn status(cluster: &Value, lacks: &mut Vec<String>) {
    let generation = number(cluster, "/metadata/generation");
    if number(cluster, "/status/observedGeneration") != generation {
        lacks.push("the status is about another generation".into());
    }
    let scaled = cluster.pointer("/status/autoscaling/nodes").and_then(Value::as_i64);
    let wanted = scaled.unwrap_or_else(|| number(cluster, "/spec/nodes"));
    for path in ["/status/nodes", "/status/readyNodes"] {
        if number(cluster, path) != wanted {
            lacks.push(format!("{path} is {}", number(cluster, path)));
        }
    }
    let is_told = cluster.pointer("/status/autoscaling").is_some();
    if is_told != cluster.pointer("/spec/autoscaling").is_some() {
        lacks.push(format!("autoscaling is told: {is_told}"));
    }
    let step = cluster.pointer("/status/autoscaling/lastStep");
    if step.is_some_and(|step| step.get("measuredHitPercent").is_none()) {
        lacks.push("the last step of autoscaling has not been compared".into());
    }
    if cluster.pointer("/status/operation").is_some() {
        lacks.push("the status names an operation in progress".into());
    }
    let conditions = cluster.pointer("/status/conditions").and_then(Value::as_array);
    for (type_, wanted) in [
        ("Ready", "True"),
        ("Reconciling", "False"),
        ("Stalled", "False"),
        ("RingConverged", "True"),
    ] {
        let condition = conditions.into_iter().flatten().find(|c| c["type"] == type_);
        let holds = condition.is_some_and(|c| {
            c["status"] == wanted && c["observedGeneration"].as_i64() == Some(generation)
        });
        if !holds {
            lacks.push(format!("condition {type_} is not {wanted} of generation {generation}"));
        }
    }
}

fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let references = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    references
        .into_iter()
        .flatten()
        .filter(|reference| reference["kind"] == "CacheCluster")
        .filter_map(|reference| reference["uid"].as_str())
}

/// Whether the cluster is the owner of the object, by uid.
pub(crate) fn owned_by(object: &Value, cluster: &Value) -> bool {
    owners(object).any(|uid| uid == text(cluster, "/metadata/uid"))
}
