//! The browser that looks at the page of `ringcache up`, and the client that drives it, installed where we may.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::succeeds;
use crate::cargo::{Workspace, output};
use crate::packages::{find, install};

/// Programs, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 3] =
    [("chromium-headless-shell", "chromium-headless-shell"), ("node", "nodejs"), ("npm", "npm")];
/// The client, pinned. It brings no browser.
const CLIENT: &str = "playwright-core@1.56.0";
/// The oldest Node that it runs on.
const OLDEST_NODE: u32 = 18;

/// Where the tests find them.
pub(super) struct Browser {
    /// Chromium without windows.
    pub(super) chromium: PathBuf,
    /// What runs the client.
    pub(super) node: PathBuf,
    /// The folder of modules that has the client.
    pub(super) modules: PathBuf,
}

/// Installs what is missing; the error says why that is impossible.
pub(super) fn prepare(workspace: &Workspace) -> Result<Browser> {
    let missing = PROGRAMS.into_iter().filter(|(program, _)| find(program).is_none());
    install(&missing.map(|(_, package)| package).collect::<Vec<_>>())?;
    let [chromium, node, npm] =
        PROGRAMS.map(|(program, _)| find(program).with_context(|| format!("no {program} in PATH")));
    let (chromium, node, npm) = (chromium?, node?, npm?);
    let version = output(Command::new(&node).arg("--version"))?;
    ensure!(
        major(&version).is_some_and(|major| major >= OLDEST_NODE),
        "Node {} is older than {OLDEST_NODE}: https://nodejs.org",
        version.trim()
    );
    let modules = client(&npm, &workspace.target.join("browser"))?;
    Ok(Browser { chromium, node, modules })
}

/// The 20 of `v20.1.2`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// The modules of `folder`, installed unless it has exactly the client already.
fn client(npm: &Path, folder: &Path) -> Result<PathBuf> {
    let (modules, installed) = (folder.join("node_modules"), folder.join("installed"));
    if fs::read_to_string(&installed).is_ok_and(|text| text == CLIENT) {
        return Ok(modules);
    }
    fs::create_dir_all(folder)?;
    let flags = ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"];
    let mut install = Command::new(npm);
    install.args(flags).arg("--prefix").arg(folder).arg(CLIENT);
    ensure!(succeeds(&mut install)?, "cannot install {CLIENT} from npm");
    fs::write(&installed, CLIENT)?;
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_node_is_told_by_its_first_number() {
        assert_eq!((major("v20.20.2\n"), major("v9.0.0")), (Some(20), Some(9)));
        assert_eq!((major(""), major("20"), major("vx.1")), (None, None, None));
    }
}
