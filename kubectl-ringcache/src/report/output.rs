//! The file that an archive is written to.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A new file, which goes again unless it is written: half an archive helps nobody.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    file: File,
    is_written: bool,
}

impl Output {
    /// For nobody else to read: never one that is there.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.with_context(|| format!("creating {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file, is_written: false })
    }

    /// All of it; where it is.
    pub(super) fn write(mut self, content: &[u8]) -> Result<PathBuf> {
        let written = self.file.write_all(content).and_then(|()| self.file.sync_all());
        written.with_context(|| format!("writing {}", self.path.display()))?;
        self.is_written = true;
        Ok(self.path.clone())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.is_written {
            // If that fails an empty file stays, which nobody takes for an archive.
            let _ = fs::remove_file(&self.path);
        }
    }
}
