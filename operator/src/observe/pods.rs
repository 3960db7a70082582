//! Which pods are this cluster's: all of them, or nothing can be said about who is gone.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use ringcache_api::{CacheCluster, Document};
use ringcache_operator_core::status::CLUSTER_LABEL;

use crate::Error;
use crate::objects::meta;

/// Every pod of the cluster. `document` must have been read before: its members must have had the time to be here.
pub(super) async fn read(
    api: &Api<Pod>,
    cluster: &CacheCluster,
    document: Option<&Document>,
) -> Result<Vec<Pod>, Error> {
    let selector = format!("{CLUSTER_LABEL}={}", cluster.name_any());
    // No resourceVersion: a list from a cache may lack a pod that is already a member, which would be taken for dead.
    let listed = api.list(&ListParams::default().labels(&selector)).await?;
    let mut pods: Vec<Pod> =
        listed.items.into_iter().filter(|pod| is_ours(cluster, document, pod)).collect();
    for member in document.iter().flat_map(|document| &document.members) {
        if pods.iter().any(|pod| pod.metadata.uid.as_deref() == Some(member.uid.uid())) {
            continue;
        }
        // Not listed is no proof: somebody may have taken the label away. Only "not found" or another uid is.
        let found = api.get_opt(&member.name).await?;
        let same = found.filter(|pod| pod.metadata.uid.as_deref() == Some(member.uid.uid()));
        pods.extend(same);
    }
    pods.sort_by_key(ResourceExt::name_any);
    Ok(pods)
}

/// Owned by exactly this cluster; or a member of its ring that somebody took the owner away from. Pods of an earlier cluster
/// of the same name, and of anybody else who uses our label, are not ours to judge or to touch.
pub(crate) fn is_ours(cluster: &CacheCluster, document: Option<&Document>, pod: &Pod) -> bool {
    let uid = pod.metadata.uid.as_deref();
    let mut members = document.into_iter().flat_map(|document| &document.members);
    meta::is_owned(&pod.metadata, cluster)
        || meta::is_orphan(&pod.metadata) && members.any(|member| Some(member.uid.uid()) == uid)
}
