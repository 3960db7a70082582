//! What is written down about a lab before it exists: enough to find it, and to take it down.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::layout::Layout;
use crate::name::{Name, RUN};
use crate::sysctls::Sysctls;

/// A lab as its state file describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) name: Name,
    pub(crate) nodes: u8,
    /// Folder of the programs.
    pub(crate) programs: PathBuf,
    /// Whoever it is no longer needed without; none: it stays until it is taken down.
    pub(crate) owner: Option<Owner>,
    /// Settings of the machine before there was any lab.
    pub(crate) sysctls: Sysctls,
}

/// A process: its id and when it started, since ids are used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pid: u32,
    started: u64,
}

impl Owner {
    pub(crate) fn this_process() -> Result<Self> {
        let pid = std::process::id();
        Ok(Self { pid, started: started(pid).context("/proc says nothing about this process")? })
    }

    pub(crate) fn lives(&self) -> bool {
        started(self.pid) == Some(self.started)
    }
}

/// When a process started, in ticks since the machine did.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may contain anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    if state == "Z" { None } else { fields.nth(18)?.parse().ok() }
}

impl State {
    pub(crate) fn save(&self) -> Result<()> {
        files::write_whole(&Layout::of(&self.name).state(), &serde_json::to_vec_pretty(self)?)
    }

    /// The state of the lab of that name, if there is one.
    pub(crate) fn load(name: &Name) -> Result<Option<Self>> {
        read(&Layout::of(name).state())
    }

    /// The states of all labs of this machine.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let mut states = Vec::new();
        for entry in fs::read_dir(RUN).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Ok(name) = Name::try_from(name) {
                states.extend(Self::load(&name)?);
            }
        }
        Ok(states)
    }
}

fn read(file: &Path) -> Result<Option<State>> {
    match fs::read(file) {
        Ok(bytes) => {
            let state = serde_json::from_slice(&bytes);
            state.map(Some).with_context(|| file.display().to_string())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_until_it_ends_and_its_id_alone_does_not_count() {
        let own = Owner::this_process().unwrap();
        assert!(own.lives());
        assert!(!Owner { started: own.started + 1, ..own }.lives());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let owner = Owner { pid: child.id(), started: started(child.id()).unwrap() };
        assert!(owner.lives());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!owner.lives());
    }

    #[test]
    fn no_state_file_is_no_lab() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&folder.path().join("lab.json")).unwrap(), None);
        fs::write(folder.path().join("lab.json"), "{").unwrap();
        assert!(read(&folder.path().join("lab.json")).is_err());
    }
}
