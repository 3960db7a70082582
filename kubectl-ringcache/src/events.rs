//! What was told of a cluster lately.

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client};
use ringcache_api::CacheCluster;
use ringcache_show::why::Told;

/// The events about the cluster, the oldest first. Kubernetes keeps them for an hour, unless it is told otherwise.
pub(crate) async fn events(
    client: Client,
    namespace: &str,
    cluster: &CacheCluster,
) -> Result<Vec<Told>, kube::Error> {
    let events: Api<Event> = Api::namespaced(client, namespace);
    let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
    let about = ListParams::default().fields(&format!("regarding.uid={uid}"));
    let listed = events.list(&about).await?;
    let mut told: Vec<_> = listed
        .items
        .into_iter()
        .map(|event| (event.event_time.as_ref().map(|time| time.0), event))
        .collect();
    told.sort_by_key(|(time, _)| *time);
    let told = told.into_iter().map(|(time, event)| Told {
        at: time.map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default(),
        type_: event.type_.unwrap_or_default(),
        reason: event.reason.unwrap_or_default(),
        note: event.note.unwrap_or_default(),
    });
    Ok(told.collect())
}
