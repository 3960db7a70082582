//! `ringcache status`: what a local cluster is doing, asked of the nodes themselves.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use ringcache_admin_client::AdminClient;
use ringcache_api::CacheCluster;
use ringcache_api::status::CacheClusterStatus;
use ringcache_operator_core::autoscaling::Report;
use ringcache_operator_core::{InForce, Observed, as_it_is, in_force};
use serde_json::json;

use super::dir::StateDir;
use super::nodes;
use super::observe::{cluster_ref, observe};
use super::report::{is_ready, plan_for, status_of};
use crate::{output, table};

/// Exit code when there is no cluster to report on.
const ABSENT: u8 = 2;

/// Flags of `ringcache status`.
#[derive(Args, Clone, Debug)]
pub(crate) struct StatusArgs {
    /// The state directory that `ringcache up` was given
    #[arg(long, value_name = "DIR", default_value = ".ringcache")]
    state_dir: PathBuf,
    /// One JSON object: the `CacheCluster` with its status, and every node as observed
    #[arg(long)]
    json: bool,
}

/// Prints the state; success if the cluster is Ready, 1 if it is not, 2 if there is none.
pub(crate) async fn status(args: &StatusArgs) -> Result<ExitCode> {
    let dir = StateDir::new(&args.state_dir);
    let Some(mut cluster) = dir.cluster()? else { return Ok(absent(&args.state_dir)) };
    let observed = observe(&dir, &AdminClient::new(), &cluster).await?;
    if observed.nodes.is_empty() && observed.document.is_none() {
        return Ok(absent(&args.state_dir));
    }
    let previous = dir.reported()?.and_then(|reported| reported.status);
    let lost = previous.as_ref().and_then(|status| status.lost_entries.clone());
    let observed = Observed { lost, ..observed };
    let recorded = dir.scaling()?;
    let in_force = in_force(&cluster, dir.spec()?.as_ref())
        .or_else(|held| as_it_is(&cluster, held, &observed))
        .map(|in_force| in_force.sized(recorded.as_ref(), observed.stored()));
    let planned = plan_for(&in_force, &observed);
    let scaled = in_force.as_ref().ok().and_then(|InForce { spec, intent, held }| {
        Report::undecided(spec, recorded.as_ref(), intent.nodes, held.as_ref())
    });
    let status = status_of(&planned, &in_force, &observed, scaled.as_ref(), previous.as_ref());
    let ready = is_ready(&status);
    if args.json {
        cluster.status = Some(status);
        let json = json!({ "cluster": cluster, "nodes": observed.nodes });
        output::print(&format!("{json:#}\n"))?;
    } else {
        output::print(&text(&cluster, &status, &observed))?;
    }
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says that there is no cluster to report on.
pub(super) fn absent(state_dir: &Path) -> ExitCode {
    let dir = state_dir.display();
    output::complain(&format!("no cluster runs with the state directory {dir}"));
    ExitCode::from(ABSENT)
}

fn text(cluster: &CacheCluster, status: &CacheClusterStatus, observed: &Observed) -> String {
    let conditions = status
        .conditions
        .iter()
        .map(|c| [c.type_.clone(), c.status.clone(), c.reason.clone(), c.message.clone()]);
    let epoch = status.ring.as_ref().map_or_else(|| "none".to_owned(), |r| r.epoch.to_string());
    let state = status.summary.as_ref().map_or("Unknown", |summary| summary.state.as_str());
    let version = status.version.as_deref().unwrap_or("unknown");
    format!(
        "{}: {state}, {} of {} nodes ready, version {version}, ring epoch {epoch}\n\n{}\n{}",
        cluster_ref(cluster).name,
        status.ready_nodes,
        status.autoscaling.as_ref().map_or(cluster.spec.nodes, |scaling| scaling.nodes),
        table::plain(&["CONDITION", "STATUS", "REASON", "MESSAGE"], 4, conditions),
        nodes::table(observed),
    )
}
