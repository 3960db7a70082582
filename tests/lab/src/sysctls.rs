//! Settings of the whole machine that every kubelet changes; a lab puts them back.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// What the kubelet sets so that the machine kills processes, and restarts itself, when it must.
const CHANGED: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// Settings by name.
pub(crate) type Sysctls = BTreeMap<String, String>;

/// What they are now.
pub(crate) fn read() -> Result<Sysctls> {
    let read = |name: &&str| {
        let value = fs::read_to_string(file(name)).with_context(|| (*name).to_owned())?;
        Ok(((*name).to_owned(), value))
    };
    CHANGED.iter().map(read).collect()
}

/// Puts them back; nothing is written that is so already.
pub(crate) fn write(sysctls: &Sysctls) -> Result<()> {
    let now = read()?;
    for (name, value) in sysctls.iter().filter(|(name, value)| now.get(*name) != Some(value)) {
        fs::write(file(name), value).with_context(|| name.clone())?;
    }
    Ok(())
}

fn file(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(name)
}
