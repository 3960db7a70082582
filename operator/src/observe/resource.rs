//! The resource itself, read part by part: a word that a newer schema took and this operator does not know makes the spec unreadable, and
//! not the cluster.

use kube::Api;
use kube::core::{ApiResource, DynamicObject};
use ringcache_api::{CacheCluster, CacheClusterSpec};
use ringcache_operator_core::SpecProblem;
use serde_json::Value;

use super::key;
use crate::nodes::Nodes;
use crate::{Context, Error};

/// A resource as it is stored.
#[derive(Clone, Debug)]
pub struct Resource {
    /// What could be read of it: of a spec that cannot be read, only whether it is paused.
    pub cluster: CacheCluster,
    /// Why its spec cannot be read.
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
    let (spec, status) = (part("spec"), part("status"));
    let is_paused = spec["paused"] == true;
    let (spec, unread) = match serde_json::from_value::<CacheClusterSpec>(spec) {
        Ok(spec) => (spec, None),
        Err(error) => {
            let spec = CacheClusterSpec { paused: is_paused, ..CacheClusterSpec::default() };
            let message =
                format!("the spec cannot be read by this version of the operator: {error}");
            (spec, Some(SpecProblem { field: "spec", message }))
        }
    };
    let status = serde_json::from_value(status).unwrap_or_default();
    Resource { cluster: CacheCluster { metadata, spec, status }, unread }
}
