//! Tier T2: the operator, installed with its chart, on a real cluster that is there for this run
//! only.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ringcache_lab::{Lab, Name, Options};

use super::needs;
use super::{Outcome, Tally, succeeds};
use crate::cargo::{Workspace, cargo};
use crate::{cluster, images};

/// The tests of the cluster, and those of the benchmark that needs one too.
const TESTS: [&str; 5] = ["--workspace", "--test", "kubernetes", "--bin", "bench_operator"];
const CONFORMANCE: [&str; 3] = ["--workspace", "--test", "conformance"];
const NODES: u8 = 3;

/// Runs the tier; the cluster is taken down whatever happens.
pub(super) fn run(workspace: &Workspace, tally: &mut Tally) -> Outcome {
    let needs = match cluster::prepare().and_then(|()| needs::prepare(workspace)) {
        Ok(needs) => needs,
        Err(why) => return Outcome::Skipped(format!("{why:#}")),
    };
    let built = tally.step("T2  images", || images::run(workspace))
        && tally.step("T2  build", || {
            succeeds(cargo().arg("test").args(TESTS).args(CONFORMANCE[1..].iter()).arg("--no-run"))
        });
    if !built {
        return Outcome::Failed;
    }
    let folder = cluster::images_folder(workspace);
    let mut lab = None;
    let passed = tally.step("T2  cluster up", || {
        let started = lab.insert(up()?);
        println!("images: {}", cluster::load_images(started, &folder)?.join(", "));
        Ok(true)
    }) && lab.as_ref().is_some_and(|lab| {
        let conforms = tally.step("T2  conformance", || conformance(lab));
        tally.step("T2  test", || test(lab, &folder, &needs.python, &workspace.target)) && conforms
    });
    let down = lab.is_none_or(|lab| tally.step("T2  cluster down", || lab.down().map(|()| true)));
    if passed && down { Outcome::Passed } else { Outcome::Failed }
}

fn up() -> Result<Lab> {
    let name = Name::try_from(format!("test{}", std::process::id()))?;
    Lab::up(&Options { name, nodes: NODES, stays: false })
}

/// Runs what the API server in memory claims to do against the real one. No operator is there yet, and
/// no definition is left behind that the chart would not own.
fn conformance(lab: &Lab) -> Result<bool> {
    lab.apply(&ringcache_api::crd_yaml())?;
    let definition = "customresourcedefinition/cacheclusters.ringcache.dev";
    lab.kubectl(&["wait", "--for=condition=Established", definition, "--timeout=60s"])?;
    let mut test = lab.command(cargo().get_program());
    test.args(["test", "--offline", "--no-fail-fast"])
        .args(CONFORMANCE)
        .env("RINGCACHE_CONFORMANCE_KUBECONFIG", lab.kubeconfig());
    let passed = succeeds(&mut test)?;
    lab.kubectl(&["delete", definition])?;
    Ok(passed)
}

/// Runs the tests in the control plane's namespace: they reach pods and Services by address.
fn test(lab: &Lab, images: &Path, python: &Path, target: &Path) -> Result<bool> {
    let mut test = lab.command(cargo().get_program());
    test.args(["test", "--offline", "--no-fail-fast"])
        .args(TESTS)
        .args(["--", "--test-threads=1", "--nocapture"])
        .env("RINGCACHE_LAB", lab.name().to_string())
        .env("RINGCACHE_IMAGES", images)
        .env("RINGCACHE_PYTHON", python);
    let passed = succeeds(&mut test)?;
    if !passed {
        let kept = target.join("t2-logs");
        keep_logs(lab, &kept).context("keeping the logs of the cluster")?;
        eprintln!("logs of the cluster and its audit log: {}", kept.display());
    }
    Ok(passed)
}

/// Copies the logs out of the cluster, of which nothing is left soon.
fn keep_logs(lab: &Lab, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let logs = fs::read_dir(lab.log_folder())?;
    let paths = logs.flatten().map(|entry| entry.path()).chain([lab.audit_log()]);
    for path in paths {
        if let Some(name) = path.file_name() {
            fs::copy(&path, folder.join(name))?;
        }
    }
    Ok(())
}
