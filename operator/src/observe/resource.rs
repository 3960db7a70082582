//! The resource itself, read field by field: a word that a newer schema took, or a newer operator wrote, and this one does not know costs
//! its field and not the cluster.

use kube::Api;
use kube::core::{ApiResource, DynamicObject};
use ringcache_api::{CacheCluster, CacheClusterSpec, Lenient, read_leniently};
use ringcache_operator_core::SpecProblem;
use serde_json::Value;

use super::key;
use crate::nodes::Nodes;
use crate::{Context, Error};

/// A resource as it is stored.
#[derive(Clone, Debug)]
pub struct Resource {
    /// What can be read of it.
    pub cluster: CacheCluster,
    /// Its status, word by word; null if it has none.
    pub status: Value,
    /// What of its spec cannot be read, and why.
    pub unread: Option<SpecProblem>,
}

/// The resource; `None` = it does not exist.
pub async fn resource<N: Nodes>(
    context: &Context<N>,
    namespace: &str,
    name: &str,
) -> Result<Option<Resource>, Error> {
    context.hosts.wait().await;
    let kind = ApiResource::erase::<CacheCluster>(&());
    let clusters: Api<DynamicObject> =
        Api::namespaced_with(context.client.clone(), namespace, &kind);
    let found = clusters.get_opt(name).await?;
    if found.is_none() {
        context.reach.forget(&key(namespace, name));
    }
    Ok(found.map(read))
}

fn read(object: DynamicObject) -> Resource {
    let DynamicObject { metadata, mut data, .. } = object;
    let mut part = |name: &str| data.get_mut(name).map(Value::take).unwrap_or_default();
    let read: Lenient<CacheClusterSpec> = read_leniently(&part("spec"));
    // Whatever it says, it may mean that something is to wait.
    let paused = read.value.paused || read.lacks("paused");
    let spec = CacheClusterSpec { paused, ..read.value };
    let unread = (!read.unread.is_empty()).then(|| {
        let why = read.unread.join("; ");
        let message = format!("the spec cannot be read by this version of the operator: {why}");
        SpecProblem { field: "spec", message }
    });
    let status = part("status");
    let readable = (!status.is_null()).then(|| read_leniently(&status).value);
    Resource { cluster: CacheCluster { metadata, spec, status: readable }, status, unread }
}
