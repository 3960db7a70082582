//! Which namespaces an operator that serves all of them leaves to another one.
//!
//! Two operators for one cluster do no harm, but of two versions each would undo what the other writes. A ConfigMap in the
//! namespace says who serves it. Nothing renews it and no clock decides: it is there for as long as the other operator is installed,
//! because the same chart brings and takes it.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use crate::nodes::Nodes;
use crate::{Context, Error};

/// Name of the ConfigMap.
pub const NAME: &str = "ringcache-operator";
/// Its key for the operator, as `namespace/name`.
pub const KEY: &str = "operator";

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
