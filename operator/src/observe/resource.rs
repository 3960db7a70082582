//! The resource itself, read part by part: a word that a newer schema took and this operator does not know makes the spec unreadable, and
//! not the cluster.

use kube::Api;
use kube::core::{ApiResource, DynamicObject};
use ringcache_api::CacheCluster;
use ringcache_api::cluster::{Lenient, read_leniently};
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
    let Lenient { spec, unread } = read_leniently(&part("spec"));
    let unread = (!unread.is_empty()).then(|| {
        let why = unread.join("; ");
        let message = format!("the spec cannot be read by this version of the operator: {why}");
        SpecProblem { field: "spec", message }
    });
    let status = serde_json::from_value(part("status")).unwrap_or_default();
    Resource { cluster: CacheCluster { metadata, spec, status }, unread }
}
