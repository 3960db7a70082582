//! Control groups, version 1 and 2: the kubelet wants its root group in every hierarchy.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::files;

const ROOT: &str = "/sys/fs/cgroup";

/// Makes the group `path`, usable for the kubelet, in every hierarchy.
pub(crate) fn create(path: &str) -> Result<()> {
    for hierarchy in hierarchies() {
        let mut group = hierarchy;
        for part in Path::new(path) {
            let parent = group.clone();
            group.push(part);
            match fs::create_dir(&group) {
                // Groups of several hosts, which start at the same time, have the same parent.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => made.with_context(|| group.display().to_string())?,
            }
            delegate(&parent, &group).with_context(|| group.display().to_string())?;
        }
    }
    Ok(())
}

/// Lets a new group use what its parent may use: neither version does that by itself.
fn delegate(parent: &Path, group: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        // Version 2 inherits an empty set; version 1 refuses every process instead.
        let (from, to) = (parent.join(file), group.join(file));
        if from.exists() && to.exists() && !parent.join("cgroup.controllers").exists() {
            fs::write(to, fs::read(from)?)?;
        }
    }
    let controllers = parent.join("cgroup.controllers");
    if controllers.exists() {
        let all = fs::read_to_string(controllers)?;
        let enable: Vec<String> = all.split_whitespace().map(|name| format!("+{name}")).collect();
        fs::write(parent.join("cgroup.subtree_control"), enable.join(" "))?;
    }
    Ok(())
}

/// Removes the group `path` and all below it from every hierarchy; their processes must have ended.
pub(crate) fn remove(path: &str) -> Result<()> {
    for hierarchy in hierarchies() {
        for group in tree(&hierarchy.join(path)).iter().rev() {
            files::gone(fs::remove_dir(group), group)?;
        }
    }
    Ok(())
}

/// Ids of the processes in the group `path` and all below it.
pub(crate) fn processes(path: &str) -> Vec<i32> {
    hierarchies()
        .iter()
        .flat_map(|hierarchy| tree(&hierarchy.join(path)))
        .filter_map(|group| fs::read_to_string(group.join("cgroup.procs")).ok())
        .flat_map(|pids| pids.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .collect()
}

/// The root of version 2, or that of every controller of version 1.
fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from(ROOT);
    if root.join("cgroup.controllers").exists() {
        return vec![root];
    }
    let children = folders(&root);
    children.into_iter().filter(|folder| folder.join("cgroup.procs").exists()).collect()
}

/// `group` and all groups below it, parents first; nothing if it does not exist.
fn tree(group: &Path) -> Vec<PathBuf> {
    if !group.is_dir() {
        return Vec::new();
    }
    let below = folders(group).into_iter().flat_map(|child| tree(&child));
    std::iter::once(group.to_owned()).chain(below).collect()
}

/// The folders in `folder`, without links to some.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
