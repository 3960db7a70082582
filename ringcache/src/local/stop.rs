//! The end of `ringcache up`: of every node first, whatever cannot be read or written meanwhile.

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Error, Result, bail};
use tokio::time::sleep;

use super::adopt::running;
use super::execute::PATIENCE;
use super::observe::cluster_ref;
use super::process::{Process, Signal};
use super::run::Up;
use crate::clock;
use crate::signals::Signals;

/// How long a killed node takes to end at most, unless the system itself holds it.
const KILLED: Duration = Duration::from_secs(10);

/// Ends every node, then the command. A second Ctrl-C does not wait for them.
pub(super) async fn stop(mut up: Up, mut signals: Signals) -> Result<ExitCode> {
    up.screen.event("stopping… (Ctrl-C again to kill at once)");
    up.delete();
    let mut kill_at = clock::now() + PATIENCE;
    let mut killing = false;
    let mut told = HashSet::new();
    // What failed on the way, each once: the same may fail in every run.
    let mut troubles: Vec<String> = Vec::new();
    loop {
        // Asked before the run, which clears away what is left of those that have ended by now.
        let left = left(&up)?;
        let names: Vec<_> = left.iter().map(|(name, _)| name.as_str()).collect();
        let now = clock::now();
        if !left.is_empty() && now > kill_at + KILLED {
            bail!("still running although killed: {}", names.join(", "));
        }
        if !left.is_empty() && now >= kill_at {
            for (_, process) in &left {
                // One that cannot be killed keeps no other alive, and is told of in the end.
                let _ = process.signal(Signal::KILL);
            }
            if !killing {
                up.screen.event(&format!("killing {}", names.join(", ")));
            }
            killing = true;
        }
        // All at once, whatever can be read or planned, and those that hand over already: nobody is left to take their slots.
        for (_, process) in left.iter().filter(|(_, process)| told.insert(process.pid)) {
            let _ = process.signal(Signal::INT);
        }
        let (pace, failed) = up.attempt().await;
        note(&mut troubles, failed);
        if left.is_empty() {
            break;
        }
        tokio::select! {
            () = sleep(pace) => {}
            () = signals.recv() => kill_at = kill_at.min(clock::now()),
        }
    }
    up.screen.show("");
    note(&mut troubles, up.dir.forget_ring().err());
    if let Some(first) = troubles.first() {
        let more = match troubles.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        bail!("every node has ended, but this failed meanwhile: {first}{more}");
    }
    let kept = up.dir.path().display();
    up.screen.event(&format!("stopped; {kept} keeps the cluster's identity and the logs"));
    Ok(ExitCode::SUCCESS)
}

/// Name and process of each node that runs. Asked of the records and of the system: either may not know of a node, records
/// may be unreadable, and nobody may be left behind.
fn left(up: &Up) -> Result<Vec<(String, Process)>> {
    let recorded = up.dir.records().unwrap_or_default().into_iter();
    let recorded = recorded.map(|record| (record.name, record.process));
    let found = running(&cluster_ref(&up.cluster).uid)?.into_iter();
    let found = found.map(|(node, process)| (node.name, process));
    let mut left: Vec<_> =
        recorded.filter(|(_, process)| process.is_alive()).chain(found).collect();
    left.sort_by_key(|(_, process)| process.pid);
    left.dedup_by_key(|(_, process)| process.pid);
    Ok(left)
}

/// Adds what failed, each failure once.
fn note(troubles: &mut Vec<String>, failed: impl IntoIterator<Item = Error>) {
    for trouble in failed.into_iter().map(|error| format!("{error:#}")) {
        if !troubles.contains(&trouble) {
            troubles.push(trouble);
        }
    }
}
