//! The Kubernetes cluster with Ringcache installed in it, once for all tests.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use ringcache_admin_client::AdminClient;
use ringcache_lab::{Lab, Name};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Namespace and name of the release.
pub const SYSTEM: &str = "ringcache-system";
/// Name of the Helm release.
pub const RELEASE: &str = "ringcache";
/// Version of the programs, and the tag of their images.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

static WORLD: OnceLock<Result<World, String>> = OnceLock::new();

/// Everything that tests work with.
pub struct World {
    /// The Kubernetes cluster.
    pub lab: Lab,
    /// A client with an administrator's rights.
    pub client: Client,
    /// A client of the cache nodes.
    pub nodes: AdminClient,
    runtime: Runtime,
}

impl World {
    /// The cluster named by `RINGCACHE_LAB`, with the chart installed as its README says.
    pub fn get() -> Result<&'static Self> {
        let world = WORLD.get_or_init(|| Self::enter().map_err(|error| format!("{error:?}")));
        world.as_ref().map_err(|error| anyhow!("{error}"))
    }

    fn enter() -> Result<Self> {
        let lab = Lab::attach(&Name::try_from(variable("RINGCACHE_LAB")?)?)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let kubeconfig = Kubeconfig::read_from(lab.kubeconfig())?;
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            anyhow::Ok(Client::try_from(config)?)
        })?;
        let world = Self { lab, client, nodes: AdminClient::new(), runtime };
        world.install()?;
        Ok(world)
    }

    /// What a user types, unless somebody has typed it before.
    fn install(&self) -> Result<()> {
        let here = ["--namespace", SYSTEM];
        if self.lab.helm(&[&["status", RELEASE], &here[..]].concat()).is_ok() {
            return Ok(());
        }
        self.install_as(RELEASE, SYSTEM, &[])
    }

    /// `helm install` under any name in any namespace, with those further arguments; waits until it runs.
    pub fn install_as(&self, release: &str, namespace: &str, more: &[&str]) -> Result<()> {
        let chart = chart();
        let install = ["install", release, &chart, "--namespace", namespace, "--create-namespace"];
        self.lab
            .helm(&[&install[..], &["--wait"], more].concat())
            .map(drop)
            .map_err(|error| error.context(self.lab.diagnose(namespace)))
    }

    /// `helm uninstall`; waits until its pods are gone.
    pub fn uninstall(&self, release: &str, namespace: &str) -> Result<()> {
        self.lab.helm(&["uninstall", release, "--namespace", namespace, "--wait"]).map(drop)
    }

    /// `helm upgrade` of the release with those further arguments; waits until it is rolled out.
    pub fn upgrade(&self, more: &[&str]) -> Result<()> {
        let chart = chart();
        let upgrade = ["upgrade", RELEASE, &chart, "--namespace", SYSTEM, "--wait"];
        self.lab.helm(&[&upgrade, more].concat()).map(drop)
    }

    /// `helm test` of the release.
    pub fn test_release(&self) -> Result<()> {
        let said = self.lab.helm(&["test", RELEASE, "--namespace", SYSTEM])?;
        println!("{said}");
        Ok(())
    }

    /// Goes on with something beside the test.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.runtime.spawn(task)
    }

    /// Waits for the end of something asynchronous.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

/// Root of the workspace.
pub fn workspace() -> &'static Path {
    ringcache_tests::tool::workspace()
}

fn chart() -> String {
    workspace().join("charts/ringcache").display().to_string()
}

/// The folder of the image archives.
pub fn images() -> Result<PathBuf> {
    variable("RINGCACHE_IMAGES").map(PathBuf::from)
}

pub(crate) fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| {
        format!("{name} is not set: run these tests with `cargo xtask test --tier t2`")
    })
}
