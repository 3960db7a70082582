//! `ringcache status`: what a local cluster is doing, asked of the nodes themselves.

use std::process::ExitCode;

use anyhow::Result;
use ringcache_admin_client::AdminClient;
use ringcache_operator_core::InForce;
use ringcache_operator_core::autoscaling::Report;
use ringcache_show::nodes::Place;
use ringcache_show::status::is_ready;
use serde_json::json;

use super::look::{Look, LookArgs, absent};
use super::report::{plan_for, status_of};

/// Prints the state; success if the cluster is Ready, 1 if it is not, 2 if there is none.
pub(crate) async fn status(args: &LookArgs) -> Result<ExitCode> {
    let Some(look) = args.look(&AdminClient::new()).await? else { return Ok(absent()) };
    let Look { mut cluster, observed, in_force, recorded, previous } = look;
    let planned = plan_for(&in_force, &observed);
    let scaled = in_force.as_ref().ok().and_then(|InForce { spec, intent, held }| {
        Report::undecided(spec, recorded.as_ref(), intent.nodes, held.as_ref())
    });
    let status = status_of(&planned, &in_force, &observed, scaled.as_ref(), previous.as_ref());
    let ready = is_ready(&status);
    cluster.status = Some(status.clone());
    args.print(
        || ringcache_show::status::text(&cluster, &status, &observed, Place::Ports),
        || json!({ "cluster": cluster, "nodes": observed.nodes }),
    )?;
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
