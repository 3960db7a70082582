//! Resident memory of a process, as the kernel counts it.

use std::fs;

use anyhow::{Context, Result};

/// What a process has in memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Now (`VmRSS`).
    pub(crate) settled: u64,
    /// At most so far (`VmHWM`).
    pub(crate) peak: u64,
    /// What of it is now the process' own, and not a file that the kernel can read again (`RssAnon`).
    pub(crate) own: u64,
}

impl Memory {
    /// Of a process that runs.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        let field = |name| field(&status, name).with_context(|| format!("{path}: no {name}"));
        Ok(Self { settled: field("VmRSS")?, peak: field("VmHWM")?, own: field("RssAnon")? })
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "VmHWM:\t   20 kB\nVmRSSx:\t 1 kB\nVmRSS:\t   12 kB\n";
        assert_eq!(field(status, "VmRSS"), Some(12 << 10));
        assert_eq!(field(status, "RssAnon"), None);
    }
}
