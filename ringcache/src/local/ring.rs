//! `ringcache ring` and `ringcache hotkeys`: who owns which slots, and which keys are used much more than others.

use std::process::ExitCode;

use anyhow::Result;
use ringcache_admin_client::AdminClient;
use ringcache_api::admin::NodeHeat;
use ringcache_operator_core::ObservedNode;
use ringcache_show as show;
use tokio::task::JoinSet;

use super::look::{LookArgs, absent};

/// Prints who owns which slots; 2 if there is no cluster.
pub(crate) async fn ring(args: &LookArgs) -> Result<ExitCode> {
    let Some(look) = args.look(&AdminClient::new()).await? else { return Ok(absent()) };
    args.print(|| show::ring::text(&look.observed), || show::ring::json(&look.observed))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the hot keys of all nodes that answer; 2 if there is no cluster, or if no node answers.
pub(crate) async fn hot_keys(args: &LookArgs) -> Result<ExitCode> {
    let admin = AdminClient::new();
    let Some(look) = args.look(&admin).await? else { return Ok(absent()) };
    let names: Vec<String> = look.observed.nodes.iter().map(|node| node.name.clone()).collect();
    let heats = heats(&admin, look.observed.nodes).await;
    let silent = show::hot_keys::silent(&names, &heats).map_err(anyhow::Error::msg)?;
    args.print(|| show::hot_keys::text(&heats, &silent), || show::hot_keys::json(&heats, &silent))?;
    Ok(ExitCode::SUCCESS)
}

/// What clients do at each of the nodes that tell, by their names.
pub(super) async fn heats(
    admin: &AdminClient,
    nodes: Vec<ObservedNode>,
) -> Vec<(String, NodeHeat)> {
    let mut asked = JoinSet::new();
    for node in nodes {
        let admin = admin.clone();
        asked.spawn(async move {
            let heat = admin.heat(&node.host, node.ports.admin).await.ok()?;
            (heat.incarnation.uid() == node.uid).then_some((node.name, heat))
        });
    }
    let mut heats: Vec<(String, NodeHeat)> = asked.join_all().await.into_iter().flatten().collect();
    heats.sort_by(|(one, _), (other, _)| one.cmp(other));
    heats
}
