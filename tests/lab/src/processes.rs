//! Ends the processes of network namespaces and control groups: membership is asked of the kernel, so
//! nothing is forgotten after a crash, and neither a name nor a recorded id can hit somebody else.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::name::Namespace;
use crate::{cgroup, clock};

/// How long killed processes may take to be gone.
const LIMIT: Duration = Duration::from_secs(15);

/// What a namespace is known by to the kernel: device and inode of its file.
type Identity = (u64, u64);

/// Kills every process in one of the network `namespaces` (their files) or in the control groups
/// below `cgroup`, and waits until they are gone.
pub(crate) fn kill(namespaces: &[PathBuf], cgroup: &str) -> Result<()> {
    let ours = identities(namespaces);
    kill_all(
        || members(&ours, cgroup),
        |pid| is_inside(pid, &ours) || cgroup::processes(cgroup).contains(&pid),
    )
}

/// Kills every process in a network namespace (its file) that runs `program`, and waits until they
/// are gone.
pub(crate) fn kill_program(namespace: &Path, program: &Path) -> Result<()> {
    let ours = identities(&[namespace.to_owned()]);
    let is_meant = |pid: i32| is_inside(pid, &ours) && runs(pid, program);
    kill_all(|| Ok(all_inside(&ours)?.into_iter().filter(|&pid| is_meant(pid)).collect()), is_meant)
}

fn kill_all(find: impl Fn() -> Result<Vec<i32>>, is_meant: impl Fn(i32) -> bool) -> Result<()> {
    // Again until none is left: a process may start another one while it is being looked for.
    clock::wait_for("all processes have ended", LIMIT, || {
        let running = find()?;
        for &pid in &running {
            kill_if(pid, &is_meant);
        }
        Ok(if running.is_empty() { Ok(()) } else { Err(format!("{running:?} still run")) })
    })
}

/// How many processes are in a network namespace.
pub(crate) fn inside(namespace: &Namespace) -> Result<usize> {
    Ok(all_inside(&identity(&namespace.path()).into_iter().collect())?.len())
}

fn members(namespaces: &HashSet<Identity>, cgroup: &str) -> Result<Vec<i32>> {
    let own = std::process::id().cast_signed();
    let mut pids = cgroup::processes(cgroup);
    pids.extend(all_inside(namespaces)?);
    pids.retain(|&pid| pid != own);
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

fn all_inside(namespaces: &HashSet<Identity>) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        pids.extend(pid.filter(|&pid| is_inside(pid, namespaces)));
    }
    Ok(pids)
}

/// Kills it if it still is meant once it is held by a descriptor: by then its id cannot pass to
/// another process.
fn kill_if(pid: i32, is_meant: impl Fn(i32) -> bool) {
    let Some(id) = Pid::from_raw(pid) else { return };
    let Ok(process) = pidfd_open(id, PidfdFlags::empty()) else { return };
    if is_meant(pid) {
        // It may have ended meanwhile, which is what we want.
        let _ = pidfd_send_signal(process, Signal::KILL);
    }
}

fn is_inside(pid: i32, namespaces: &HashSet<Identity>) -> bool {
    let file = PathBuf::from(format!("/proc/{pid}/ns/net"));
    identity(&file).is_some_and(|id| namespaces.contains(&id))
}

fn runs(pid: i32, program: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|file| file == program)
}

/// What the machine itself lives in is never ours, whatever a file claims.
fn identities(namespaces: &[PathBuf]) -> HashSet<Identity> {
    let machine = identity(Path::new("/proc/1/ns/net"));
    let ours = namespaces.iter().filter_map(|file| identity(file));
    ours.filter(|id| Some(*id) != machine).collect()
}

fn identity(namespace: &Path) -> Option<Identity> {
    fs::metadata(namespace).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_of_the_machine_is_never_emptied() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let own = [PathBuf::from("/proc/1/ns/net")];
        kill(&own, "no-such-control-group").unwrap();
        let program = fs::read_link(format!("/proc/{}/exe", child.id())).unwrap();
        kill_program(&own[0], &program).unwrap();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
