//! Which namespaces an operator that serves all of them leaves to another one.
//!
//! Two operators for one cluster do no harm, but of two versions each would undo what the other writes. A ConfigMap in the
//! namespace says who serves it. Nothing renews it and no clock decides: it is there for as long as the other operator is installed,
//! because the same chart brings and takes it.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Resource as _};
use tracing::info;

use crate::events::{EventReason, Notice};
use crate::memory::{Key, Memory, Notes};
use crate::nodes::Nodes;
use crate::observe::resource;
use crate::{Context, Error};

/// Name of the ConfigMap.
pub const NAME: &str = "ringcache-operator";
/// Its key for the operator, as `namespace/name`.
pub const KEY: &str = "operator";

/// How long the other operator has to look at what is new, at first and after each edit.
const OTHERS_TURN: Duration = Duration::from_mins(2);

/// Says in the log who looks after the cluster instead; and in an event if that one does not, or nobody would learn why the cluster has no
/// status. Otherwise an event would be one more for the cluster's owner to wonder about. For how long the other one still has its turn.
pub(crate) async fn leave<N: Nodes>(
    context: &Context<N>,
    memory: &Memory,
    key: &Key,
    other: &str,
) -> Result<Option<Duration>, Error> {
    let Key { namespace, name } = key;
    if memory.of(key, |notes| notes.is_news(other)) {
        info!(namespace, name, other, "left to another operator");
    }
    let Some(found) = resource(context, namespace, name).await? else { return Ok(None) };
    let cluster = found.cluster;
    let seen = cluster.status.as_ref().map(|status| status.observed_generation);
    let unseen = cluster.metadata.generation.filter(|generation| seen != Some(*generation));
    let Some(generation) = unseen else {
        memory.of(key, Notes::is_looked_after);
        return Ok(None);
    };
    let owed_for = memory.of(key, |notes| notes.owed_for(generation));
    let rest = OTHERS_TURN.checked_sub(owed_for).filter(|rest| !rest.is_zero());
    if rest.is_some() {
        return Ok(rest);
    }
    let note = neglected(namespace, other);
    if memory.of(key, |notes| notes.is_news(&note)) {
        let notice = Notice::new(EventReason::LeftToOther, note);
        context.events.tell(&cluster.object_ref(&()), notice);
    }
    Ok(None)
}

/// Why nobody looks after a cluster that is left to `other`.
fn neglected(namespace: &str, other: &str) -> String {
    format!(
        "ConfigMap {namespace}/{NAME} leaves the clusters of this namespace to the operator {other}, which has not looked at this one. \
         Start that one; or, if it is not installed any more: kubectl --namespace {namespace} delete configmap {NAME}"
    )
}

/// The operator that the namespace is left to. Whoever was told to serve the namespace by its name leaves it to nobody.
pub async fn left_to<N: Nodes>(
    context: &Context<N>,
    namespace: &str,
) -> Result<Option<String>, Error> {
    if !context.config.namespaces.is_empty() {
        return Ok(None);
    }
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), namespace);
    let claim = maps.get_opt(NAME).await?;
    Ok(claim.and_then(|claim| claim.data?.remove(KEY)))
}
