//! The workspace as cargo sees it, and how to call cargo.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The workspace and all its dependencies.
pub(crate) struct Workspace {
    /// Folder of the root manifest.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Every package of the lock file, as `cargo metadata` writes it.
    pub(crate) packages: Vec<Value>,
}

impl Workspace {
    /// Asks cargo about the workspace of the current directory.
    pub(crate) fn find() -> Result<Self> {
        let metadata = output(cargo().args(["metadata", "--locked", "--format-version", "1"]))?;
        let mut metadata: Value = serde_json::from_str(&metadata).context("cargo metadata")?;
        let path = |key: &str| metadata[key].as_str().map(PathBuf::from).context("cargo metadata");
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
            packages: match metadata["packages"].take() {
                Value::Array(packages) => packages,
                _ => Vec::new(),
            },
        })
    }

    /// Arguments for `cargo test` that name the integration tests of a package. Not by `--package`: cargo would choose other
    /// features for the libraries that it shares with the rest, and build all of them once more.
    pub(crate) fn tests_of(&self, package: &str) -> Vec<String> {
        let package = self.packages.iter().find(|candidate| candidate["name"] == package);
        let targets = package.and_then(|package| package["targets"].as_array());
        let is_test = |target: &&Value| target["kind"][0] == "test";
        let names =
            targets.into_iter().flatten().filter(is_test).filter_map(|t| t["name"].as_str());
        let arguments = names.flat_map(|name| ["--test", name]);
        ["--workspace"].into_iter().chain(arguments).map(str::to_owned).collect()
    }
}

/// The cargo that runs this task, or else the one of the path.
pub(crate) fn cargo() -> Command {
    as_typed(Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())))
}

/// A command that calls cargo, as if a person did: without what cargo has told this task about its package. Some build scripts
/// take that for a reason to run again, and all that depends on them would be built anew whenever tasks and people take turns.
pub(crate) fn as_typed(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// What `command` writes to standard output; its errors go to ours.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("{command:?}"))
}
