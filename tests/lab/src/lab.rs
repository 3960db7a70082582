//! A whole cluster: brought up, used, damaged, taken down.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::control::{self, Control};
use crate::layout::Layout;
use crate::name::{Name, RUN};
use crate::node::Node;
use crate::ready::{self, Heartbeat};
use crate::state::{Owner, State};
use crate::{
    archive, cgroup, command, config, files, mounts, network, processes, programs, sysctls,
};

/// Nodes that fit into the addresses of a lab, and into a machine.
const MAX_NODES: u8 = 9;

/// What lab to bring up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name, from which everything of it is named.
    pub name: Name,
    /// Its nodes, each in a zone of its own: `node-1` in `zone-1` and so on; 0 = a control plane
    /// only.
    pub nodes: u8,
    /// Whether it stays when this process has ended; otherwise the next lab that is brought up
    /// clears it away.
    pub stays: bool,
}

/// A running cluster. Dropping it takes nothing down: other processes may be attached.
pub struct Lab {
    state: State,
    layout: Layout,
}

impl Lab {
    /// Builds what is missing, clears away labs whose process has died, and brings one up: every
    /// node is Ready, cluster DNS is there. Takes some 10 s once built.
    ///
    /// # Errors
    /// There is a lab of that name; or something did not start, in which case nothing of it is left
    /// and the error has the ends of the logs.
    pub fn up(options: &Options) -> Result<Self> {
        ensure!(
            options.nodes <= MAX_NODES,
            "{} nodes: at most {MAX_NODES} are possible",
            options.nodes
        );
        let programs = programs::ensure()?;
        for state in State::all()? {
            if state.owner.as_ref().is_some_and(|owner| !owner.lives()) {
                Self::of(state).take_down()?;
            }
        }
        ensure!(State::load(&options.name)?.is_none(), "lab {} is up already", options.name);
        let owner = if options.stays { None } else { Some(Owner::this_process()?) };
        // With another lab up they are no longer what they were.
        let sysctls = match State::all()?.pop() {
            Some(other) => other.sysctls,
            None => sysctls::read()?,
        };
        let (name, nodes) = (options.name.clone(), options.nodes);
        let state = State { name, nodes, programs, owner, sysctls };
        let lab = Self::of(state);
        if let Err(error) = lab.start() {
            let logs = lab.logs();
            lab.take_down().context("taking down what did not start")?;
            return Err(error.context(logs));
        }
        Ok(lab)
    }

    /// The lab of that name, brought up by whichever process.
    ///
    /// # Errors
    /// There is none.
    pub fn attach(name: &Name) -> Result<Self> {
        Self::find(name)?.with_context(|| format!("lab {name} is not up"))
    }

    /// As [`Lab::attach`], with `None` if there is none.
    ///
    /// # Errors
    /// Its state file cannot be read.
    pub fn find(name: &Name) -> Result<Option<Self>> {
        Ok(State::load(name)?.map(Self::of))
    }

    fn of(state: State) -> Self {
        let layout = Layout::of(&state.name);
        Self { state, layout }
    }

    /// Takes it down: processes, mounts, namespaces, control groups, files. Also after a crash in
    /// the middle of bringing it up or of taking it down.
    ///
    /// # Errors
    /// Something cannot be removed; it can be tried again.
    pub fn down(self) -> Result<()> {
        self.take_down()
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.state.name
    }

    /// Numbers of its nodes; node 1 is `node-1`.
    pub fn nodes(&self) -> std::ops::RangeInclusive<u8> {
        1..=self.state.nodes
    }

    /// Kubeconfig of an administrator, usable in the control plane's namespace.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.certificates().kubeconfig("admin")
    }

    /// What the API server was asked: one JSON `audit.k8s.io/v1` event a line. All calls of service
    /// accounts outside of `kube-system`, all writes of everybody.
    pub fn audit_log(&self) -> PathBuf {
        self.layout.audit_log()
    }

    /// Folder of the processes' logs.
    pub fn log_folder(&self) -> PathBuf {
        self.layout.logs()
    }

    /// A command in the control plane's namespace, from where nodes, pods and Services are
    /// reachable; `kubectl` and `helm` are those of this cluster.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let program = Path::new(program.as_ref());
        control::client(&self.state.name.control(), program, &self.state.programs, &self.layout)
    }

    /// A command in a node's namespace, through which everything passes that goes to its pods.
    ///
    /// # Errors
    /// There is no such node.
    pub fn node_command(&self, node: u8, program: impl AsRef<OsStr>) -> Result<Command> {
        self.node(node)?;
        Ok(command::inside(&self.state.name.node(node), program))
    }

    /// What kubectl writes to standard output.
    ///
    /// # Errors
    /// It did not succeed; the error has all it wrote.
    pub fn kubectl<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String> {
        command::output(self.command("kubectl").args(arguments))
    }

    /// What `kubectl … --output json` writes.
    ///
    /// # Errors
    /// It did not succeed; the error has all it wrote.
    pub fn kubectl_json<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Value> {
        let mut kubectl = self.command("kubectl");
        let text = command::output(kubectl.args(arguments).args(["--output", "json"]))?;
        serde_json::from_str(&text).with_context(|| command::line(&kubectl))
    }

    /// `kubectl apply` of a manifest, YAML or JSON.
    ///
    /// # Errors
    /// It did not succeed; the error has all it wrote.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        let mut kubectl = self.command("kubectl");
        command::output_with_input(kubectl.args(["apply", "--filename", "-"]), manifest)
    }

    /// What helm writes to standard output.
    ///
    /// # Errors
    /// It did not succeed; the error has all it wrote.
    pub fn helm<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String> {
        command::output(self.command("helm").args(arguments))
    }

    /// Imports an image archive (OCI or Docker) on every node.
    ///
    /// # Errors
    /// A node did not take it.
    pub fn load(&self, archive: &Path) -> Result<()> {
        self.each_node(|node| node.load(archive))
    }

    /// Power loss of a node: it falls silent at once, with everything on it. The cluster notices
    /// within 8 s.
    ///
    /// # Errors
    /// There is no such node, or something of it could not be ended.
    pub fn kill_node(&self, node: u8) -> Result<()> {
        self.node(node)?.cut()
    }

    /// Power for a node that was killed: it boots with its old disk, has images but no containers,
    /// and is Ready again.
    ///
    /// # Errors
    /// There is no such node, or it does not become Ready.
    pub fn start_node(&self, node: u8) -> Result<()> {
        let heartbeat = Heartbeat::of(self, node)?;
        let machine = self.node(node)?;
        machine.clear()?;
        machine.power_on()?;
        machine.wait_for_containerd()?;
        machine.join(&self.state.programs)?;
        ready::wait_for_node(self, node, &heartbeat)
    }

    /// The kubelet of a node ends, its pods go on. The cluster notices within 8 s.
    ///
    /// # Errors
    /// There is no such node, or its kubelet could not be ended.
    pub fn stop_kubelet(&self, node: u8) -> Result<()> {
        self.node(node)?.stop_kubelet(&self.state.programs)
    }

    /// Starts a kubelet that was stopped, and waits until its node is Ready again.
    ///
    /// # Errors
    /// There is no such node, or it does not become Ready.
    pub fn start_kubelet(&self, node: u8) -> Result<()> {
        let heartbeat = Heartbeat::of(self, node)?;
        self.node(node)?.start_kubelet(&self.state.programs)?;
        ready::wait_for_node(self, node, &heartbeat)
    }

    fn node(&self, number: u8) -> Result<Node<'_>> {
        ensure!(self.nodes().contains(&number), "there is no node {number} in {:?}", self.nodes());
        Ok(Node { name: &self.state.name, number, layout: &self.layout })
    }

    /// Does something with all nodes at once.
    fn each_node(&self, task: impl Fn(&Node<'_>) -> Result<()> + Sync) -> Result<()> {
        let task = &task;
        std::thread::scope(|scope| {
            let run = |node: Result<Node<'_>>| task(&node?);
            let running: Vec<_> =
                self.nodes().map(|number| scope.spawn(move || run(self.node(number)))).collect();
            let results = running.into_iter().zip(self.nodes()).map(|(thread, number)| {
                let result = thread.join().unwrap_or_else(|_| anyhow::bail!("panicked"));
                result.with_context(|| format!("node {number}"))
            });
            results.collect()
        })
    }

    fn start(&self) -> Result<()> {
        let (state, layout) = (&self.state, &self.layout);
        fs::create_dir_all(layout.root()).with_context(|| layout.root().display().to_string())?;
        state.save()?;
        fs::create_dir_all(layout.logs())?;
        fs::write(layout.resolv_conf(), format!("nameserver {}\n", network::DNS_SERVICE))?;
        layout.certificates().create(state.nodes)?;
        archive::write(&layout.pause_image(), config::PAUSE_IMAGE, &state.programs.join("pause"))?;
        network::create(&state.name)?;

        let control = Control::new(&state.name, &state.programs, layout);
        control.start_api()?;
        self.each_node(|node| {
            node.power_on()?;
            node.wait_for_containerd()?;
            node.load(&layout.pause_image())
        })?;
        ready::wait_for_api(self)?;
        control.start_rest()?;
        self.each_node(|node| node.join(&state.programs))?;
        self.apply(&config::dns_service().to_string())?;
        for node in self.nodes() {
            ready::wait_for_node(self, node, &Heartbeat::none())?;
        }
        ready::wait_for_default_account(self)
    }

    fn take_down(&self) -> Result<()> {
        let name = &self.state.name;
        processes::kill(&[name.control().path()], &name.cgroup())?;
        for node in self.nodes() {
            let node = self.node(node)?;
            node.clear()?;
            node.remove_traces()?;
        }
        network::remove(&name.control())?;
        cgroup::remove(&name.cgroup())?;
        mounts::unmount_below(self.layout.root())?;
        // The state file goes last: as long as anything is left, the lab can be found.
        for entry in fs::read_dir(self.layout.root()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path == self.layout.state() {
                continue;
            }
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            files::gone(removed, &path)?;
        }
        if State::all()?.iter().all(|state| state.name == *name) {
            sysctls::write(&self.state.sysctls)?;
        }
        files::gone(fs::remove_dir_all(self.layout.root()), self.layout.root())?;
        // The folder of all labs goes with the last of them.
        let _ = fs::remove_dir(RUN);
        Ok(())
    }
}
