//! Files that are generated from the types: written here, committed, never edited.

use anyhow::Result;

use crate::cargo::cargo;

/// The definition, in the workspace.
pub(crate) const DEFINITION: &str = "crds/cacheclusters.ringcache.dev.yaml";
/// The test that compares it and the chart's copy with the types. It writes them, too: tasks that knew the types themselves
/// would be built with all that the types need, and once more with every other choice of features.
const COMPARISON: [&str; 6] =
    ["test", "--workspace", "--test", "crd", "--", "the_committed_definition_is_up_to_date"];
const UPDATE: &str = "RINGCACHE_UPDATE";

/// Writes the generated files, or with `check` only looks whether they are up to date; false if one is not.
pub(crate) fn run(check: bool) -> Result<bool> {
    let mut comparison = cargo();
    comparison.args(COMPARISON).env_remove(UPDATE);
    if !check {
        comparison.env(UPDATE, "1");
    }
    Ok(comparison.status()?.success())
}
