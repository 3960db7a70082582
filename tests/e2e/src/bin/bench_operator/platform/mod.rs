//! Everything of a platform that a lab without nodes lacks: hosts, a kubelet, and cache nodes in the pods.

mod admin;
mod cache_nodes;
mod hosts;
mod kubelet;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use kube::Client;
use ringcache_lab::{Lab, output};

use cache_nodes::CacheNodes;

/// Makes the addresses of all pods local to the lab, and starts everything in the background.
pub(crate) async fn start(lab: &Lab, client: &Client) -> Result<()> {
    let mut route = lab.command("ip");
    output(route.args(["route", "add", "local", cache_nodes::ADDRESSES, "dev", "lo"]))
        .context("the addresses of pods")?;
    let nodes = Arc::new(CacheNodes::default());
    admin::start(Arc::clone(&nodes)).await?;
    hosts::start(client).await?;
    tokio::spawn(kubelet::run(client.clone(), nodes));
    Ok(())
}
