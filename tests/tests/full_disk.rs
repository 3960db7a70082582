//! The disk under a process is full: what runs goes on, and a lost result is an error.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use ringcache_tests::clock::wait_for;
use ringcache_tests::process::Running;
use ringcache_tests::{Cluster, http, layout, tool, turn};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(30);
const FULL: &str = "No space left on device";

#[test]
fn a_node_whose_log_is_full_serves_on() -> Result<()> {
    let _turn = turn::take();
    let dir = tempfile::tempdir()?;
    let base = layout::free_base_port()?;
    let ports = [("resp", base), ("http", base + 1), ("admin", base + 2), ("bus", base + 3)];
    let mut command = tool::ringcache()?;
    command.args(["node", "--name", "web-0", "--uid", "u", "--cluster-uid", "c"]);
    command.args(["--memory-bytes", "67108864", "--bind", "127.0.0.1"]);
    for (kind, port) in ports {
        command.arg(format!("--{kind}-port={port}"));
    }
    let mut node = Running::spawn(full_error(&command), dir.path(), "node")?;
    wait_for("the node is healthy", LIMIT, || {
        if let Some(status) = node.ended()? {
            anyhow::bail!("it ended with {status}");
        }
        let answer = http::request(base + 2, "GET", "/healthz", "");
        Ok(answer.map(drop).map_err(|error| format!("{error:#}")))
    })?;
    node.signal(Signal::INT)?;
    let status = node.wait(LIMIT)?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[test]
fn a_command_whose_output_is_full_says_so_and_fails() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(1, "64Mi"), 1)?;
    let seeds = cluster.seeds()?;
    let state = cluster.state_dir().display().to_string();
    for arguments in [
        &["status", "--state-dir", &state][..],
        &["status", "--json", "--state-dir", &state],
        &["verify", "--seeds", &seeds, "--seconds", "1", "--keys", "10"],
        &["verify", "--json", "--seeds", &seeds, "--seconds", "1", "--keys", "10"],
    ] {
        let output = tool::ringcache()?.args(arguments).stdout(full()?).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(2), "{arguments:?}: {}: {said}", output.status);
        let line = said.lines().last().unwrap_or_default();
        ensure!(line.contains("standard output") && line.contains(FULL), "{arguments:?}: {said}");

        let output = tool::ringcache()?.args(arguments).stderr(full()?).output()?;
        ensure!(output.status.success(), "{arguments:?} with a full standard error: {output:?}");
    }
    cluster.interrupt()?;
    let absent =
        tool::ringcache()?.args(["status", "--state-dir", &state]).stderr(full()?).output()?;
    ensure!(absent.status.code() == Some(2), "{absent:?}");
    let failed = tool::ringcache()?
        .args(["up", "-f", "/absent", "--state-dir", &state])
        .stderr(full()?)
        .output()?;
    ensure!(failed.status.code() == Some(2), "{failed:?}");
    Ok(())
}

/// A file that takes nothing.
fn full() -> Result<File> {
    Ok(File::options().write(true).open("/dev/full")?)
}

/// The command with its standard error on a full disk.
fn full_error(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" 2>/dev/full", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}
