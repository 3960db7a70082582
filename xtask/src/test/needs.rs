//! What tier T1 needs beside Rust, installed where we may: Redis' tools, curl, and Python with a
//! stock client.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};

use super::succeeds;
use crate::cargo::{Workspace, output};

/// The stock client that the tests drive, pinned: what it sends must not change under us.
const REDIS_PY: &str = "8.1.0";

/// Where the tests find what they need.
pub(super) struct Needs {
    /// A Python that can import `redis`.
    pub(super) python: PathBuf,
    /// The command line client of Redis.
    pub(super) redis_cli: PathBuf,
}

/// Installs what is missing; the error says why that is impossible.
pub(super) fn prepare(workspace: &Workspace) -> Result<Needs> {
    let missing = missing_packages()?;
    if !missing.is_empty() {
        may_install(&missing, find("apt-get").is_some(), is_root()?)?;
        apt_get(&["update", "--quiet"])?;
        let install = ["install", "--quiet", "--yes", "--no-install-recommends"];
        apt_get(&[&install, missing.as_slice()].concat())?;
    }
    let Some(redis_cli) = find("redis-cli") else { bail!("no redis-cli in PATH") };
    Ok(Needs { python: python(&workspace.target.join("venv"))?, redis_cli })
}

/// Debian packages whose programs are not there.
fn missing_packages() -> Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    if find("redis-cli").is_none() || find("redis-benchmark").is_none() {
        missing.push("redis-tools");
    }
    if find("curl").is_none() {
        missing.push("curl");
    }
    // Debian's python3 alone has `venv` but not `ensurepip`, without which it makes no environment.
    let venv = ["-c", "import ensurepip, venv"];
    if find("python3").is_none() || !succeeds(Command::new("python3").args(venv))? {
        missing.push("python3-venv");
    }
    Ok(missing)
}

fn may_install(missing: &[&str], apt: bool, root: bool) -> Result<()> {
    let packages = missing.join(" ");
    ensure!(apt, "missing the programs of the Debian packages {packages}, and there is no apt-get");
    ensure!(root, "missing {packages}: run `sudo apt-get install {packages}`");
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    ensure!(succeeds(&mut command)?, "apt-get {} failed", arguments.join(" "));
    Ok(())
}

/// The Python of the virtual environment `venv`, made unless it has the client already.
fn python(venv: &Path) -> Result<PathBuf> {
    let python = venv.join("bin/python");
    let has_client = format!("import redis, sys; sys.exit(redis.__version__ != '{REDIS_PY}')");
    let has_client = || Command::new(&python).args(["-c", &has_client]).output();
    if has_client().is_ok_and(|output| output.status.success()) {
        return Ok(python);
    }
    let made = succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
    ensure!(made, "cannot make the Python environment {}", venv.display());
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let client = format!("redis=={REDIS_PY}");
    ensure!(
        succeeds(Command::new(&python).args(install).arg(&client))?,
        "cannot install {client} from PyPI"
    );
    Ok(python)
}

fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// The program `name` in the folders of PATH.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_installs_and_others_are_told_what_to_run() {
        let missing = ["redis-tools", "python3-venv"];
        assert!(may_install(&missing, true, true).is_ok());
        assert_eq!(
            may_install(&missing, true, false).unwrap_err().to_string(),
            "missing redis-tools python3-venv: run `sudo apt-get install redis-tools python3-venv`"
        );
        assert_eq!(
            may_install(&missing[..1], false, true).unwrap_err().to_string(),
            "missing the programs of the Debian packages redis-tools, and there is no apt-get"
        );
    }

    #[test]
    fn programs_are_found_in_path_only() {
        assert!(find("sh").is_some_and(|program| program.ends_with("sh")));
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
