//! What pods were started as, and which image new ones get.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use ringcache_api::cluster::Resources;
use ringcache_api::{CacheCluster, CacheClusterSpec};
use ringcache_operator_core::quantity::{is_one_amount, nano_cpus};
use ringcache_operator_core::{ObservedNode, Phase, Template};
use serde::de::DeserializeOwned;

use crate::objects::fingerprint::{CPU_LIMIT, CPU_REQUEST, Fields, fingerprint, fits};
use crate::objects::meta::{FIELDS, TEMPLATE};
use crate::objects::pod::CONTAINER;

/// What a pod was started as, from its own record. Its spec does not tell: admission may have changed it.
///
/// If somebody removed the record, the pod gets a template that no spec asks for: it is rolled like any out-of-date node, which
/// costs a handover and no data. Guessing instead could leave a node in place that is not what the spec says.
///
/// What it may use of a CPU is the exception: whatever was asked for, and in which words, it has what its spec says.
///
/// A pod that an operator of another version started may have fields that this one does not know. If it is as `spec` wants it
/// but for these, it gets the fingerprint of `spec`.
pub(crate) fn template(pod: &Pod, spec: &CacheClusterSpec) -> Template {
    let Some(started): Option<Template> = recorded(pod, TEMPLATE) else {
        return Template { memory_bytes: 0, program: String::new(), pod: "unknown".to_owned() };
    };
    let fields: Option<Fields> = recorded(pod, FIELDS);
    if fields.is_some_and(|fields| fits(&fields, spec, &as_wanted(pod, &spec.resources))) {
        return Template { pod: fingerprint(spec), ..started };
    }
    started
}

/// The fields about resources of which the pod has what is wanted.
fn as_wanted(pod: &Pod, wanted: &Resources) -> Vec<&'static str> {
    let mut containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let container = containers.find(|container| container.name == CONTAINER);
    let has = container.and_then(|container| container.resources.as_ref());
    let cpu = |amounts: Option<&BTreeMap<String, Quantity>>| amounts?.get("cpu").cloned();
    let request = cpu(has.and_then(|has| has.requests.as_ref()));
    let limit = cpu(has.and_then(|has| has.limits.as_ref()));
    let is_one = |one: Option<Quantity>, other: Option<&Quantity>| match (one, other) {
        (Some(one), Some(other)) => is_one_amount(&one, other, nano_cpus),
        (one, other) => one.is_none() && other.is_none(),
    };
    let fields = [
        (is_one(request, Some(&wanted.cpu_request)), CPU_REQUEST),
        (is_one(limit, wanted.cpu_limit.as_ref()), CPU_LIMIT),
    ];
    fields.into_iter().filter_map(|(is_as_wanted, field)| is_as_wanted.then_some(field)).collect()
}

fn recorded<T: DeserializeOwned>(pod: &Pod, annotation: &str) -> Option<T> {
    let text = pod.metadata.annotations.as_ref()?.get(annotation)?;
    serde_json::from_str(text).ok()
}

/// The image of new nodes. Where the spec names none it is the one that most nodes run already, and the operator's own
/// choice only for a cluster without nodes: a new operator, with a new choice, restarts nothing. An image that has never run
/// may be the mistake that was just taken out of the spec.
pub(super) fn wanted(cluster: &CacheCluster, nodes: &[ObservedNode], default: &str) -> String {
    if let Some(image) = &cluster.spec.image {
        return image.clone();
    }
    let most = |candidates: &[&ObservedNode]| {
        let count = |image: &str| candidates.iter().filter(|n| n.template.program == image).count();
        let first = candidates.iter().min_by_key(|node| {
            (Reverse(count(&node.template.program)), number(&node.name), &node.name)
        });
        first.map(|node| node.template.program.clone())
    };
    let has_run =
        |node: &&ObservedNode| node.phase != Phase::Pending && !node.template.program.is_empty();
    let known: Vec<_> = nodes.iter().filter(has_run).collect();
    let staying: Vec<_> = known.iter().copied().filter(|node| node.phase.is_up()).collect();
    most(&staying).or_else(|| most(&known)).unwrap_or_else(|| default.to_owned())
}

/// The number in `<cluster>-<n>`.
fn number(name: &str) -> u64 {
    name.rsplit_once('-').and_then(|(_, n)| n.parse().ok()).unwrap_or(u64::MAX)
}
