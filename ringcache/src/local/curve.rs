//! `ringcache curve`: which part of the reads would be hits with another number of nodes.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use ringcache_admin_client::AdminClient;
use ringcache_show::curve::Sizes;

use super::autoscale::measured;
use super::look::{LookArgs, absent};
use crate::output;

/// Flags of `ringcache curve`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CurveArgs {
    #[command(flatten)]
    look: LookArgs,
    /// A picture (SVG) instead of text for people
    #[arg(long, conflicts_with = "json")]
    svg: bool,
}

/// Prints the curve of a local cluster; 2 if there is none, or if nothing was read.
pub(crate) async fn curve(args: &CurveArgs) -> Result<ExitCode> {
    let admin = AdminClient::new();
    let Some(look) = args.look.look(&admin).await? else { return Ok(absent()) };
    let measured = measured(&admin, &look.observed).await;
    let Some(measured) = measured.filter(|measured| measured.served().is_some()) else {
        bail!("nothing was read lately, or not all nodes answer");
    };
    let sizes = Sizes::of(&measured);
    if args.svg {
        output::print(&sizes.svg())?;
    } else {
        args.look.print(|| sizes.text(), || sizes.json())?;
    }
    Ok(ExitCode::SUCCESS)
}
