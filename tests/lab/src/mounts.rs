//! Mounts below a folder: containers and volumes leave them behind when they are killed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::mount::{UnmountFlags, unmount};

/// Unmounts everything below `folder`, the latest first, also what is still in use.
pub(crate) fn unmount_below(folder: &Path) -> Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    for point in below(&table, folder).iter().rev() {
        unmount(point, UnmountFlags::DETACH)
            .with_context(|| format!("unmounting {}", point.display()))?;
    }
    Ok(())
}

/// The mount points below `folder`, in the order of mounting.
fn below(mountinfo: &str, folder: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    points.filter(|point| point.starts_with(folder) && point != folder).collect()
}

/// The kernel writes a blank as `\040`.
fn unescaped(path: &str) -> PathBuf {
    PathBuf::from(path.replace("\\040", " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_folder_are_found() {
        let table = "22 1 0:1 / / rw - ext4 /dev/a rw\n\
                     23 22 0:2 / /run/x/dev rw - tmpfs tmpfs rw\n\
                     24 22 0:3 net:[4026532] /run/x/dev/a\\040b rw - nsfs nsfs rw\n\
                     25 22 0:4 / /run/x/dev2/c rw - tmpfs tmpfs rw\n";
        assert_eq!(below(table, Path::new("/run/x/dev")), [PathBuf::from("/run/x/dev/a b")]);
    }
}
