//! What a spec adds to the pods of its nodes.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use ringcache_api::cluster::{DnsPolicy, PodAdditions};
use ringcache_operator_core::Additions;

use super::pod::some;

/// The pod's spec with the additions in it. `node` is the container of the cache node.
///
/// Nothing that the operator sets is changed: of a variable that has the name of one of ours the last would win, so that specs with
/// such names are refused.
pub(super) fn with_additions(spec: PodSpec, node: Container, pod: &PodAdditions) -> PodSpec {
    let Additions {
        affinity,
        dns_config,
        host_aliases,
        env,
        volumes,
        volume_mounts,
        init_containers,
        containers,
    } = Additions::of(pod);
    let dns_policy = pod.dns_policy.map(|policy| match policy {
        DnsPolicy::ClusterFirst => "ClusterFirst",
        DnsPolicy::ClusterFirstWithHostNet => "ClusterFirstWithHostNet",
        DnsPolicy::Default => "Default",
        DnsPolicy::None => "None",
    });
    let node = Container {
        // Ours first: what is added may refer to them.
        env: Some(node.env.into_iter().flatten().chain(env).collect()),
        volume_mounts: some(volume_mounts),
        ..node
    };
    PodSpec {
        affinity,
        scheduler_name: pod.scheduler_name.clone(),
        runtime_class_name: pod.runtime_class_name.clone(),
        service_account_name: pod.service_account_name.clone(),
        dns_policy: dns_policy.map(str::to_owned),
        dns_config,
        host_aliases: some(host_aliases),
        volumes: some(volumes),
        init_containers: some(init_containers),
        containers: std::iter::once(node).chain(containers).collect(),
        ..spec
    }
}
