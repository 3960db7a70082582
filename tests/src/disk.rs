//! A disk that a test can fill: a small file system in memory, mounted while the handle lives. Mounting takes root.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// What a page takes, the least that a file with content takes there.
pub const PAGE_BYTES: u64 = 4096;
/// Room of the disk: enough for a few nodes' records and logs.
const SIZE: &std::ffi::CStr = c"size=512k";

/// The mounted disk; unmounted when dropped, also while files on it are open.
pub struct SmallDisk {
    point: PathBuf,
}

impl SmallDisk {
    /// Mounts an empty one at `point`, which is created.
    pub fn mount(point: &Path) -> Result<Self> {
        fs::create_dir_all(point)?;
        mount("tmpfs", point, "tmpfs", MountFlags::empty(), SIZE).with_context(|| {
            format!("mounting a small disk at {} (this takes root)", point.display())
        })?;
        Ok(Self { point: point.to_owned() })
    }

    /// Fills it up to its last byte.
    pub fn fill(&self) -> Result<()> {
        let mut filler = File::options().create(true).append(true).open(self.filler())?;
        loop {
            match filler.write_all(&[0; PAGE_BYTES as usize]) {
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                written => written?,
            }
        }
    }

    /// Fills it but for that many pages.
    pub fn fill_but(&self, pages: u64) -> Result<()> {
        self.fill()?;
        let filler = File::options().write(true).open(self.filler())?;
        let bytes = filler.metadata()?.len();
        Ok(filler.set_len((bytes / PAGE_BYTES).saturating_sub(pages) * PAGE_BYTES)?)
    }

    /// Makes room again.
    pub fn make_room(&self) -> io::Result<()> {
        fs::remove_file(self.filler())
    }

    fn filler(&self) -> PathBuf {
        self.point.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.point, UnmountFlags::DETACH) {
            eprintln!("unmounting {}: {error}", self.point.display());
        }
    }
}
