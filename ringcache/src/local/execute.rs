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
use ringcache_api::admin::Settings;
use ringcache_operator_core::{Step, Template};
use uuid::Uuid;

use super::dir::{NodeRecord, StateDir};
use super::observe::HOST;
use super::ports;
use super::process::{Process, Signal};

/// How long a node goes on forwarding after it was told to stop at most.
const GRACE: Duration = Duration::from_secs(20);
/// How long after that it is killed: it should have ended by itself.
const OVERDUE: Duration = Duration::from_secs(5);

/// The hands of `up`.
pub(super) struct Executor {
    dir: StateDir,
    admin: AdminClient,
    cluster_uid: String,
    base_port: u16,
    /// Nodes started by this process, by uid, until they are reaped. Adopted ones are somebody else's children.
    children: HashMap<String, Child>,
}

impl Executor {
    pub(super) fn new(
        dir: StateDir,
        admin: AdminClient,
        cluster_uid: String,
        base_port: u16,
    ) -> Self {
        Self { dir, admin, cluster_uid, base_port, children: HashMap::new() }
    }

    /// Carries out a step; what there is to say about it. `nodes` is the number wanted, to share the cores by; a cluster
    /// that is being `deleted` has nobody to hand slots over to, so its nodes end at once.
    pub(super) async fn execute(
        &mut self,
        step: &Step,
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
                let configured = self.admin.configure(HOST, port, settings).await;
                configured.with_context(|| format!("configuring {name}"))?;
                Ok(Some(format!("{name} has new settings")))
            }
            Step::StartNode { name, template, settings } => {
                self.start(name, template, *settings, nodes).map(Some)
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
        let child = Command::new(env::current_exe().context("finding this program")?)
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
        let process = Process::with_pid(child.id());
        let pid = child.id();
        self.children.insert(uid.clone(), child);
        let process = process.with_context(|| format!("{name} ended at once: see its log"))?;
        let (name, template) = (name.to_owned(), template.clone());
        let event = format!("{name} started (pid {pid})");
        let stopping_since_ms = None;
        self.dir.write_record(&NodeRecord {
            name,
            process,
            uid,
            ports,
            template,
            stopping_since_ms,
        })?;
        Ok(event)
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
            return Ok((record.stopping_since_ms.is_none()).then(|| gone(&record, how)));
        }
        // Noted before the signal: a node that is told to stop and not known to be would be taken for a dead one.
        let stopping_since_ms = Some(crate::clock::since_1970().as_millis() as u64);
        self.dir.write_record(&NodeRecord { stopping_since_ms, ..record.clone() })?;
        record.process.signal(if deleted { Signal::INT } else { Signal::TERM })?;
        Ok(Some(format!("{name} is told to stop: {reason}")))
    }

    /// Clears away nodes that have stopped as they were told, and kills those that should have long since.
    pub(super) fn reap(&mut self) -> Result<Vec<String>> {
        let now_ms = crate::clock::since_1970().as_millis() as u64;
        let mut events = Vec::new();
        for record in self.dir.records()? {
            let Some(since_ms) = record.stopping_since_ms else { continue };
            let NodeRecord { name, process, uid, .. } = &record;
            if !process.is_alive() {
                self.dir.remove_record(name)?;
                self.children.remove(uid).map(|mut child| child.wait()).transpose()?;
                events.push(format!("{name} stopped"));
            } else if now_ms.saturating_sub(since_ms) > (GRACE + OVERDUE).as_millis() as u64 {
                process.signal(Signal::KILL)?;
                events.push(format!("{name} did not stop in time and is killed"));
            }
        }
        Ok(events)
    }

    /// Kills every node, for a user who does not want to wait.
    pub(super) fn kill_all(&self) -> Result<()> {
        for record in self.dir.records()? {
            record.process.signal(Signal::KILL)?;
        }
        Ok(())
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
