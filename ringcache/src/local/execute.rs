//! Carries out one step at a time. Every step names the node it means by its uid, and touches no other.

use std::collections::HashMap;
use std::env;
use std::fs::File;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ringcache_admin_client::AdminClient;
use ringcache_api::Ports;
use ringcache_api::admin::{Settings, SettingsFor};
use ringcache_operator_core::{Observed, Step, Template};
use uuid::Uuid;

use super::dir::{NodeRecord, StateDir};
use super::observe::HOST;
use super::ports;
use super::process::{Process, Signal};

/// How long a node goes on forwarding after it was told to stop at most.
const GRACE: Duration = Duration::from_secs(20);
/// How long after it was told to stop it is killed: it should have ended by itself.
pub(super) const PATIENCE: Duration = GRACE.saturating_add(Duration::from_secs(5));

/// The hands of `up`.
pub(super) struct Executor {
    dir: StateDir,
    admin: AdminClient,
    cluster_uid: String,
    base_port: u16,
    /// Nodes started by this process, by uid, until they are reaped. Adopted ones are somebody else's children.
    children: HashMap<String, Child>,
    /// Whether the last start of a node failed.
    pub(super) starts_fail: bool,
}

impl Executor {
    pub(super) fn new(
        dir: StateDir,
        admin: AdminClient,
        cluster_uid: String,
        base_port: u16,
    ) -> Self {
        Self { dir, admin, cluster_uid, base_port, children: HashMap::new(), starts_fail: false }
    }

    /// Carries out a step planned by `observed`; what there is to say about it. `nodes` is the number wanted, to share the cores by; a cluster
    /// that is being `deleted` has nobody to hand slots over to, so its nodes end at once.
    pub(super) async fn execute(
        &mut self,
        step: &Step,
        observed: &Observed,
        nodes: usize,
        deleted: bool,
    ) -> Result<Option<String>> {
        match step {
            Step::WriteDocument { document } => self.dir.write_document(document).map(|()| None),
            Step::PushDocument { name, uid, epoch } => {
                let document = self.dir.document()?.filter(|document| document.epoch == *epoch);
                let document =
                    document.with_context(|| format!("ring.json lacks epoch {epoch}"))?;
                let pushed =
                    self.admin.push(HOST, self.record(name, uid)?.ports.admin, &document).await;
                pushed.with_context(|| format!("pushing epoch {epoch} to {name}")).map(|()| None)
            }
            Step::Configure { name, uid, settings } => {
                let port = self.record(name, uid)?.ports.admin;
                let node = observed.nodes.iter().find(|node| node.uid == *uid);
                let to = node.and_then(|node| node.state.as_ref()).map(|s| s.incarnation.clone());
                let settings = SettingsFor { to, settings: (*settings).into() };
                let configured = self.admin.configure(HOST, port, &settings).await;
                configured.with_context(|| format!("configuring {name}"))?;
                Ok(Some(format!("{name} has new settings")))
            }
            Step::StartNode { name, template, settings } => {
                let started = self.start(name, template, *settings, nodes);
                self.starts_fail = started.is_err();
                started.map(Some)
            }
            Step::StopNode { name, uid, reason } => self.stop(name, uid, reason, deleted),
        }
    }

    fn record(&self, name: &str, uid: &str) -> Result<NodeRecord> {
        let found = self.dir.records()?.into_iter().find(|r| r.name == name && r.uid == uid);
        found.with_context(|| format!("{name} ({uid}) is not recorded"))
    }

    fn start(
        &mut self,
        name: &str,
        template: &Template,
        settings: Settings,
        nodes: usize,
    ) -> Result<String> {
        let ports = free_ports(self.base_port, name)?;
        let uid = Uuid::new_v4().to_string();
        let log = File::options().create(true).append(true).open(self.dir.log(name))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let flags = [
            ("--name", name.to_owned()),
            ("--uid", uid.clone()),
            ("--cluster-uid", self.cluster_uid.clone()),
            ("--memory-bytes", template.memory_bytes.to_string()),
            ("--bind", HOST.to_owned()),
            ("--resp-port", ports.resp.to_string()),
            ("--http-port", ports.http.to_string()),
            ("--admin-port", ports.admin.to_string()),
            ("--bus-port", ports.bus.to_string()),
            ("--threads", (cores / nodes.max(1)).max(1).to_string()),
            ("--ttl-default-seconds", settings.ttl_default_seconds.to_string()),
            ("--ttl-jitter-percent", settings.ttl_jitter_percent.to_string()),
            ("--grace-seconds", GRACE.as_secs().to_string()),
        ];
        let mut child = Command::new(env::current_exe().context("finding this program")?)
            .arg("node")
            .args(flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]))
            // Its output is a file.
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C in the terminal is for `up`, which stops the nodes in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let pid = child.id();
        let process = Process::with_pid(pid);
        let recorded = process.with_context(|| format!("{name} ended at once: see its log"));
        let recorded = recorded.and_then(|process| {
            let (name, uid, template) = (name.to_owned(), uid.clone(), template.clone());
            let stopping_since_ms = None;
            let record = NodeRecord { name, process, uid, ports, template, stopping_since_ms };
            self.dir.write_record(&record)
        });
        if let Err(error) = recorded {
            // Without a record nobody would ever stop it, and the next attempt would find its ports taken.
            child.kill()?;
            child.wait()?;
            return Err(error);
        }
        self.children.insert(uid, child);
        Ok(format!("{name} started (pid {pid})"))
    }

    fn stop(
        &mut self,
        name: &str,
        uid: &str,
        reason: &str,
        deleted: bool,
    ) -> Result<Option<String>> {
        let record = self.record(name, uid)?;
        if !record.process.is_alive() {
            self.dir.remove_record(name)?;
            let how = self.children.remove(uid).and_then(|mut child| child.wait().ok());
            return Ok(match record.stopping_since_ms {
                _ if deleted => Some(format!("{name} stopped")),
                None => Some(gone(&record, how)),
                Some(_) => None,
            });
        }
        // Noted before the signal: a node that is told to stop and not known to be would be taken for a dead one.
        let stopping_since_ms = Some(crate::clock::since_1970().as_millis() as u64);
        let noted = self.dir.write_record(&NodeRecord { stopping_since_ms, ..record.clone() });
        if deleted {
            // Nobody takes over from a node of a deleted cluster, and a full disk must not keep it alive.
            record.process.signal(Signal::INT)?;
            noted?;
        } else {
            noted?;
            record.process.signal(Signal::TERM)?;
        }
        Ok(Some(format!("{name} is told to stop: {reason}")))
    }

    /// Clears away nodes that have stopped as they were told, and kills those that should have long since: what there is to
    /// say of each. A failure with one keeps no other back.
    pub(super) fn reap(&mut self) -> Result<Vec<Result<String>>> {
        let records = self.dir.records()?;
        Ok(records.iter().filter_map(|record| self.reap_one(record).transpose()).collect())
    }

    fn reap_one(&mut self, record: &NodeRecord) -> Result<Option<String>> {
        let Some(since_ms) = record.stopping_since_ms else { return Ok(None) };
        let NodeRecord { name, process, uid, .. } = record;
        let told = Duration::from_millis(since_ms);
        if !process.is_alive() {
            self.dir.remove_record(name)?;
            self.children.remove(uid).map(|mut child| child.wait()).transpose()?;
            return Ok(Some(format!("{name} stopped")));
        }
        if crate::clock::since_1970().saturating_sub(told) > PATIENCE {
            process.signal(Signal::KILL)?;
            return Ok(Some(format!("{name} did not stop in time and is killed")));
        }
        Ok(None)
    }
}

/// The ports of a new node, or why it cannot have them and what to do.
pub(super) fn free_ports(base: u16, name: &str) -> Result<Ports> {
    let ports = ports::number(name).and_then(|number| ports::ports(base, number));
    let ports = ports.with_context(|| {
        format!("there are no ports for {name} from {base} on: choose a lower --base-port")
    })?;
    if let Some((port, purpose)) = ports::taken(ports) {
        bail!(
            "port {port} ({purpose} of {name}) is taken: stop what uses it, or choose other ports with --base-port"
        );
    }
    Ok(ports)
}

fn gone(record: &NodeRecord, how: Option<ExitStatus>) -> String {
    let NodeRecord { name, process, .. } = record;
    let how = match how.map(|status| (status.signal(), status.code())) {
        Some((Some(signal), _)) => format!("killed by signal {signal}"),
        Some((_, Some(code))) => format!("it ended with code {code}"),
        _ => format!("its process {} has ended", process.pid),
    };
    format!("{name} is gone ({how})")
}
