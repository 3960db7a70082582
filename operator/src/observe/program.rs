//! What pods were started as, and which image new ones get.

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::Pod;
use ringcache_api::CacheCluster;
use ringcache_operator_core::{ObservedNode, Phase, Template};

use crate::objects::meta::TEMPLATE;

/// What a pod was started as, from its own record. Its spec does not tell: admission may have changed it.
///
/// If somebody removed the record, the pod gets a template that no spec asks for: it is rolled like any out-of-date node, which
/// costs a handover and no data. Guessing instead could leave a node in place that is not what the spec says.
pub(super) fn template(pod: &Pod) -> Template {
    let text = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(TEMPLATE));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| Template {
        memory_bytes: 0,
        program: String::new(),
        pod: "unknown".to_owned(),
    })
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
