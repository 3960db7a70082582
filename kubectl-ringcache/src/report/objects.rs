//! What the API server knows of a cluster. Secrets are not asked for.

use anyhow::{Result, bail};
use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, ResourceExt};
use ringcache_api::{CacheCluster, CacheClusterSpec};
use ringcache_operator::objects::{meta, ring};
use ringcache_operator::observe::ASKED_AT_ONCE;
use ringcache_operator_core::status::CLUSTER_LABEL;
use serde_json::json;

use super::{Content, Part, asked};
use crate::look::absent;
use crate::proxy::Proxy;

/// Most events about one object.
const MAX_EVENTS: u32 = 500;

/// What there is.
pub(super) struct Found {
    pub(super) parts: Vec<Part>,
    pub(super) pods: Vec<Pod>,
}

/// The resource, its ring, its pods, and what was told of them.
pub(super) async fn read(proxy: &Proxy, name: &str) -> Result<Found> {
    let mut parts = Vec::new();
    let mut cluster = CacheCluster::new(name, CacheClusterSpec::default());
    let kind = ApiResource::erase::<CacheCluster>(&());
    let clusters: Api<DynamicObject> =
        Api::namespaced_with(proxy.client(), proxy.namespace(), &kind);
    parts.push(match asked(clusters.get_opt(name)).await {
        Ok(None) => bail!(absent(proxy.namespace(), name)),
        Ok(Some(found)) => {
            cluster.metadata.uid.clone_from(&found.metadata.uid);
            Part::object("cluster.yaml", "the CacheCluster", json!(found))
        }
        Err(why) => Part::missing("the CacheCluster and the events about it", why),
    });
    parts.push(ring_of(proxy, &cluster).await);
    let pods = match pods(proxy, &cluster).await {
        Ok(pods) => pods,
        Err(why) => {
            parts.push(Part::missing("pods, what they say, and the events about them", why));
            Vec::new()
        }
    };
    for pod in &pods {
        let name = pod.name_any();
        parts.push(Part::object(format!("pods/{name}.yaml"), "a pod", json!(pod)));
    }
    let about = pods.iter().map(|pod| &pod.metadata).chain([&cluster.metadata]);
    let uids: Vec<&str> = about.filter_map(|metadata| metadata.uid.as_deref()).collect();
    parts.extend(events(proxy, &uids).await);
    Ok(Found { parts, pods })
}

/// Of a cluster that could not be read by its name, which is all that is known.
fn is_of(cluster: &CacheCluster, metadata: &ObjectMeta) -> bool {
    match cluster.metadata.uid {
        Some(_) => meta::is_owned(metadata, cluster),
        None => meta::is_of_predecessor(metadata, cluster),
    }
}

/// Something of somebody else may have the name: what it holds is none of anybody's business.
async fn ring_of(proxy: &Proxy, cluster: &CacheCluster) -> Part {
    let rings: Api<ConfigMap> = Api::namespaced(proxy.client(), proxy.namespace());
    let what = "the ring ConfigMap";
    match asked(rings.get_opt(&ring::name(cluster))).await {
        Ok(Some(found)) if is_of(cluster, &found.metadata) || ring::is_ours(cluster, &found) => {
            Part::object("ring.yaml", what, json!(found))
        }
        Ok(Some(_)) => Part::missing(what, "it belongs to somebody else"),
        Ok(None) => Part::missing(what, "there is none"),
        Err(why) => Part::missing(what, why),
    }
}

async fn pods(proxy: &Proxy, cluster: &CacheCluster) -> Result<Vec<Pod>, String> {
    let pods: Api<Pod> = Api::namespaced(proxy.client(), proxy.namespace());
    let selector = format!("{CLUSTER_LABEL}={}", cluster.name_any());
    let listed = asked(pods.list(&ListParams::default().labels(&selector))).await?;
    let mut pods = listed.items;
    pods.retain(|pod| is_of(cluster, &pod.metadata));
    pods.sort_by_key(ResourceExt::name_any);
    Ok(pods)
}

/// What was told of the objects with these uids, the newest first: the end is cut off where there are many.
async fn events(proxy: &Proxy, uids: &[&str]) -> Vec<Part> {
    if uids.is_empty() {
        return vec![Part::missing("events", "it is not known about which objects")];
    }
    let events: Api<Event> = Api::namespaced(proxy.client(), proxy.namespace());
    let about = async |uid: &&str| {
        let about = ListParams::default().fields(&format!("regarding.uid={uid}"));
        asked(events.list(&about.limit(MAX_EVENTS))).await
    };
    let told: Vec<_> = stream::iter(uids).map(about).buffered(ASKED_AT_ONCE).collect().await;
    let (mut all, mut is_cut, mut refused) = (Vec::new(), false, None);
    for listed in told {
        match listed {
            Ok(listed) => {
                is_cut |= listed.metadata.continue_.is_some_and(|more| !more.is_empty());
                all.extend(listed.items);
            }
            Err(why) => refused = Some(why),
        }
    }
    let mut parts = Vec::new();
    if refused.is_none() || !all.is_empty() {
        all.sort_by_key(|event| std::cmp::Reverse(last_seen(event)));
        let (path, content) = ("events.yaml".to_owned(), Content::Object(json!({ "items": all })));
        parts.push(Part::File { path, what: "events, the newest first".into(), content, is_cut });
    }
    parts.extend(refused.map(|why| Part::missing("events, at least some of them", why)));
    parts
}

/// When it happened last: an event that happens again stays one.
fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().map(|series| series.last_observed_time.0);
    let last = series.or(event.deprecated_last_timestamp.as_ref().map(|time| time.0));
    let last = last.or(event.event_time.as_ref().map(|time| time.0));
    last.or(event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}
