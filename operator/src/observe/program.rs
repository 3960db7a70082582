//! What pods were started as, and which image new ones get.

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::Pod;
use ringcache_api::{CacheCluster, CacheClusterSpec};
use ringcache_operator_core::{ObservedNode, Phase, Template};
use serde::de::DeserializeOwned;

use crate::objects::fingerprint::{Fields, fingerprint, fits};
use crate::objects::meta::{FIELDS, TEMPLATE};

/// What a pod was started as, from its own record. Its spec does not tell: admission may have changed it.
///
/// If somebody removed the record, the pod gets a template that no spec asks for: it is rolled like any out-of-date node, which
/// costs a handover and no data. Guessing instead could leave a node in place that is not what the spec says.
///
/// A pod that an operator of another version started may have fields that this one does not know. If it is as `spec` wants it
/// but for these, it gets the fingerprint of `spec`.
pub(crate) fn template(pod: &Pod, spec: &CacheClusterSpec) -> Template {
    let Some(started): Option<Template> = recorded(pod, TEMPLATE) else {
        return Template { memory_bytes: 0, program: String::new(), pod: "unknown".to_owned() };
    };
    let fields: Option<Fields> = recorded(pod, FIELDS);
    if fields.is_some_and(|fields| fits(&fields, spec)) {
        return Template { pod: fingerprint(spec), ..started };
    }
    started
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
