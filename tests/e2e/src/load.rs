//! Checking loads inside the cluster network: `ringcache verify` as a pod, and the stock redis-py cluster client.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use ringcache_tests::clock::wait_for;
use ringcache_tests::{Load, Report};
use rustix::process::Signal;
use serde_json::json;

use crate::world::VERSION;
use crate::{Cluster, Steps, container};

/// Host of the pod that checks; tests that damage or drain a host take another one.
pub const CHECKER_HOST: &str = "node-1";
/// Longest time to write all keys once, and from the signal to the report.
const LIMIT: Duration = Duration::from_mins(2);
const POD: &str = "verify";
/// What it says when nobody answers its seed at the beginning.
const NOBODY: &str = "no cluster answers at";

/// Both loads at once.
pub struct Loads<'a> {
    verify: Verify<'a>,
    redis_py: Load,
}

impl<'a> Loads<'a> {
    /// Starts both, and waits until each has written its `keys`.
    pub fn start(cluster: Cluster<'a>, keys: u32) -> Result<Self> {
        let (seed, dir) = (cluster.seed()?, cluster.namespace().dir());
        let verify = Verify::start(cluster, keys)?;
        let redis_py = Load::redis_py(dir, &seed, keys, &["--workers", "1"])?;
        verify.wait_filled()?;
        Ok(Self { verify, redis_py })
    }

    /// Ends both and returns what they saw, each with its name.
    pub fn stop(self) -> Result<[(&'static str, Report); 2]> {
        Ok([("ringcache verify", self.verify.stop()?), ("redis-py", self.redis_py.stop()?)])
    }

    /// Ends both, and prints what they met in each step; an error if they noticed anything.
    pub fn stop_clean(self, steps: &Steps) -> Result<()> {
        let reports = self.stop()?;
        steps.print(&reports);
        reports.iter().try_for_each(|(_, report)| report.clean())
    }
}

/// `ringcache verify` as a pod beside the cluster.
pub struct Verify<'a> {
    cluster: Cluster<'a>,
    keys: u32,
}

impl<'a> Verify<'a> {
    /// Starts it; its only seed is the client Service by name.
    pub fn start(cluster: Cluster<'a>, keys: u32) -> Result<Self> {
        let verify = Self { cluster, keys };
        verify.create()?;
        Ok(verify)
    }

    fn create(&self) -> Result<()> {
        let seeds = format!("--seeds={}:6379", self.cluster.name());
        let keys = format!("--keys={}", self.keys);
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": POD},
            "spec": {
                "nodeSelector": {"kubernetes.io/hostname": CHECKER_HOST},
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": POD,
                    "image": format!("localhost/ringcache:{VERSION}"),
                    "args": ["verify", "--json", seeds, keys, "--seconds=3600", "--clients=4"],
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        });
        self.cluster.namespace().apply(&manifest.to_string())
    }

    fn wait_filled(&self) -> Result<()> {
        wait_for("ringcache verify has written all keys", LIMIT, || {
            let log = self.log().unwrap_or_else(|error| format!("{error:#}"));
            // Its host may hear of the Service's endpoints later than others.
            if log.contains(NOBODY) {
                self.cluster.namespace().kubectl(&["delete", "pod", POD])?;
                self.create()?;
            }
            Ok(if log.contains("wrote ") { Ok(()) } else { Err(log) })
        })
    }

    /// Ends it as Ctrl-C does, and returns its report.
    pub fn stop(self) -> Result<Report> {
        container::signal(&self.pod()?, Signal::INT)?;
        wait_for("ringcache verify has ended", LIMIT, || {
            let status = self.pod()?.status.unwrap_or_default();
            let phase = status.phase.unwrap_or_default();
            Ok(if ["Succeeded", "Failed"].contains(&phase.as_str()) { Ok(()) } else { Err(phase) })
        })?;
        let log = self.log()?;
        let json = log.lines().rfind(|line| line.starts_with('{'));
        let report: Report = serde_json::from_str(json.with_context(|| log.clone())?)?;
        ensure!(report.operations > 0, "{log}");
        Ok(report)
    }

    fn log(&self) -> Result<String> {
        self.cluster.namespace().kubectl(&["logs", POD])
    }

    fn pod(&self) -> Result<Pod> {
        let namespace = self.cluster.namespace();
        let pods = Api::<Pod>::namespaced(namespace.world().client.clone(), namespace.name());
        Ok(namespace.world().block_on(pods.get(POD))?)
    }
}
