//! The rules for what the nodes run as in Kubernetes.

use std::collections::HashSet;

use ringcache_api::cluster::{
    Inherit, MAX_ENTRIES, MAX_IMAGE_BYTES, MAX_KEY_BYTES, MAX_OBJECT_NAME_BYTES, MAX_PULL_SECRETS,
    MAX_QUANTITY_BYTES, MAX_TOLERATION_SECONDS, MAX_VALUE_BYTES, Resources, Scheduling,
    TaintEffect, Toleration, TolerationOperator, message,
};

use super::Problems;
use crate::quantity;

/// Least CPU of a node: a thousandth.
const MIN_NANO_CPUS: u64 = 1_000_000;
/// Most CPU of a node.
const MAX_NANO_CPUS: u64 = 1_024_000_000_000;
/// Domains whose keys Kubernetes and this operator decide by.
const RESERVED: [&str; 3] = ["ringcache.dev", "kubernetes.io", "k8s.io"];

pub(super) fn image(problems: &mut Problems, image: Option<&str>, pull_secrets: &[String]) {
    let is_image = |text: &str| {
        (1..=MAX_IMAGE_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    if !image.is_none_or(is_image) {
        problems.add("spec.image", message::IMAGE);
    }
    let field = "spec.imagePullSecretNames";
    if pull_secrets.len() > MAX_PULL_SECRETS || !is_set(pull_secrets) {
        problems.add(field, message::PULL_SECRET_COUNT);
    }
    if !pull_secrets.iter().all(|name| is_object_name(name)) {
        problems.add(field, message::PULL_SECRET_NAMES);
    }
}

pub(super) fn resources(problems: &mut Problems, resources: &Resources) {
    let Resources { cpu_request, cpu_limit } = resources;
    let cpus = |text: &k8s_openapi::apimachinery::pkg::api::resource::Quantity| {
        quantity::nano_cpus(text).filter(|_| text.0.len() <= MAX_QUANTITY_BYTES)
    };
    let request = cpus(cpu_request);
    match request {
        None => problems.add("spec.resources.cpuRequest", message::CPU_REQUEST_QUANTITY),
        Some(MIN_NANO_CPUS..=MAX_NANO_CPUS) => {}
        Some(_) => problems.add("spec.resources.cpuRequest", message::CPU_REQUEST_RANGE),
    }
    match cpu_limit.as_ref().map(cpus) {
        None => {}
        Some(None) => problems.add("spec.resources.cpuLimit", message::CPU_LIMIT_QUANTITY),
        Some(Some(limit)) => {
            if limit > MAX_NANO_CPUS {
                problems.add("spec.resources.cpuLimit", message::CPU_LIMIT_MAX);
            }
            if request.is_some_and(|request| request > limit) {
                problems.add("spec.resources", message::CPU_LIMIT_BELOW_REQUEST);
            }
        }
    }
}

pub(super) fn scheduling(problems: &mut Problems, scheduling: &Scheduling) {
    let Scheduling {
        node_selector,
        tolerations,
        zone_spread: _,
        host_spread: _,
        priority_class_name,
    } = scheduling;
    let field = "spec.scheduling.nodeSelector";
    if node_selector.len() > MAX_ENTRIES {
        problems.add(field, message::NODE_SELECTOR_COUNT);
    }
    if !node_selector.iter().all(|(key, value)| is_key(key) && is_value(value)) {
        problems.add(field, message::NODE_SELECTOR_FORM);
    }
    if tolerations.len() > MAX_ENTRIES {
        problems.add("spec.scheduling.tolerations", message::TOLERATION_COUNT);
    }
    for toleration in tolerations {
        self::toleration(problems, toleration);
    }
    if !priority_class_name.as_deref().is_none_or(is_object_name) {
        problems.add("spec.scheduling.priorityClassName", message::PRIORITY_CLASS_NAME);
    }
}

fn toleration(problems: &mut Problems, toleration: &Toleration) {
    let Toleration { key, operator, value, effect, toleration_seconds } = toleration;
    let mut refuse = |message| problems.add("spec.scheduling.tolerations", message);
    if key.is_none() && *operator != TolerationOperator::Exists {
        refuse(message::TOLERATION_KEY);
    }
    if !key.as_deref().is_none_or(is_key) {
        refuse(message::TOLERATION_KEY_FORM);
    }
    if value.is_some() && *operator != TolerationOperator::Equal {
        refuse(message::TOLERATION_VALUE);
    }
    if !value.as_deref().is_none_or(is_value) {
        refuse(message::TOLERATION_VALUE_FORM);
    }
    if toleration_seconds.is_some() && *effect != Some(TaintEffect::NoExecute) {
        refuse(message::TOLERATION_SECONDS);
    }
    if !toleration_seconds.is_none_or(|s| (0..=MAX_TOLERATION_SECONDS).contains(&s)) {
        refuse(message::TOLERATION_SECONDS_RANGE);
    }
}

pub(super) fn inherit(problems: &mut Problems, inherit: &Inherit) {
    let Inherit { labels, annotations } = inherit;
    let of_labels = [
        message::INHERIT_LABELS_COUNT,
        message::INHERIT_LABELS_FORM,
        message::INHERIT_LABELS_RESERVED,
    ];
    let of_annotations = [
        message::INHERIT_ANNOTATIONS_COUNT,
        message::INHERIT_ANNOTATIONS_FORM,
        message::INHERIT_ANNOTATIONS_RESERVED,
    ];
    let lists = [
        ("spec.inherit.labels", labels, of_labels),
        ("spec.inherit.annotations", annotations, of_annotations),
    ];
    for (field, keys, [count, form, reserved]) in lists {
        if keys.len() > MAX_ENTRIES || !is_set(keys) {
            problems.add(field, count);
        }
        if !keys.iter().all(|key| is_key(key)) {
            problems.add(field, form);
        }
        if keys.iter().any(|key| is_reserved(key)) {
            problems.add(field, reserved);
        }
    }
}

fn is_set(items: &[String]) -> bool {
    items.iter().collect::<HashSet<_>>().len() == items.len()
}

fn is_reserved(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else { return false };
    RESERVED.iter().any(|reserved| {
        domain.strip_suffix(reserved).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// A DNS subdomain: labels of lower-case letters, digits and inner `-`, with points between them.
pub(super) fn is_object_name(name: &str) -> bool {
    name.len() <= MAX_OBJECT_NAME_BYTES && is_subdomain(name)
}

fn is_subdomain(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.split('.').all(|label| is_word(label, inner))
}

/// A key of a label, an annotation or a taint: a name, perhaps with a domain and `/` before it.
pub(super) fn is_key(key: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or((None, key), |(d, name)| (Some(d), name));
    key.len() <= MAX_KEY_BYTES
        && domain.is_none_or(is_subdomain)
        && name.len() <= MAX_VALUE_BYTES
        && is_word(name, is_inner)
}

fn is_value(value: &str) -> bool {
    value.is_empty() || (value.len() <= MAX_VALUE_BYTES && is_word(value, is_inner))
}

fn is_inner(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

/// Not empty, made of `inner` bytes, with a letter or a digit at both ends.
fn is_word(text: &str, inner: impl Fn(u8) -> bool) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.iter().all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric())) && text.bytes().all(inner)
}
