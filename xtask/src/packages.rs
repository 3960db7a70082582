//! Programs of the machine, and the Debian packages that have them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::cargo::output;

/// Installs Debian packages where we may; nothing to do if there are none.
pub(crate) fn install(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    may_install(missing, find("apt-get").is_some(), is_root()?)?;
    apt_get(&["update", "--quiet"])?;
    let install = ["install", "--quiet", "--yes", "--no-install-recommends"];
    apt_get(&[&install, missing].concat())
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
    ensure!(command.status()?.success(), "apt-get {} failed", arguments.join(" "));
    Ok(())
}

/// Whether this is root, who may install packages and make namespaces.
pub(crate) fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// The program `name` in the folders of PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
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
