//! Processes as `/proc` shows them.
//!
//! A pid alone names nobody: it is given to another process after its owner has ended. Pid and start time together do.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, kill_process};
use serde::{Deserialize, Serialize};

pub(super) use rustix::process::Signal;

/// One process, never another one that got its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Process {
    /// Its pid.
    pub(super) pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub(super) start_time: u64,
}

impl Process {
    /// The live process that has this pid now.
    pub(super) fn with_pid(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        start_time(&stat).map(|start_time| Self { pid, start_time })
    }

    /// All live processes.
    pub(super) fn all() -> io::Result<Vec<Self>> {
        let names =
            fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|name| Self::with_pid(name.parse().ok()?)).collect())
    }

    /// Whether it has not ended.
    pub(super) fn is_alive(self) -> bool {
        Self::with_pid(self.pid) == Some(self)
    }

    /// For how many seconds it has run; 0 if that cannot be told.
    pub(super) fn age_seconds(self) -> u64 {
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let uptime = uptime.split('.').next().and_then(|seconds| seconds.parse::<u64>().ok());
        let started = self.start_time / clock_ticks_per_second().max(1);
        uptime.map_or(0, |uptime| uptime.saturating_sub(started))
    }

    /// Sends it a signal, and nobody else; nothing to do if it has ended.
    pub(super) fn signal(self, signal: Signal) -> io::Result<()> {
        match i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            Some(pid) if self.is_alive() => match kill_process(pid, signal) {
                Err(Errno::SRCH) => Ok(()),
                sent => Ok(sent?),
            },
            _ => Ok(()),
        }
    }

    /// The arguments it was started with, the program first.
    pub(super) fn arguments(self) -> Vec<String> {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.split_terminator('\0').map(str::to_owned).collect()
    }
}

/// The start time in a line of `/proc/<pid>/stat` (proc(5)), unless the process has ended and only waits for its parent.
fn start_time(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses and may contain anything, also parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    // State was field 3, the start time is field 22.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        assert_eq!(start_time(&format!("12 (a) b (c)) S {rest}")), Some(4711));
        assert_eq!(start_time(&format!("12 (zombie) Z {rest}")), None);
        assert_eq!(start_time("12 (cut) S 1 2"), None);
    }

    #[test]
    fn arguments_are_as_the_process_got_them() {
        let this = Process::with_pid(std::process::id()).expect("it runs");
        assert_eq!(this.arguments(), std::env::args().collect::<Vec<_>>());
    }

    #[test]
    fn a_process_is_known_by_pid_and_start_time() {
        let mut child =
            Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().expect("sleep");
        let process = Process::with_pid(child.id()).expect("it runs");
        assert!(process.is_alive());
        assert!(Process::all().expect("/proc").contains(&process));

        let other = Process { start_time: process.start_time + 1, ..process };
        assert!(!other.is_alive());
        other.signal(Signal::KILL).expect("no process, no error");
        assert!(process.is_alive(), "a process with a reused pid is never signalled");

        process.signal(Signal::KILL).expect("a signal");
        child.wait().expect("it ends");
        assert!(!process.is_alive());
    }
}
