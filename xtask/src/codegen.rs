//! Files that are generated from the types: written here, committed, never edited.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cargo::Workspace;

/// Writes the generated files, or with `check` only says which are out of date; false if any is.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<bool> {
    let path = workspace.root.join("crds/cacheclusters.ringcache.dev.yaml");
    update(&path, &ringcache_api::crd_yaml(), check)
}

fn update(path: &Path, content: &str, check: bool) -> Result<bool> {
    if fs::read_to_string(path).is_ok_and(|committed| committed == content) {
        return Ok(true);
    }
    if check {
        eprintln!("{} is out of date: run `cargo xtask codegen`", path.display());
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content).with_context(|| path.display().to_string())?;
    println!("wrote {}", path.display());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_fails_the_check_and_is_rewritten_without_it() {
        let folder = std::env::temp_dir().join(format!("xtask-codegen-{}", std::process::id()));
        let path = folder.join("crds/some.yaml");
        assert!(!update(&path, "new", true).unwrap(), "missing");
        assert!(!path.exists(), "a check writes nothing");
        assert!(update(&path, "old", false).unwrap());
        assert!(!update(&path, "new", true).unwrap(), "stale");
        assert!(update(&path, "new", false).unwrap());
        assert!(update(&path, "new", true).unwrap(), "current");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        fs::remove_dir_all(folder).unwrap();
    }
}
