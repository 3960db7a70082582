//! Whether a cluster is `Ready` all the time, and nothing is warned of: what an alert or `kubectl wait` would see.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::runtime::watcher::Config;
use ringcache_api::CacheCluster;
use ringcache_api::status::condition;

use crate::Cluster;
use crate::history::History;

/// Follows a cluster that is `Ready` now.
pub struct Readiness {
    clusters: History<CacheCluster>,
    warnings: History<Event>,
}

impl Readiness {
    /// Begins to follow it.
    pub fn of(cluster: Cluster<'_>) -> Result<Self> {
        let (namespace, world) = (cluster.namespace().name(), cluster.namespace().world());
        let named = Config::default().fields(&format!("metadata.name={}", cluster.name()));
        let about = format!(
            "type=Warning,involvedObject.kind=CacheCluster,involvedObject.name={}",
            cluster.name()
        );
        let client = || world.client.clone();
        Ok(Self {
            clusters: History::begin(world, Api::namespaced(client(), namespace), named)?,
            warnings: History::begin(
                world,
                Api::namespaced(client(), namespace),
                Config::default().fields(&about),
            )?,
        })
    }

    /// An error unless it was `Ready` in each status that was written, and no event was a warning about it.
    pub fn never_failed(&self) -> Result<()> {
        let versions = self.clusters.take()?;
        let mut not_ready = Vec::new();
        for (_, cluster) in &versions {
            let conditions = cluster.status.iter().flat_map(|status| &status.conditions);
            let ready = conditions.into_iter().find(|found| found.type_ == condition::READY);
            if ready.is_none_or(|ready| ready.status != "True") {
                not_ready.push(ready.cloned());
            }
        }
        println!("{} versions of the resource were seen", versions.len());
        ensure!(not_ready.is_empty(), "not Ready: {not_ready:#?}");
        let warnings = self.warnings.take()?;
        let warnings: Vec<_> =
            warnings.iter().map(|(_, event)| (&event.reason, &event.message)).collect();
        ensure!(warnings.is_empty(), "{warnings:#?}");
        Ok(())
    }
}
