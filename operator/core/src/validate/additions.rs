//! The rules for what a spec adds to its pods.

use std::collections::HashSet;

use ringcache_api::cluster::{
    MAX_ADDITIONS, MAX_ADDITIONS_BYTES, NODE_CONTAINER, OWN_VARIABLES, PodAdditions, message,
};
use serde_json::{Value, json};

use super::Problems;
use super::pod::is_object_name;
use crate::Additions;
use crate::additions::Unreadable;

pub(super) fn additions(problems: &mut Problems, pod: &PodAdditions) {
    let names = [
        ("spec.pod.schedulerName", &pod.scheduler_name),
        ("spec.pod.runtimeClassName", &pod.runtime_class_name),
        ("spec.pod.serviceAccountName", &pod.service_account_name),
    ];
    for (field, name) in names {
        if !name.as_deref().is_none_or(is_object_name) {
            problems.add(field, message::POD_NAMES);
        }
    }
    let lists = [
        ("spec.pod.hostAliases", &pod.host_aliases, "ip"),
        ("spec.pod.env", &pod.env, "name"),
        ("spec.pod.volumes", &pod.volumes, "name"),
        ("spec.pod.volumeMounts", &pod.volume_mounts, "mountPath"),
        ("spec.pod.initContainers", &pod.init_containers, "name"),
        ("spec.pod.containers", &pod.containers, "name"),
    ];
    for (field, list, key) in lists {
        let keys: HashSet<&str> = words(list, key).collect();
        if list.len() > MAX_ADDITIONS || keys.len() < list.len() {
            problems.add(field, message::POD_COUNT);
        }
    }
    if words(&pod.env, "name").any(|name| name.starts_with(OWN_VARIABLES)) {
        problems.add("spec.pod.env", message::POD_ENV_RESERVED);
    }
    for (field, list) in [
        ("spec.pod.initContainers", &pod.init_containers),
        ("spec.pod.containers", &pod.containers),
    ] {
        if words(list, "name").any(|name| name == NODE_CONTAINER) {
            problems.add(field, message::POD_CONTAINERS_RESERVED);
        }
    }
    if json!(pod).to_string().len() > MAX_ADDITIONS_BYTES {
        problems.add("spec.pod", message::POD_BYTES);
    }
    for Unreadable { field, index, why } in Additions::read(pod).1 {
        let name = field.strip_prefix("spec.").unwrap_or(field);
        let index = index.map_or_else(String::new, |index| format!("[{index}]"));
        let message =
            format_args!("`{name}{index}` must be as it is in the spec of a pod, but {why}");
        problems.add(field, message);
    }
}

/// What the entries of a list say under a key.
fn words<'a>(list: &'a [Value], key: &'a str) -> impl Iterator<Item = &'a str> {
    list.iter().filter_map(move |entry| entry.get(key)?.as_str())
}
