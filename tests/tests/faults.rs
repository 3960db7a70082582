//! What goes wrong on one machine: a node dies, a spec is wrong, the command line is told to stop.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ringcache_ring::{SlotSet, key_slot};
use ringcache_tests::clock::{now, run_for, wait_for};
use ringcache_tests::process::Running;
use ringcache_tests::resp::Connection;
use ringcache_tests::{Cluster, Load, NodeRecord, cluster, tool};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(30);
/// Nodes that have nobody to hand over to try it for 20 seconds.
const HANDING_OVER: Duration = Duration::from_secs(15);

#[test]
fn a_killed_node_is_replaced_and_only_its_slots_suffer() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(3, "256Mi"), 3)?;
    // Pipelines span nodes: an error would be counted for keys of nodes that had none.
    let more = ["--no-pipelines", "--workers", "1"];
    let load = Load::redis_py(cluster.dir(), &cluster.seeds()?, 20_000, &more)?;
    let nodes = cluster.nodes()?;
    let (victim, witness) = (&nodes[1], &nodes[0]);
    let lost = cluster::owned(&cluster::state(victim)?);
    let pids = |nodes: &[NodeRecord]| nodes.iter().map(|n| n.pid).collect::<BTreeSet<u32>>();

    let killed = now();
    cluster.kill_node(victim)?;
    wait_for("a write to a slot of the killed node succeeds", LIMIT, || {
        Ok(write_to(witness, &lost).map_err(|e| format!("{e:#}")))
    })
    .with_context(|| cluster.diagnosis())?;
    println!("first slot of the killed node served again after {:.2?}", killed.elapsed());
    wait_for("all slots are served", LIMIT, || {
        let served: usize = cluster.owned().map_or(0, |owned| owned.values().sum());
        Ok(if served == 16_384 { Ok(()) } else { Err(format!("{served} slots are")) })
    })
    .with_context(|| cluster.diagnosis())?;
    println!("all of its {} slots served again after {:.2?}", lost.len(), killed.elapsed());
    let pid = victim.pid;
    wait_for("the killed node's record is replaced", LIMIT, || {
        let now = pids(&cluster.nodes()?);
        Ok(if now.len() == 3 && !now.contains(&pid) { Ok(()) } else { Err(format!("{now:?}")) })
    })
    .with_context(|| cluster.diagnosis())?;
    cluster.wait_converged(3, LIMIT)?;
    println!("replaced and converged after {:.2?}", killed.elapsed());
    let kept = pids(&nodes).intersection(&pids(&cluster.nodes()?)).count();
    ensure!(kept == 2, "{kept} of the other two nodes still run");
    let (said, slots) = (cluster.events(), lost.len());
    let told = format!("{} ended with {slots} slots and ", victim.name);
    ensure!(said.contains(&told), "{said}");
    let mut status = tool::ringcache()?;
    status.args(["status", "--state-dir"]).arg(cluster.state_dir());
    let shown = tool::output(&mut status)?;
    ensure!(shown.contains("NodesEnded") && shown.contains(&told), "{shown}");

    let report = load.stop()?;
    let problems = report.problems.join("\n");
    ensure!(report.old_values + report.wrong_values == 0, "old or wrong values:\n{problems}");
    for (what, slots) in [("error", &report.error_slots), ("miss", &report.miss_slots)] {
        let others: Vec<_> = slots.iter().filter(|slot| !lost.contains(**slot)).collect();
        ensure!(others.is_empty(), "{what} in slots of other nodes: {others:?}\n{problems}");
    }
    ensure!(!report.miss_slots.is_empty(), "the killed node's data cannot have survived");
    Ok(())
}

/// Writes a key of one of those slots, asking `node` and following its redirect.
fn write_to(node: &NodeRecord, slots: &SlotSet) -> Result<()> {
    let key = (0..1_000_000)
        .map(|n| format!("probe:{n}"))
        .find(|key| slots.contains(key_slot(key.as_bytes())));
    let set: [&[u8]; 3] = [b"SET", key.as_deref().unwrap_or_default().as_bytes(), b"1"];
    let mut reply = Connection::open(node.ports.resp)?.ask(&set)?;
    if let Some((_, port)) = reply.strip_prefix("-MOVED ").and_then(|r| r.rsplit_once(':')) {
        reply = Connection::open(port.parse()?)?.ask(&set)?;
    }
    ensure!(reply == "+OK", "{reply}");
    Ok(())
}

#[test]
fn an_invalid_edit_is_reported_and_changes_nothing() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(2, "128Mi"), 2)?;
    let document = cluster.document()?;
    let edits = [
        (Cluster::spec(0, "128Mi"), ["nodes", "1"]),
        (Cluster::spec(3, "1Mi"), ["`memory`", "at least 64Mi"]),
        (Cluster::spec(3, "128Mi").replace("nodes:", "nodse:"), ["nodse", "unknown"]),
        (Cluster::spec(3, "128Mi").replace("spec:", "spec: ["), ["cluster.yaml", ""]),
    ];
    for (spec, words) in edits {
        let seen = cluster.events().len();
        cluster.edit(&spec)?;
        wait_for(&format!("{words:?} are reported"), LIMIT, || {
            let events = cluster.events();
            let news = events.get(seen..).unwrap_or_default();
            let said = words.iter().all(|word| news.contains(word));
            Ok(if said { Ok(()) } else { Err(news.to_owned()) })
        })
        .with_context(|| cluster.diagnosis())?;
    }
    run_for(Duration::from_secs(1));
    ensure!(cluster.document()? == document, "an invalid edit changed the ring document");
    ensure!(cluster.nodes()?.len() == 2, "an invalid edit changed the nodes");

    cluster.edit(&Cluster::spec(3, "128Mi"))?;
    cluster.wait_converged(3, LIMIT)?;
    Ok(())
}

#[test]
fn a_paused_cluster_stays_as_it_is_until_it_is_unpaused() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(2, "128Mi"), 2)?;
    let (document, nodes) = (cluster.document()?, cluster.nodes()?);
    cluster.edit(&(Cluster::spec(3, "128Mi") + "  paused: true\n"))?;
    run_for(Duration::from_secs(2));
    ensure!(
        cluster.document()? == document && cluster.nodes()? == nodes,
        "{}",
        cluster.diagnosis()
    );
    cluster.edit(&Cluster::spec(3, "128Mi"))?;
    cluster.wait_converged(3, LIMIT)?;
    Ok(())
}

#[test]
fn a_paused_cluster_whose_spec_was_never_recorded_replaces_the_nodes_that_it_loses() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(3, "64Mi"), 3)?;
    cluster.edit(&(Cluster::spec(3, "64Mi") + "  paused: true\n"))?;
    cluster.kill_up()?;
    // As the versions left it that recorded nothing.
    fs::remove_file(cluster.state_dir().join("spec.json"))?;
    cluster.start_up()?;
    wait_for("it is recorded", LIMIT, || {
        let is_there = cluster.state_dir().join("spec.json").exists();
        Ok(if is_there { Ok(()) } else { Err("not yet".to_owned()) })
    })?;
    let lost = cluster.nodes()?.remove(0);
    cluster.kill_node(&lost)?;
    wait_for("another node is in its place", LIMIT, || {
        let nodes = cluster.nodes()?;
        let is_replaced = nodes.len() == 3 && nodes.iter().all(|node| node.uid != lost.uid);
        Ok(if is_replaced { Ok(()) } else { Err(format!("{nodes:?}")) })
    })?;
    cluster.wait_converged(3, LIMIT)?;
    Ok(())
}

#[test]
fn ctrl_c_ends_every_process_and_the_next_start_finds_no_leftovers() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(3, "128Mi"), 3)?;
    cluster.interrupt()?;
    ensure!(cluster.nodes()?.is_empty(), "records are left: {:?}", cluster.nodes()?);
    cluster.start_up()?;
    cluster.wait_converged(3, LIMIT)?;
    cluster.interrupt()
}

#[test]
fn ctrl_c_ends_every_process_although_a_record_cannot_be_read() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(2, "128Mi"), 2)?;
    fs::create_dir(cluster.state_dir().join("nodes/web-9.json"))?;
    cluster.signal_up(Signal::INT)?;
    cluster.wait_event("Ctrl-C again to kill at once", LIMIT)?;
    let status = cluster.end(Signal::INT)?;
    let said = cluster.events();
    ensure!(status.code() == Some(2) && said.contains("nodes/web-9.json: "), "{status}: {said}");
    Ok(())
}

#[test]
fn ctrl_c_does_not_wait_for_nodes_that_hand_over_already() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(2, "64Mi"), 2)?;
    cluster.signal_up(Signal::STOP)?;
    for node in cluster.nodes()? {
        cluster.signal_node(&node, Signal::TERM)?;
        wait_for("it was told to end", LIMIT, || {
            let draining = cluster::state(&node)?.draining;
            Ok(if draining { Ok(()) } else { Err("not yet".to_owned()) })
        })?;
    }
    let began = now();
    cluster.signal_up(Signal::CONT)?;
    cluster.interrupt()?;
    ensure!(began.elapsed() < HANDING_OVER, "it waited for them: {:?}", began.elapsed());
    Ok(())
}

#[test]
fn ctrl_c_ends_every_process_although_the_state_directory_is_gone() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(2, "64Mi"), 2)?;
    // `up` may write into it meanwhile, for the last time.
    wait_for("the directory is gone", LIMIT, || {
        Ok(match fs::remove_dir_all(cluster.state_dir()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        })
    })?;
    // No node is left: `end` makes sure.
    cluster.end(Signal::INT)?;
    ensure!(!cluster.events().contains("killing"), "they were not told to end");
    Ok(())
}

#[test]
fn a_second_command_line_for_the_same_cluster_is_refused() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(2, "128Mi"), 2)?;
    let document = cluster.document()?;
    let mut command = tool::ringcache()?;
    command
        .arg("up")
        .arg("-f")
        .arg(cluster.spec_file())
        .arg("--state-dir")
        .arg(cluster.state_dir());
    let mut second = Running::spawn(command, cluster.dir(), "second")?;
    let status = second.wait(LIMIT)?;
    let said = second.stderr();
    ensure!(!status.success() && said.contains("state"), "{status}: {said}");
    ensure!(cluster.document()? == document);
    cluster.wait_converged(2, LIMIT)?;
    Ok(())
}

#[test]
fn status_tells_ready_from_absent() -> Result<()> {
    let mut cluster = Cluster::start(&Cluster::spec(2, "128Mi"), 2)?;
    let mut status = tool::ringcache()?;
    status.args(["status", "--json", "--state-dir"]).arg(cluster.state_dir());
    let json: serde_json::Value = serde_json::from_str(&tool::output(&mut status)?)?;
    ensure!(json.to_string().contains("web-1"), "{json}");
    cluster.interrupt()?;
    let after = status.output()?;
    ensure!(after.status.code() == Some(2), "{after:?}");
    Ok(())
}
