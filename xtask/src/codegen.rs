//! Files that are generated: the definition and the API reference from the types, dashboards from a list of panels. Written here,
//! committed, never edited.

mod dashboards;

use anyhow::Result;

use crate::cargo::{Workspace, cargo};

/// The definition, in the workspace.
pub(crate) const DEFINITION: &str = "crds/cacheclusters.ringcache.dev.yaml";
/// The tests that compare it, the chart's copy and the API reference with the types. They write them, too: tasks that knew the
/// types themselves would be built with all that the types need, and once more with every other choice of features.
const COMPARISON: [&str; 8] =
    ["test", "--workspace", "--test", "crd", "--test", "reference", "--", "the_committed_"];
const UPDATE: &str = "RINGCACHE_UPDATE";

/// Writes the generated files, or with `check` only looks whether they are up to date; false if one is not.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<bool> {
    let mut comparison = cargo();
    comparison.args(COMPARISON).env_remove(UPDATE);
    if !check {
        comparison.env(UPDATE, "1");
    }
    Ok(comparison.status()?.success() && dashboards::run(workspace, check)?)
}
