//! Tier T2: the operator, installed with its chart, on a real cluster that is there for this run
//! only.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use ringcache_lab::{Lab, Name, Options};

use super::needs;
use super::{Outcome, Tally, succeeds};
use crate::cargo::{Workspace, as_typed, cargo};
use crate::counts::Counts;
use crate::{cluster, codegen, images};

/// The tests of the cluster, and those of the benchmark that needs one too.
const TESTS: [&str; 5] = ["--workspace", "--test", "kubernetes", "--bin", "bench_operator"];
/// What is judged when all of them are over.
const AFTERWARDS: [&str; 3] = ["--workspace", "--test", "afterwards"];
const CONFORMANCE: [&str; 3] = ["--workspace", "--test", "conformance"];
/// A thread for each test: which of them run at once is for the tests to say.
const THREADS: &str = "--test-threads=100";
const NODES: u8 = 3;

/// Runs the tier; the cluster is taken down whatever happens.
pub(super) fn run(workspace: &Workspace, counts: &Counts, tally: &mut Tally) -> Outcome {
    let needs = match cluster::prepare().and_then(|()| needs::prepare(workspace)) {
        Ok(needs) => needs,
        Err(why) => return Outcome::Skipped(format!("{why:#}")),
    };
    let built = tally.step("T2  images", || images::run(workspace))
        && tally.step("T2  build", || {
            let others = [&AFTERWARDS[1..], &CONFORMANCE[1..]].concat();
            succeeds(cargo().arg("test").args(TESTS).args(others).arg("--no-run"))
        });
    if !built {
        return Outcome::Failed;
    }
    let (folder, programs) = (cluster::images_folder(workspace), workspace.target.join("release"));
    let mut lab = None;
    let passed = tally.step("T2  cluster up", || {
        let started = lab.insert(up()?);
        println!("images: {}", cluster::load_images(started, &folder)?.join(", "));
        Ok(true)
    }) && lab.as_ref().is_some_and(|lab| {
        let conforms = conformance(lab, workspace, tally);
        let mut run = |step: &str, tests: &[&str]| {
            let mut test = test(lab, tests, [&folder, &programs, &needs.python]);
            tally.test(step, counts.tell(&mut test, 0))
        };
        let passed = [run("T2  test", &TESTS), run("T2  afterwards", &AFTERWARDS)] == [true; 2];
        if !passed {
            tally.step("T2  keep logs", || keep_logs(lab, &workspace.target.join("t2-logs")));
        }
        passed && conforms
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
fn conformance(lab: &Lab, workspace: &Workspace, tally: &mut Tally) -> bool {
    const NAME: &str = "customresourcedefinition/cacheclusters.ringcache.dev";
    let define = || {
        lab.apply(&fs::read_to_string(workspace.root.join(codegen::DEFINITION))?)?;
        lab.kubectl(&["wait", "--for=condition=Established", NAME, "--timeout=2m"])?;
        Ok(true)
    };
    let mut test = as_typed(lab.command(cargo().get_program()));
    test.args(["test", "--offline", "--no-fail-fast"])
        .args(CONFORMANCE)
        .env("RINGCACHE_CONFORMANCE_KUBECONFIG", lab.kubeconfig());
    let passed = tally.step("T2  define", define) && tally.test("T2  conformance", &mut test);
    tally.step("T2  undefine", || lab.kubectl(&["delete", NAME]).map(|_| true)) && passed
}

/// Runs tests in the control plane's namespace: they reach pods and Services by address. What one prints is shown in one piece
/// when all are over, since several print at once.
fn test(lab: &Lab, tests: &[&str], [images, programs, python]: [&Path; 3]) -> Command {
    let mut test = as_typed(lab.command(cargo().get_program()));
    test.args(["test", "--offline", "--no-fail-fast"])
        .args(tests)
        .args(["--", THREADS, "--show-output"])
        .env("RINGCACHE_LAB", lab.name().to_string())
        .env("RINGCACHE_IMAGES", images)
        .env("RINGCACHE_PLUGINS", programs)
        .env("RINGCACHE_PYTHON", python);
    test
}

/// Copies the logs out of the cluster, of which nothing is left soon.
fn keep_logs(lab: &Lab, folder: &Path) -> Result<bool> {
    fs::create_dir_all(folder)?;
    let logs = fs::read_dir(lab.log_folder())?;
    let paths = logs.flatten().map(|entry| entry.path()).chain([lab.audit_log()]);
    for path in paths {
        if let Some(name) = path.file_name() {
            fs::copy(&path, folder.join(name))?;
        }
    }
    println!("logs of the cluster and its audit log: {}", folder.display());
    Ok(true)
}
