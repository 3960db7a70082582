//! A namespace for one test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use ringcache_lab::output_with_input;
use ringcache_tests::clock::wait_for;
use tempfile::TempDir;

use crate::Cluster;
use crate::turn::{Taken, Turn};
use crate::world::{World, variable};

/// Longest time for everything in a namespace to be gone.
const LIMIT: Duration = Duration::from_mins(2);
/// What a cluster and its tests consist of; events are not part of it.
const KINDS: &str = "cacheclusters,pods,services,configmaps,poddisruptionbudgets,endpointslices";
/// Kubernetes puts this one into every namespace.
const NOT_OURS: &str = "configmap/kube-root-ca.crt";

/// A namespace in which restricted Pod Security is enforced. Dropping it without [`Namespace::finish`] means that the test
/// has failed: it prints what is known about it.
pub struct Namespace {
    world: &'static World,
    name: String,
    dir: TempDir,
    finished: bool,
    _turn: Taken,
}

impl Namespace {
    /// Waits for the test's turn, makes it, and waits until pods can be created in it.
    pub fn create(name: &str, turn: Turn) -> Result<Self> {
        let turn = turn.take();
        let world = World::get()?;
        let namespace = Self {
            world,
            name: name.to_owned(),
            dir: tempfile::Builder::new().prefix("ringcache-e2e-").tempdir()?,
            finished: false,
            _turn: turn,
        };
        // One of that name may still be on its way out: nobody waits for that in the end.
        wait_for("the namespace can be made", LIMIT, || {
            let made = world.lab.kubectl(&["create", "namespace", name]);
            Ok(made.map(drop).map_err(|error| error.to_string()))
        })?;
        let enforce = "pod-security.kubernetes.io/enforce=restricted";
        world.lab.kubectl(&["label", "namespace", name, enforce])?;
        wait_for("the namespace has its service account", LIMIT, || {
            let account = namespace.kubectl(&["get", "serviceaccount", "default"]);
            Ok(account.map(drop).map_err(|error| error.to_string()))
        })?;
        Ok(namespace)
    }

    /// Everything that tests work with.
    pub fn world(&self) -> &'static World {
        self.world
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A folder for output of loads.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `kubectl` in this namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.world.lab.kubectl(&[&["--namespace", &self.name], arguments].concat())
    }

    /// `kubectl ringcache`, the plugin, for this namespace.
    pub fn plugin(&self, arguments: &[&str]) -> Result<String> {
        let mut kubectl = self.world.lab.command("kubectl");
        let path = kubectl.get_envs().find_map(|(name, value)| value.filter(|_| name == "PATH"));
        let path = path.map(std::ffi::OsStr::to_owned).unwrap_or_default();
        let plugins = PathBuf::from(variable("RINGCACHE_PLUGINS")?);
        let folders = std::iter::once(plugins).chain(std::env::split_paths(&path));
        kubectl.env("PATH", std::env::join_paths(folders)?);
        let here = ["--namespace", &self.name];
        ringcache_lab::output(kubectl.arg("ringcache").args(arguments).args(here))
    }

    /// `kubectl apply` of a manifest that names no namespace.
    pub fn apply(&self, manifest: &str) -> Result<()> {
        let mut kubectl = self.world.lab.command("kubectl");
        let apply = ["--namespace", &self.name, "apply", "--filename=-"];
        output_with_input(kubectl.args(apply), manifest).map(drop)
    }

    /// What the API server would make of an object that nobody creates, as JSON.
    pub fn dry_run(&self, manifest: &str) -> Result<String> {
        let mut kubectl = self.world.lab.command("kubectl");
        let create = ["create", "--dry-run=server", "--output=json", "--filename=-"];
        kubectl.args(["--namespace", &self.name]).args(create);
        output_with_input(&mut kubectl, manifest)
    }

    /// A `CacheCluster` with that spec, just applied.
    pub fn applied<'a>(&'a self, name: &'a str, spec: &str) -> Result<Cluster<'a>> {
        self.apply(&format!(
            "apiVersion: ringcache.dev/v1alpha1\nkind: CacheCluster\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        ))?;
        Ok(Cluster::new(self, name))
    }

    /// A `CacheCluster` with that spec, ready to serve.
    pub fn serving<'a>(&'a self, name: &'a str, nodes: usize, spec: &str) -> Result<Cluster<'a>> {
        let cluster = self.applied(name, spec)?;
        cluster.wait_settled(nodes)?;
        Ok(cluster)
    }

    /// What of a cluster is in it, as `kind/name`.
    pub fn content(&self) -> Result<Vec<String>> {
        let names = self.kubectl(&["get", KINDS, "--output", "name"])?;
        Ok(names.lines().filter(|name| *name != NOT_OURS).map(str::to_owned).collect())
    }

    /// Tells everything in it to go; that it does, the last of all tests waits for.
    pub fn finish(mut self) -> Result<()> {
        // Nodes that hold slots look for takers as long as they may, here in vain: a test of its own waits for that. They can
        // only be hurried before they were told to end, and the operator must not replace them meanwhile, so the clusters go
        // first and leave them behind.
        self.kubectl(&["delete", "cacheclusters", "--all", "--cascade=orphan"])?;
        self.kubectl(&["delete", "pods", "--all", "--grace-period=1", "--wait=false"])?;
        self.finished = true;
        self.delete()
    }

    fn delete(&self) -> Result<()> {
        let delete = ["delete", "namespace", &self.name, "--wait=false"];
        let answer = self.world.lab.kubectl(&delete)?;
        ensure!(answer.contains("deleted"), "{answer}");
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        eprintln!("{}", self.world.lab.diagnose(&self.name));
        if let Err(error) = self.delete() {
            eprintln!("{error:#}");
        }
    }
}
