//! The stock cluster client, as both loads use it.

use std::time::Duration;

use anyhow::{Context, Result};
use redis::cluster::ClusterClient;

/// An operation that takes longer counts as failed: a client that waits for ever checks nothing.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A stock cluster client with its own defaults, but a bound for each operation.
pub(crate) fn client(seeds: &[String]) -> Result<ClusterClient> {
    ClusterClient::builder(seeds.iter().map(|seed| format!("redis://{seed}")))
        .response_timeout(RESPONSE_TIMEOUT)
        .build()
        .with_context(|| format!("--seeds {}", seeds.join(",")))
}

/// What is wrong when the first connection fails.
pub(crate) fn no_cluster(seeds: &[String]) -> String {
    let seeds = seeds.join(",");
    format!("no cluster answers at {seeds}: is it up, and is this its Redis port?")
}
