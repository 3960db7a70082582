//! One look at a local cluster, for those who only want to see it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use ringcache_admin_client::AdminClient;
use ringcache_api::CacheCluster;
use ringcache_api::status::CacheClusterStatus;
use ringcache_operator_core::autoscaling::State;
use ringcache_operator_core::{Held, InForce, Observed, as_it_is, in_force};
use serde_json::Value;

use super::dir::StateDir;
use super::observe::observe;
use crate::output;

/// Exit code when there is no cluster to look at.
const ABSENT: u8 = 2;

/// Flags of everything that shows a local cluster.
#[derive(Args, Clone, Debug)]
pub(crate) struct LookArgs {
    /// The state directory that `ringcache up` was given
    #[arg(long, value_name = "DIR", default_value = ".ringcache")]
    state_dir: PathBuf,
    /// One JSON object instead of text for people
    #[arg(long)]
    json: bool,
}

/// What was seen.
pub(super) struct Look {
    /// The resource, without a status.
    pub(super) cluster: CacheCluster,
    /// Its nodes and its ring document.
    pub(super) observed: Observed,
    /// The spec that is carried out.
    pub(super) in_force: Result<InForce, Held>,
    /// What is recorded of the number of nodes, where something scales the cluster.
    pub(super) recorded: Option<State>,
    /// The status as `up` has last reported it.
    pub(super) previous: Option<CacheClusterStatus>,
}

impl LookArgs {
    /// Looks; `None` = there is no cluster, which has been said.
    pub(super) async fn look(&self, admin: &AdminClient) -> Result<Option<Look>> {
        let found = look(&self.state_dir, admin).await?;
        if found.is_none() {
            let dir = self.state_dir.display();
            output::complain(&format!("no cluster runs with the state directory {dir}"));
        }
        Ok(found)
    }

    /// Prints one or the other, as was asked for.
    pub(super) fn print(
        &self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Result<()> {
        output::print(&if self.json { format!("{:#}\n", json()) } else { text() })
    }
}

/// How those end that found no cluster.
pub(super) fn absent() -> ExitCode {
    ExitCode::from(ABSENT)
}

/// Looks; `None` = there is no cluster.
pub(super) async fn look(state_dir: &Path, admin: &AdminClient) -> Result<Option<Look>> {
    let dir = StateDir::new(state_dir);
    let Some(cluster) = dir.cluster()? else { return Ok(None) };
    let observed = observe(&dir, admin, &cluster).await?;
    if observed.nodes.is_empty() && observed.document.is_none() {
        return Ok(None);
    }
    let previous = dir.reported()?.and_then(|reported| reported.status);
    let lost = previous.as_ref().and_then(|status| status.lost_entries.clone());
    let observed = Observed { lost, ..observed };
    let recorded = dir.scaling()?;
    let in_force = in_force(&cluster, dir.spec()?.as_ref())
        .or_else(|held| as_it_is(&cluster, held, &observed))
        .map(|in_force| in_force.sized(recorded.as_ref(), observed.stored()));
    Ok(Some(Look { cluster, observed, in_force, recorded, previous }))
}
