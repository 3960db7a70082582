//! A process that a test started: its output in files, its end by id and never by name.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::clock;

/// A child process; killed when dropped.
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// Starts it with standard output and error in `dir/<name>.out` and `.err`, appended to.
    pub fn spawn(mut command: Command, dir: &Path, name: &str) -> Result<Self> {
        let (out, err) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.err")));
        let append = |path: &Path| File::options().create(true).append(true).open(path);
        let child = command
            .stdin(Stdio::null())
            .stdout(append(&out)?)
            .stderr(append(&err)?)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        Ok(Self { child, out, err })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All of its standard output so far.
    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// All of its standard error so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.pid(), signal)
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Kills it if it still runs. `Child` knows whether it was reaped: the id cannot have passed to another process.
    pub fn kill(&mut self) {
        if self.child.kill().is_ok() {
            let _ = self.child.wait();
        }
    }

    /// Waits until it has ended.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let pid = self.pid();
        let child = &mut self.child;
        clock::wait_for(&format!("process {pid} has ended"), limit, || {
            Ok(child.try_wait()?.ok_or_else(|| "it is running".to_owned()))
        })
        .with_context(|| format!("its output:\n{}{}", self.stdout(), self.stderr()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process by its id.
pub fn send(pid: u32, signal: Signal) -> Result<()> {
    kill_process(id(pid)?, signal).with_context(|| format!("{signal:?} to process {pid}"))
}

/// Sends a signal to a process and all in its group, as a terminal does on Ctrl-C.
pub fn send_group(pid: u32, signal: Signal) -> Result<()> {
    kill_process_group(id(pid)?, signal).with_context(|| format!("{signal:?} to group {pid}"))
}

fn id(pid: u32) -> Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process id")
}

/// Whether that process runs and has `mark` on its command line: an id alone may have passed to another process. A zombie
/// has no command line, so it does not count as running.
pub fn runs(pid: u32, mark: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).split('\0').any(|arg| arg == mark))
}

/// Ids of all processes that have `mark` on their command line.
pub fn with_mark(mark: &str) -> Result<Vec<u32>> {
    let names =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).filter(|pid| runs(*pid, mark)).collect())
}

/// Resident memory of a process in bytes (`VmRSS`).
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}
