//! The disk under `ringcache up` is full: what runs goes on, what has to wait waits, and it ends when it is told to.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ringcache_tests::clock::{run_for, wait_for};
use ringcache_tests::process::Running;
use ringcache_tests::{Cluster, http, layout, tool, turn};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(30);
/// Time for several runs of the loop, which tries again what has failed twice a second.
const SEVERAL_RUNS: Duration = Duration::from_secs(2);
const FULL: &str = "No space left on device";

#[test]
fn ctrl_c_on_a_full_disk_ends_every_node_and_says_what_was_not_written() -> Result<()> {
    let mut cluster = at_rest(3)?;
    cluster.disk()?.fill()?;
    let status = cluster.end(Signal::INT)?;
    ensure!(status.code() == Some(2), "{status}\n{}", cluster.diagnosis());
    let events = cluster.events();
    let errors: Vec<_> = events.lines().filter(|line| line.starts_with("error: ")).collect();
    let file = cluster.state_dir().join("status.json").display().to_string();
    let [error] = errors[..] else { bail!("not one error: {events}") };
    ensure!(error.contains(&format!("writing {file}: {FULL}")), "{error}");
    said_once(&events)?;
    ensure!(!cluster.events().contains("killing"), "it did not let them end by themselves");
    ensure!(cluster.nodes()?.is_empty(), "records are left: {:?}", cluster.nodes()?);
    let drafts = drafts(&cluster.state_dir())?;
    ensure!(drafts.is_empty(), "half written files are left: {drafts:?}");

    cluster.disk()?.make_room()?;
    cluster.start_up()?;
    cluster.wait_converged(3, LIMIT)?;
    cluster.interrupt()
}

#[test]
fn a_hanging_node_on_a_full_disk_is_killed_by_the_second_ctrl_c() -> Result<()> {
    let mut cluster = at_rest(2)?;
    cluster.disk()?.fill()?;
    let hanging = cluster.nodes()?.into_iter().next().context("no node")?;
    cluster.signal_node(&hanging, Signal::STOP)?;
    cluster.signal_up(Signal::INT)?;
    wait_for("only the hanging node is left", LIMIT, || {
        let running = cluster.running()?;
        Ok(if running.iter().eq([&hanging.pid]) { Ok(()) } else { Err(format!("{running:?}")) })
    })
    .with_context(|| cluster.diagnosis())?;
    let status = cluster.end(Signal::INT)?;
    ensure!(status.code() == Some(2), "{status}\n{}", cluster.diagnosis());
    ensure!(cluster.nodes()?.is_empty(), "records are left: {:?}", cluster.nodes()?);
    Ok(())
}

#[test]
fn nodes_that_are_found_on_a_full_disk_can_be_stopped() -> Result<()> {
    let mut cluster = at_rest(2)?;
    cluster.kill_up()?;
    cluster.disk()?.fill()?;
    cluster.start_up()?;
    cluster.wait_event("found web-0, web-1", LIMIT)?;
    cluster.end(Signal::INT)?;
    ensure!(cluster.nodes()?.is_empty(), "records are left: {:?}", cluster.nodes()?);
    Ok(())
}

#[test]
fn what_a_full_disk_keeps_back_is_said_once_and_done_when_there_is_room() -> Result<()> {
    let mut cluster = at_rest(2)?;
    let (document, nodes) = (cluster.document()?, cluster.nodes()?);
    cluster.disk()?.fill()?;
    cluster.edit(&Cluster::spec(3, "64Mi"))?;
    cluster.wait_event("cluster.json: No space left on device", LIMIT)?;
    run_for(SEVERAL_RUNS);
    said_once(&cluster.events())?;
    ensure!(cluster.document()? == document && cluster.nodes()? == nodes);
    for node in &nodes {
        let answer = http::request(node.ports.http, "GET", "/cache/absent", "")?;
        ensure!(answer.status == 404, "{answer:?}");
    }
    let drafts = drafts(&cluster.state_dir())?;
    ensure!(drafts.is_empty(), "half written files are left: {drafts:?}");

    cluster.disk()?.make_room()?;
    cluster.wait_converged(3, LIMIT)?;
    cluster.wait_event("nothing fails any more", LIMIT)?;
    wait_at_rest(&cluster)?;

    let before = cluster.events().len();
    cluster.disk()?.fill()?;
    cluster.kill_node(&nodes[0])?;
    cluster.wait_event("ring.json: No space left on device", LIMIT)?;
    run_for(SEVERAL_RUNS);
    said_once(cluster.events().get(before..).unwrap_or_default())?;
    cluster.disk()?.make_room()?;
    wait_for("the killed node is replaced", LIMIT, || {
        let replaced = !cluster.nodes()?.contains(&nodes[0]);
        Ok(if replaced { Ok(()) } else { Err("it is still recorded".into()) })
    })
    .with_context(|| cluster.diagnosis())?;
    cluster.wait_converged(3, LIMIT)?;
    cluster.interrupt()
}

#[test]
fn a_node_whose_record_does_not_fit_is_not_left_running() -> Result<()> {
    let mut cluster = at_rest(2)?;
    // Logs that have their page already: the last free page is for the record of one of two new nodes.
    let nodes = cluster.state_dir().join("nodes");
    for name in ["web-2", "web-3"] {
        fs::write(nodes.join(format!("{name}.log")), "an earlier one\n")?;
    }
    cluster.disk()?.fill_but(1)?;
    cluster.edit(&Cluster::spec(4, "64Mi"))?;
    cluster.wait_event("web-3.json: No space left on device", LIMIT)?;
    wait_for("only nodes with a record run", LIMIT, || {
        let recorded: BTreeSet<_> = cluster.nodes()?.iter().map(|node| node.pid).collect();
        let running = cluster.running()?;
        Ok(if running == recorded { Ok(()) } else { Err(format!("{running:?}, not {recorded:?}")) })
    })
    .with_context(|| cluster.diagnosis())?;
    run_for(SEVERAL_RUNS);
    said_once(&cluster.events())?;
    let status = cluster.end(Signal::INT)?;
    ensure!(status.code() == Some(2), "{status}\n{}", cluster.diagnosis());

    cluster.disk()?.make_room()?;
    cluster.start_up()?;
    cluster.wait_converged(4, LIMIT)?;
    cluster.interrupt()
}

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
            bail!("it ended with {status}");
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

/// A cluster whose state directory is on a small disk, and which has nothing to write any more.
fn at_rest(nodes: usize) -> Result<Cluster> {
    let cluster = Cluster::start_on_small_disk(&Cluster::spec(nodes, "64Mi"), nodes)?;
    wait_at_rest(&cluster)?;
    Ok(cluster)
}

fn wait_at_rest(cluster: &Cluster) -> Result<()> {
    let rests = wait_for("the status says that there is nothing to do", LIMIT, || {
        let status =
            fs::read_to_string(cluster.state_dir().join("status.json")).unwrap_or_default();
        Ok(if status.contains("\"Steady\"") { Ok(()) } else { Err(status) })
    });
    rests.with_context(|| cluster.diagnosis())
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

/// What is said of the full disk is said once, whatever the time before it.
fn said_once(events: &str) -> Result<()> {
    let mut said = BTreeSet::new();
    for line in events.lines().filter(|line| line.contains(FULL)) {
        let text = line.split_once(' ').map_or(line, |(_, text)| text);
        ensure!(said.insert(text), "said twice: {line}\n{events}");
    }
    Ok(())
}

/// Files that were begun to replace others by.
fn drafts(state_dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in [state_dir, &state_dir.join("nodes")] {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            found.extend(path.extension().is_some_and(|e| e == "next").then_some(path));
        }
    }
    Ok(found)
}
