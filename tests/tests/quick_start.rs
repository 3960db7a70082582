//! The quick start, run as the README says it.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::MutexGuard;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_tests::clock::{now, wait_for};
use ringcache_tests::process::{self, Running};
use ringcache_tests::{NodeRecord, layout, tool, turn};
use rustix::process::Signal;

/// Longest time from the command to Ready, once built.
const READY: Duration = Duration::from_secs(3);
/// Longest build, when a test is run by itself after a change.
const BUILD: Duration = Duration::from_mins(10);
/// Longest end after Ctrl-C on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_mins(1);
const COMMANDS: [&str; 2] = ["cargo run --release -- up", "cargo xtask test"];

#[test]
fn the_first_screen_of_the_readme_has_the_two_commands() -> Result<()> {
    let block = first_block()?;
    for command in COMMANDS {
        ensure!(
            block.lines().any(|line| line.starts_with(command)),
            "{command:?} is not in:\n{block}"
        );
    }
    Ok(())
}

/// The first fenced block of the README, which has to begin within its first 40 lines.
fn first_block() -> Result<String> {
    let readme = fs::read_to_string(tool::workspace().join("README.md"))?;
    let fence = readme.lines().take(40).position(|line| line == "```sh");
    fence.context("no ```sh block in the first 40 lines of the README")?;
    shell_blocks(&readme).next().context("no ```sh block in the README")
}

/// The text of each fenced block of shell commands.
fn shell_blocks(readme: &str) -> impl Iterator<Item = String> {
    readme.split("\n```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()))
}

#[test]
fn the_quick_start_is_ready_within_3_seconds_once_built() -> Result<()> {
    let mut best = Duration::MAX;
    // Three tries: a machine that is busy for a moment must not fail the test.
    for _ in 0..3 {
        let dir = tempfile::tempdir()?;
        let mut command = tool::ringcache()?;
        command.arg("up").args(["--base-port", &layout::free_base_port()?.to_string()]);
        let start = now();
        let mut up = QuickStart::start(command, dir.path())?;
        best = best.min(start.elapsed());
        up.stop()?;
    }
    println!("Ready {best:.2?} after the command, best of three");
    ensure!(best < READY, "Ready after {best:?}");
    Ok(())
}

#[test]
fn the_readmes_commands_work_as_they_stand_and_the_endpoints_as_printed() -> Result<()> {
    let root = tool::workspace();
    let _state = Aside::new(&root.join(".ringcache"))?;
    let readme = fs::read_to_string(root.join("README.md"))?;
    let line = first_block()?.lines().find(|l| l.starts_with(COMMANDS[0])).map(str::to_owned);
    // `exec`, because Ctrl-C in a terminal does not reach the shell that the line was typed into.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("exec {}", line.context("no such command")?));
    let mut up = QuickStart::start(command, root)?;

    // They are printed a moment after the status says Ready.
    let (redis, curl) = wait_for("there are lines to copy", LIMIT, || {
        let printed = up.running.stdout();
        let lines = |program: &str| -> Vec<String> {
            printed.lines().filter_map(|l| Some(l[l.find(program)?..].trim().to_owned())).collect()
        };
        let (redis, curl) = (lines("redis-cli -c "), lines("curl "));
        let complete = !redis.is_empty() && curl.len() >= 2;
        Ok(if complete { Ok((redis, curl)) } else { Err(format!("there are none in:\n{printed}")) })
    })?;
    let said: Vec<_> = redis.iter().chain(&curl).map(|line| shell(line)).collect::<Result<_>>()?;
    ensure!(said.last().is_some_and(|s| s.contains("\"value\":\"hello\"")), "{said:?}");

    let next = shell_blocks(&readme).nth(1).context("no second ```sh block in the README")?;
    for line in next.lines() {
        shell(line)?;
    }
    if next.contains("nodes: 5") {
        let nodes = layout::records(&up.state)?;
        ensure!(nodes.len() == 5, "{} nodes after the README's edit to 5", nodes.len());
        up.nodes = nodes;
    }
    up.stop()
}

/// A path that must not exist during a test: what was there comes back afterwards.
struct Aside {
    path: PathBuf,
    kept: PathBuf,
}

impl Aside {
    fn new(path: &Path) -> Result<Self> {
        let kept = path.with_extension(format!("kept-{}", std::process::id()));
        if path.exists() {
            fs::rename(path, &kept)?;
        }
        Ok(Self { path: path.to_owned(), kept })
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::rename(&self.kept, &self.path);
    }
}

/// Runs a line as a user would who copied it, with the stock `redis-cli` in the path; an error reply is an error.
fn shell(line: &str) -> Result<String> {
    let cli = tool::redis_cli()?;
    let dir = cli.parent().unwrap_or(Path::new("."));
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    let said =
        tool::output(command.args(["-c", line]).current_dir(tool::workspace()).env("PATH", path))?;
    let last = said.lines().last().unwrap_or_default();
    println!("$ {line}\n{last}");
    ensure!(!said.starts_with("(error)") && !said.starts_with("{\"error\""), "{line}: {said}");
    Ok(said)
}

/// `up` as a user runs it: in a terminal's foreground group, state in the default directory.
struct QuickStart {
    running: Running,
    nodes: Vec<NodeRecord>,
    state: PathBuf,
    _output: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl QuickStart {
    /// Starts it in `dir` and waits until `ringcache status` there says Ready.
    fn start(mut command: Command, dir: &Path) -> Result<Self> {
        let turn = turn::take();
        let output = tempfile::tempdir()?;
        command.current_dir(dir).process_group(0);
        let running = Running::spawn(command, output.path(), "up")?;
        let state = dir.join(".ringcache");
        // Built before it is waited for: if it never gets ready, dropping it ends what was started.
        let mut start = Self { running, nodes: Vec::new(), state, _output: output, _turn: turn };
        start.ready(dir)?;
        Ok(start)
    }

    fn ready(&mut self, dir: &Path) -> Result<()> {
        let running = &mut self.running;
        let ready = wait_for("the quick start is ready", BUILD, || {
            ensure!(running.ended()?.is_none(), "it ended");
            let status = tool::ringcache()?.arg("status").current_dir(dir).output()?;
            Ok(if status.status.success() { Ok(()) } else { Err(format!("{status:?}")) })
        });
        ready.with_context(|| format!("{}{}", running.stdout(), running.stderr()))?;
        self.nodes = layout::records(&self.state)?;
        ensure!(self.nodes.len() == 3, "the quick start has 3 nodes, not {}", self.nodes.len());
        Ok(())
    }

    /// Ctrl-C: the terminal signals the whole foreground group. Nothing may be left.
    fn stop(&mut self) -> Result<()> {
        process::send_group(self.running.pid(), Signal::INT)?;
        let status = self.running.wait(LIMIT)?;
        ensure!(status.success(), "{status} after Ctrl-C: {}", self.running.stderr());
        let left: Vec<_> = self.nodes.iter().filter(|n| process::runs(n.pid, &n.uid)).collect();
        ensure!(left.is_empty(), "still running after Ctrl-C: {left:?}");
        Ok(())
    }
}

impl Drop for QuickStart {
    fn drop(&mut self) {
        // Ended by id if the test failed before `stop`; nodes outlive their command line.
        // The whole group: between the shell and `up` there may be a cargo that is still building.
        if matches!(self.running.ended(), Ok(None)) {
            let _ = process::send_group(self.running.pid(), Signal::KILL);
        }
        self.running.kill();
        let recorded = layout::records(&self.state).unwrap_or_default();
        for node in self.nodes.iter().chain(&recorded).filter(|n| process::runs(n.pid, &n.uid)) {
            let _ = process::send(node.pid, Signal::KILL);
        }
    }
}
