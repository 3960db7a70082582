//! A cluster on loopback: the real command line, its spec file, its nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::MutexGuard;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ringcache_api::admin::NodeState;
use ringcache_api::{Document, MemberState};
use ringcache_ring::{SLOTS, SlotSet};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::clock::wait_for;
use crate::disk::SmallDisk;
use crate::layout::{self, NodeRecord};
use crate::process::{self, Running};
use crate::{diagnose, http, tool, turn};

/// Longest start of a small cluster on a busy machine.
const START: Duration = Duration::from_secs(30);
/// Longest end of all processes after Ctrl-C.
const STOP: Duration = Duration::from_secs(40);

/// A running local cluster. Dropping it ends `up` and every node, by id.
pub struct Cluster {
    /// Before the directory that it is mounted in: fields are dropped in this order.
    disk: Option<SmallDisk>,
    dir: TempDir,
    base: u16,
    up: Option<Running>,
    /// Everything ever recorded, so that a node whose record is gone but which still runs is ended too.
    seen: BTreeMap<u32, String>,
    /// The cluster's, on the command line of each of its nodes, recorded or not.
    uid: Option<String>,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Writes the spec, starts `ringcache up` on a free block of ports and waits until all slots are where they belong.
    pub fn start(spec: &str, nodes: usize) -> Result<Self> {
        Self::new()?.started(spec, nodes)
    }

    /// The same with the state directory, and nothing else, on a small disk.
    pub fn start_on_small_disk(spec: &str, nodes: usize) -> Result<Self> {
        let mut cluster = Self::new()?;
        cluster.disk = Some(SmallDisk::mount(&cluster.state_dir())?);
        cluster.started(spec, nodes)
    }

    fn new() -> Result<Self> {
        let turn = turn::take();
        Ok(Self {
            disk: None,
            dir: tempfile::Builder::new().prefix("ringcache-test-").tempdir()?,
            base: layout::free_base_port()?,
            up: None,
            seen: BTreeMap::new(),
            uid: None,
            _turn: turn,
        })
    }

    fn started(mut self, spec: &str, nodes: usize) -> Result<Self> {
        self.edit(spec)?;
        self.start_up()?;
        self.wait_converged(nodes, START)?;
        Ok(self)
    }

    /// A spec with that many nodes of that much memory each.
    pub fn spec(nodes: usize, memory: &str) -> String {
        format!(
            "apiVersion: ringcache.dev/v1alpha1\nkind: CacheCluster\nmetadata:\n  name: web\nspec:\n  nodes: {nodes}\n  memory: {memory}\n"
        )
    }

    /// Replaces the spec file as editors do: a new file renamed over the old one.
    pub fn edit(&self, spec: &str) -> Result<()> {
        let next = self.dir.path().join("cluster.yaml.next");
        fs::write(&next, spec)?;
        fs::rename(next, self.spec_file())?;
        Ok(())
    }

    /// Starts `ringcache up`; the one before must have ended.
    pub fn start_up(&mut self) -> Result<()> {
        let mut command = tool::ringcache()?;
        command.arg("up").arg("-f").arg(self.spec_file());
        command.arg("--state-dir").arg(self.state_dir());
        command.arg("--base-port").arg(self.base.to_string());
        self.up = Some(Running::spawn(command, self.dir.path(), "up")?);
        Ok(())
    }

    /// Kills `ringcache up` without notice; the nodes go on.
    pub fn kill_up(&mut self) -> Result<()> {
        self.remember()?;
        let mut up = self.up.take().context("`ringcache up` is not running")?;
        up.signal(Signal::KILL)?;
        up.wait(STOP)?;
        Ok(())
    }

    /// Ctrl-C: waits until `up` has ended well and none of its nodes runs any more.
    pub fn interrupt(&mut self) -> Result<()> {
        let status = self.end(Signal::INT)?;
        ensure!(
            status.success(),
            "`ringcache up` ended with {status} after Ctrl-C\n{}",
            self.diagnosis()
        );
        Ok(())
    }

    /// Tells `up` to end, however it does: waits until it has and makes sure that none of its nodes runs any more.
    pub fn end(&mut self, signal: Signal) -> Result<ExitStatus> {
        self.remember()?;
        let mut up = self.up.take().context("`ringcache up` is not running")?;
        up.signal(signal)?;
        let status = up.wait(STOP).with_context(|| self.diagnosis())?;
        let left = self.running()?;
        ensure!(left.is_empty(), "still running after {signal:?}: {left:?}\n{}", self.diagnosis());
        Ok(status)
    }

    /// Sends `up` a signal, without waiting for what it does.
    pub fn signal_up(&self, signal: Signal) -> Result<()> {
        self.up.as_ref().context("`ringcache up` is not running")?.signal(signal)
    }

    /// Kills a node without notice.
    pub fn kill_node(&self, node: &NodeRecord) -> Result<()> {
        ensure!(process::runs(node.pid, &node.uid), "{node:?} does not run");
        process::send(node.pid, Signal::KILL)
    }

    /// Sends a node a signal, as its host does.
    pub fn signal_node(&self, node: &NodeRecord, signal: Signal) -> Result<()> {
        ensure!(process::runs(node.pid, &node.uid), "{node:?} does not run");
        process::send(node.pid, signal)
    }

    /// The small disk that the state directory is on.
    pub fn disk(&self) -> Result<&SmallDisk> {
        self.disk.as_ref().context("the state directory is on no small disk")
    }

    /// The spec file that `up` follows.
    pub fn spec_file(&self) -> PathBuf {
        self.dir.path().join("cluster.yaml")
    }

    /// The state directory of `up`.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The temporary directory that holds everything of this cluster; loads write their output here.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Everything that `up` has printed.
    pub fn events(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        read("up.out") + &read("up.err")
    }

    /// The recorded nodes, by name.
    pub fn nodes(&self) -> Result<Vec<NodeRecord>> {
        layout::records(&self.state_dir())
    }

    /// Addresses of the Redis protocol of all nodes, separated by commas.
    pub fn seeds(&self) -> Result<String> {
        let seeds =
            self.nodes()?.iter().map(|n| format!("127.0.0.1:{}", n.ports.resp)).collect::<Vec<_>>();
        Ok(seeds.join(","))
    }

    /// The ring document in the state directory.
    pub fn document(&self) -> Result<Document> {
        layout::document(&self.state_dir())?.context("there is no ring.json")
    }

    /// Slots owned per node right now, as the nodes say.
    pub fn owned(&self) -> Result<BTreeMap<String, usize>> {
        let slots = |node: &NodeRecord| Ok((node.name.clone(), owned(&state(node)?).len()));
        self.nodes()?.iter().map(slots).collect()
    }

    /// Slots received by handover since the nodes started, by process.
    pub fn handed_in(&self) -> Result<BTreeMap<u32, u64>> {
        let count = |node: &NodeRecord| Ok((node.pid, state(node)?.ownership.handed_in));
        self.nodes()?.iter().map(count).collect()
    }

    /// Waits until that many nodes run, all are active members, and each owns exactly what the document wants.
    pub fn wait_converged(&mut self, nodes: usize, limit: Duration) -> Result<Document> {
        let what = format!("the cluster has converged on {nodes} nodes");
        let done = wait_for(&what, limit, || {
            self.remember()?;
            if let Some(status) = self.up.as_mut().map(Running::ended).transpose()?.flatten() {
                bail!("`ringcache up` ended with {status}");
            }
            self.converged(nodes)
        });
        done.with_context(|| self.diagnosis())
    }

    fn converged(&self, nodes: usize) -> Result<Result<Document, String>> {
        let Some(document) = layout::document(&self.state_dir())? else {
            return Ok(Err("no ring.json yet".into()));
        };
        let records = self.nodes()?;
        if records.len() != nodes || document.members.len() != nodes {
            let (running, members) = (records.len(), document.members.len());
            return Ok(Err(format!("{running} nodes recorded, {members} members")));
        }
        if let Some(member) = document.members.iter().find(|m| m.state != MemberState::Active) {
            return Ok(Err(format!("{} is {:?}", member.name, member.state)));
        }
        for record in &records {
            let Ok(state) = state(record) else {
                return Ok(Err(format!("{} does not answer", record.name)));
            };
            if state.epoch != document.epoch || owned(&state) != document.intended(&record.name) {
                let (epoch, slots) = (state.epoch, owned(&state).len());
                return Ok(Err(format!("{} owns {slots} slots at epoch {epoch}", record.name)));
            }
        }
        Ok(Ok(document))
    }

    /// Waits until `up` has printed that.
    pub fn wait_event(&self, text: &str, limit: Duration) -> Result<()> {
        let seen = wait_for(&format!("`up` prints {text:?}"), limit, || {
            Ok(if self.events().contains(text) { Ok(()) } else { Err("it has not".into()) })
        });
        seen.with_context(|| self.diagnosis())
    }

    /// All that helps to understand a failure: events, logs, the document, what the nodes say.
    pub fn diagnosis(&self) -> String {
        diagnose::report(&self.events(), &self.state_dir())
    }

    /// Process ids of its nodes, also of those without a record.
    pub fn running(&self) -> Result<BTreeSet<u32>> {
        let seen = self.seen.iter().filter(|(pid, uid)| process::runs(**pid, uid));
        let marked = self.uid.as_deref().map_or_else(|| Ok(Vec::new()), process::with_mark)?;
        Ok(seen.map(|(pid, _)| *pid).chain(marked).collect())
    }

    fn remember(&mut self) -> Result<()> {
        self.seen.extend(self.nodes()?.into_iter().map(|node| (node.pid, node.uid)));
        if let Some(document) = layout::document(&self.state_dir())? {
            self.uid = Some(document.cluster.uid);
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // First `up`, or it would replace the nodes that are about to be killed.
        self.up = None;
        let _ = self.remember();
        for pid in self.running().unwrap_or_default() {
            if let Err(error) = process::send(pid, Signal::KILL) {
                eprintln!("a node: {error:#}");
            }
        }
    }
}

/// What a node says about itself.
pub fn state(node: &NodeRecord) -> Result<NodeState> {
    let answer = http::request(node.ports.admin, "GET", "/admin/v1/state", "")?;
    ensure!(answer.status == 200, "{}: {answer:?}", node.name);
    Ok(serde_json::from_str(&answer.body)?)
}

/// The slots that a node owns.
pub fn owned(state: &NodeState) -> SlotSet {
    SlotSet::from_ranges(state.ownership.owned.iter().map(|(first, last)| *first..=*last))
}

/// Fewest slots that have to move from nodes that own `held` to `nodes` nodes of equal weight, counted the obvious way: the
/// nodes that hold most keep most, every one below its share receives the difference. `held` names nodes that stay only.
pub fn fewest_moves(held: &[usize], nodes: usize) -> usize {
    let mut held = held.to_vec();
    held.resize(nodes, 0);
    held.sort_unstable_by(|a, b| b.cmp(a));
    let (share, larger) = (usize::from(SLOTS) / nodes, usize::from(SLOTS) % nodes);
    let missing = |(index, held): (usize, &usize)| {
        (share + usize::from(index < larger)).saturating_sub(*held)
    };
    held.iter().enumerate().map(missing).sum()
}
