//! Standard output and error, which may be closed or on a full disk: `println!` would panic there.

use std::io::{self, Write as _};

use anyhow::{Context, Result};

/// Writes a result. Not being able to is an error, or a caller would take an empty or cut result for the whole one.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.context("writing to the standard output")
}

/// Writes a line to the standard error. If that fails there is nobody left to be told.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
