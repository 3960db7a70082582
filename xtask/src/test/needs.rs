//! What tier T1 needs beside Rust, installed where we may: Redis' tools, Prometheus, curl, Helm, and Python with
//! a stock client and the schemas of Kubernetes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};

use super::succeeds;
use crate::cargo::Workspace;
use crate::packages::{find, install};

/// The stock client that the tests drive and the schemas that they check manifests with, pinned: what
/// they say must not change under us.
const PACKAGES: [&str; 2] = ["redis==8.1.0", "kubernetes-validate==1.37.0"];

/// Where the tests find what they need.
pub(super) struct Needs {
    /// A Python that can import `redis` and `kubernetes_validate`.
    pub(super) python: PathBuf,
    /// Helm.
    pub(super) helm: PathBuf,
    /// The command line client of Redis.
    pub(super) redis_cli: PathBuf,
    /// Prometheus.
    pub(super) prometheus: PathBuf,
}

/// Installs what is missing; the error says why that is impossible.
pub(super) fn prepare(workspace: &Workspace) -> Result<Needs> {
    install(&missing_packages()?)?;
    let Some(redis_cli) = find("redis-cli") else { bail!("no redis-cli in PATH") };
    let Some(prometheus) = find("prometheus") else { bail!("no prometheus in PATH") };
    ensure!(find("go").is_some(), "missing Go, to build Helm: https://go.dev/dl");
    let helm = ringcache_lab::helm()?;
    Ok(Needs { python: python(&workspace.target.join("venv"))?, helm, redis_cli, prometheus })
}

/// Debian packages whose programs are not there.
fn missing_packages() -> Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    if find("redis-cli").is_none() || find("redis-benchmark").is_none() {
        missing.push("redis-tools");
    }
    if find("prometheus").is_none() {
        missing.push("prometheus");
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

/// The Python of the virtual environment `venv`, made unless it has exactly the packages already.
fn python(venv: &Path) -> Result<PathBuf> {
    let python = venv.join("bin/python");
    let installed = venv.join("installed");
    let packages = PACKAGES.join("\n");
    if fs::read_to_string(&installed).is_ok_and(|text| text == packages) {
        return Ok(python);
    }
    let made = succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
    ensure!(made, "cannot make the Python environment {}", venv.display());
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    ensure!(
        succeeds(Command::new(&python).args(install).args(PACKAGES))?,
        "cannot install {} from PyPI",
        PACKAGES.join(" and ")
    );
    fs::write(&installed, packages)?;
    Ok(python)
}
