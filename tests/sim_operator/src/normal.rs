//! The end state of a run in a form in which two runs can be compared: what may rightly differ is masked.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What two good runs may differ in: kind (`*` = all), path (`*` = all items), and why.
const MASKS: [(&str, &str, &str); 23] = [
    ("*", "/metadata/resourceVersion", "counts the writes of everybody"),
    ("*", "/metadata/creationTimestamp", "time"),
    ("*", "/metadata/managedFields", "times; who owns which field shows in what is applied"),
    ("Pod", "/spec/nodeName", "the scheduler's choice"),
    (
        "Pod",
        "/metadata/annotations/ringcache.dev~1failures",
        "how many had failed in its place: who ends by itself depends on time",
    ),
    ("Pod", "/status/podIP", "drawn by the platform"),
    ("Pod", "/status/podIPs", "drawn by the platform"),
    ("Pod", "/status/hostIP", "the scheduler's choice"),
    ("Pod", "/status/startTime", "time"),
    ("Pod", "/status/conditions/*/lastTransitionTime", "time"),
    ("Pod", "/status/containerStatuses/*/state/running/startedAt", "time"),
    ("Pod", "/status/containerStatuses/*/containerID", "drawn by the platform"),
    ("PodDisruptionBudget", "/metadata/generation", "follows the nodes: counts the steps taken"),
    ("PodDisruptionBudget", "/status/observedGeneration", "counts the steps taken"),
    ("PodDisruptionBudget", "/status/conditions/*/observedGeneration", "counts the steps taken"),
    ("PodDisruptionBudget", "/status/conditions/*/lastTransitionTime", "time"),
    ("CacheCluster", "/status/ring/epoch", "counts documents: a retry may need one more"),
    ("CacheCluster", "/status/ring/checksum", "covers the epoch and the addresses"),
    ("CacheCluster", "/status/conditions/*/lastTransitionTime", "time"),
    (
        "CacheCluster",
        "/status/autoscaling/lastStep",
        "how far it is compared, and when it was taken",
    ),
    (
        "ConfigMap",
        "/metadata/annotations/ringcache.dev~1autoscaling",
        "the same; the nodes are counted",
    ),
    (
        "CacheCluster",
        "/status/members/*/slots",
        "who has the odd slot; the sizes are compared as a set",
    ),
    ("ConfigMap", "/data/ring.json", "compared as members, states and sizes of shares"),
];

/// Kinds that are no part of the end state: hosts belong to the platform, events are told and forgotten.
const NOT_COMPARED: [&str; 3] = ["Event", "Node", "CustomResourceDefinition"];

/// Objects by kind, namespace and name, with masks applied, uids and pod names replaced by what they stand for.
pub(crate) fn normalise(objects: &[Value]) -> BTreeMap<String, Value> {
    let words = Words::of(objects);
    let compared = objects.iter().filter(|o| !NOT_COMPARED.iter().any(|kind| o["kind"] == *kind));
    compared
        .map(|object| {
            let mut object = with_ring(object);
            mask_all(&mut object);
            mask_address(&mut object);
            mask_deletion(&mut object);
            mask_loss(&mut object);
            words.replace(&mut object);
            let at = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
            let key = [at("/kind"), at("/metadata/namespace"), at("/metadata/name")].join("/");
            (key, object)
        })
        .collect()
}

/// The first differences of two end states, a line each.
pub(crate) fn differences(
    expected: &BTreeMap<String, Value>,
    found: &BTreeMap<String, Value>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for key in expected.keys().filter(|key| !found.contains_key(*key)) {
        lines.push(format!("{key} is missing"));
    }
    for (key, object) in found {
        match expected.get(key) {
            None => lines.push(format!("{key} is there besides")),
            Some(wanted) => differ(key, wanted, object, &mut lines),
        }
    }
    lines.truncate(12);
    lines
}

fn differ(path: &str, wanted: &Value, found: &Value, lines: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let (a, b) =
                    (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                differ(&format!("{path}/{key}"), a, b, lines);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{path}/{i}"), a, b, lines);
            }
        }
        (a, b) if a == b => {}
        (a, b) => lines.push(format!("{path}: {b} instead of {a}")),
    }
}

/// A ring document reduced to what must be equal: who takes part, in which state, and how large the shares are.
fn with_ring(object: &Value) -> Value {
    let mut object = object.clone();
    let text = object.pointer("/data/ring.json").and_then(Value::as_str);
    let Some(ring) = text.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return object;
    };
    let members = ring["members"].as_array().cloned().unwrap_or_default();
    let mut shares: BTreeMap<String, u64> = BTreeMap::new();
    for range in ring["slots"].as_array().into_iter().flatten() {
        let owner = range["owner"].as_str().unwrap_or_default().to_owned();
        let bound = |i: usize| range["range"][i].as_u64().unwrap_or_default();
        *shares.entry(owner).or_default() += bound(1) + 1 - bound(0);
    }
    let mut sizes: Vec<u64> = shares.into_values().collect();
    sizes.sort_unstable();
    let members: Vec<Value> =
        members.iter().map(|m| json!([m["name"], m["state"], m["ports"]])).collect();
    object["ring"] = json!({
        "version": ring["version"], "cluster": ring["cluster"], "hash": ring["hash"],
        "members": members, "sizes": sizes,
    });
    object
}

fn mask_all(object: &mut Value) {
    let kind = object["kind"].clone();
    for (of, path, _why) in MASKS {
        if of == "*" || kind == of {
            let segments: Vec<String> =
                path.split('/').skip(1).map(|segment| segment.replace("~1", "/")).collect();
            mask(object, &segments);
        }
    }
}

/// A Service's address is drawn by the platform; that it wants none is a decision.
fn mask_address(object: &mut Value) {
    let spec = &object["spec"];
    if object["kind"] == "Service" && spec["clusterIP"] != "None" {
        object["spec"]["clusterIPs"] = json!(["<address>"]);
        object["spec"]["clusterIP"] = "<address>".into();
    }
}

/// When it was deleted is a matter of time; that it was is not.
fn mask_deletion(object: &mut Value) {
    if let Some(time) = object.pointer_mut("/metadata/deletionTimestamp") {
        *time = "<time>".into();
    }
}

/// What is known of lost entries, and when they were found lost, does not outlive an operator; that the nodes are gone is in the ring.
fn mask_loss(object: &mut Value) {
    if let Some(annotations) =
        object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        annotations.remove("ringcache.dev/lost");
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("lostEntries");
    }
    if let Some(conditions) = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut)
    {
        conditions.retain(|condition| condition["type"] != "EntriesLost");
    }
}

fn mask(value: &mut Value, path: &[String]) {
    let [first, rest @ ..] = path else { return };
    match value {
        Value::Object(map) if rest.is_empty() => {
            map.remove(first);
        }
        Value::Object(map) => {
            if let Some(inner) = map.get_mut(first) {
                mask(inner, rest);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, rest)),
        _ => {}
    }
}

/// What stands for something else: uids for their objects, pod names for their place among the pods (a replacement takes
/// whatever number is free).
struct Words {
    uids: BTreeMap<String, String>,
    pods: Vec<(String, String)>,
}

impl Words {
    fn of(objects: &[Value]) -> Self {
        let mut words = Self { uids: BTreeMap::new(), pods: Vec::new() };
        let mut pods: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for object in objects {
            let at = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
            let (kind, name) = (at("/kind"), at("/metadata/name"));
            words.uids.insert(at("/metadata/uid").to_owned(), format!("<uid of a {kind}>"));
            if kind == "Pod" {
                pods.entry(at("/metadata/namespace").to_owned()).or_default().push(name.to_owned());
            }
        }
        for names in pods.values_mut() {
            names.sort();
            let place = |(i, name): (usize, &String)| (name.clone(), format!("<pod {i}>"));
            words.pods.extend(names.iter().enumerate().map(place));
        }
        words
    }

    fn replace(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(word) = self.uids.get(text) {
                    word.clone_into(text);
                }
                if let Some((_, word)) = self.pods.iter().find(|(name, _)| name == text) {
                    word.clone_into(text);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.replace(item)),
            _ => {}
        }
    }
}
