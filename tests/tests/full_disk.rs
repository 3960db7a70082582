//! The disk under a process is full: what runs goes on.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use ringcache_tests::clock::wait_for;
use ringcache_tests::process::Running;
use ringcache_tests::{http, layout, tool, turn};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(30);

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

/// The command with its standard error on a full disk.
fn full_error(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" 2>/dev/full", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}
