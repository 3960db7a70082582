//! `ringcache plan`: what another size would take, and what it would do to the hit ratio, without doing it.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use ringcache_admin_client::AdminClient;
use ringcache_operator_core::Cost;
use ringcache_show::plan::Wish;

use super::autoscale::measured;
use super::look::{LookArgs, absent};

/// Flags of `ringcache plan`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    look: LookArgs,
    /// With so many nodes
    #[arg(long, value_name = "NUMBER")]
    nodes: Option<i32>,
    /// With so much memory for each node, such as 512Mi
    #[arg(long, value_name = "QUANTITY")]
    memory: Option<String>,
}

/// Prints what would be done, changing nothing; 2 if there is no cluster, or if the wish is not allowed.
pub(crate) async fn plan(args: &PlanArgs) -> Result<ExitCode> {
    let admin = AdminClient::new();
    let Some(look) = args.look.look(&admin).await? else { return Ok(absent()) };
    let Ok(in_force) = look.in_force else {
        bail!("there is no spec that could be carried out: see `ringcache status`")
    };
    let wish = Wish { nodes: args.nodes, memory: args.memory.clone() };
    let intent = wish.over(&look.cluster, &in_force).map_err(anyhow::Error::msg)?;
    let forecast =
        ringcache_show::plan::forecast(&intent, &look.observed).map_err(anyhow::Error::msg)?;
    let measured = measured(&admin, &look.observed).await;
    let cost = measured.and_then(|measured| Cost::of(&measured, &look.observed, &intent));
    args.look.print(
        || ringcache_show::plan::text(&forecast, cost),
        || ringcache_show::plan::json(&forecast, cost),
    )?;
    Ok(ExitCode::SUCCESS)
}
