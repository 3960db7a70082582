//! The programs under test and the stock clients, as `cargo xtask test` names them in the environment.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// Root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// The released command line (`RINGCACHE_BIN`).
pub fn ringcache() -> Result<Command> {
    from_env("RINGCACHE_BIN").map(Command::new)
}

/// Python with redis-py (`RINGCACHE_PYTHON`), running a script of `tests/clients`.
pub fn python(script: &str) -> Result<Command> {
    let mut command = Command::new(from_env("RINGCACHE_PYTHON")?);
    command.arg(workspace().join("tests/clients").join(script));
    Ok(command)
}

/// The stock command line of Redis (`RINGCACHE_REDIS_CLI`).
pub fn redis_cli() -> Result<PathBuf> {
    from_env("RINGCACHE_REDIS_CLI")
}

/// A script of `tests/clients` that drives a browser: run by Node (`RINGCACHE_NODE`) with the client of browsers
/// (`RINGCACHE_NODE_MODULES`), which finds the browser by itself (`RINGCACHE_CHROMIUM`).
pub fn browser(script: &str) -> Result<Command> {
    let mut command = Command::new(from_env("RINGCACHE_NODE")?);
    command.env("NODE_PATH", from_env("RINGCACHE_NODE_MODULES")?);
    command.env("RINGCACHE_CHROMIUM", from_env("RINGCACHE_CHROMIUM")?);
    command.arg(workspace().join("tests/clients").join(script));
    Ok(command)
}

/// Prometheus (`RINGCACHE_PROMETHEUS`).
pub fn prometheus() -> Result<PathBuf> {
    from_env("RINGCACHE_PROMETHEUS")
}

/// Runs a command to its end and returns its standard output; anything but success is an error with all it wrote.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "{command:?} ended with {}\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(stdout)
}

fn from_env(name: &str) -> Result<PathBuf> {
    let value = std::env::var_os(name)
        .with_context(|| format!("{name} is not set: run these tests with `cargo xtask test`"))?;
    Ok(PathBuf::from(value))
}
