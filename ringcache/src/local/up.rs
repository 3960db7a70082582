//! `ringcache up`: from its flags to the loop, and to the end of it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use ringcache_admin_client::AdminClient;
use ringcache_api::CacheCluster;
use ringcache_operator_core::autoscaling::Trend;
use ringcache_operator_core::losses::Holdings;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::dir::StateDir;
use super::execute::{Executor, free_ports};
use super::movement::Movement;
use super::page::{self, PagePort};
use super::report::Reporter;
use super::run::Up;
use super::screen::Screen;
use super::spec::SpecFile;
use super::stop::stop;
use super::watch::Watch;
use super::{adopt, observe, ports, resource};
use crate::clock;
use crate::signals::Signals;

/// What runs if the user brings no spec.
const QUICK_START: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart.yaml"));

/// Flags of `ringcache up`.
#[derive(Args, Clone, Debug)]
pub(crate) struct UpArgs {
    /// A CacheCluster in YAML, followed while it runs; default: the quick start, kept as DIR/cluster.yaml
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Where the state is kept: a cluster that still runs is taken over, not started again
    #[arg(long, value_name = "DIR", default_value = ".ringcache")]
    state_dir: PathBuf,
    /// First port: node n speaks the Redis protocol on N+n, HTTP on N+200+n, has its admin API on N+400+n and its bus on
    /// N+600+n; default: as before, at first 7000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    base_port: Option<u16>,
    /// Port of a page that shows the cluster, on this machine only: 0 is any free one, `off` is none; default: 800 above the first
    /// port
    #[arg(long, value_name = "N|off")]
    page_port: Option<PagePort>,
}

/// Runs a local cluster until it is told to stop.
pub(crate) async fn up(args: &UpArgs) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    let dir = StateDir::new(&args.state_dir);
    let _lock = dir.take()?;
    let mut up = start(args, dir)?;
    let watch = Watch::new(up.spec.path());
    // A dead node need not wait for the next run.
    let mut child_ended = signal(SignalKind::child())?;
    loop {
        let pace = up.run().await;
        tokio::select! {
            () = sleep(pace) => {}
            () = watch.changed() => {}
            _ = child_ended.recv() => {}
            () = signals.recv() => return Box::pin(stop(up, signals)).await,
        }
    }
}

fn start(args: &UpArgs, dir: StateDir) -> Result<Up> {
    let began = clock::now();
    let mut screen = Screen::new();
    let mut spec = SpecFile::new(spec_file(args, &dir)?);
    let wanted = spec.open().context("there is no spec to start with")?;
    let stored = dir.cluster()?;
    let cluster = resource::apply(stored.as_ref(), wanted)?;
    // What is stored already needs no room: on a full disk nodes that run can still be taken over, and stopped.
    if stored.as_ref() != Some(&cluster) {
        dir.write_cluster(&cluster)?;
    }
    let cluster_uid = observe::cluster_ref(&cluster).uid;
    let adopted = adopt::adopt(&dir, &cluster_uid)?;
    let records = dir.records()?;
    let base_of = |name: &str, ports| ports::base(ports, ports::number(name)?);
    let before = records.iter().find_map(|record| base_of(&record.name, record.ports));
    let base_port = args.base_port.or(before).unwrap_or(ports::DEFAULT_BASE);
    if records.is_empty() {
        check_ports(&cluster, base_port)?;
    }
    let admin = AdminClient::new();
    page::open(args.page_port, base_port, &dir, &admin, &mut screen);
    for name in adopted {
        screen.event(&format!("{name} runs without a record and is taken over"));
    }
    if !records.is_empty() {
        let names: Vec<_> = records.iter().map(|record| record.name.as_str()).collect();
        screen.event(&format!("found {}: going on with what was planned", names.join(", ")));
    }
    let executor = Executor::new(dir.clone(), admin.clone(), cluster_uid, base_port);
    let reporter = Reporter::new(&dir);
    let movement = Movement::default();
    Ok(Up {
        dir,
        admin,
        spec,
        cluster,
        edited: None,
        executor,
        holdings: Holdings::default(),
        lost: reporter.status().and_then(|status| status.lost_entries.clone()),
        reporter,
        movement,
        trend: Trend::default(),
        screen,
        began,
        announced: false,
    })
}

/// The user's file, or the quick start in a file of its own, so that it can be edited like any other.
fn spec_file(args: &UpArgs, dir: &StateDir) -> Result<PathBuf> {
    if let Some(file) = &args.file {
        return Ok(file.clone());
    }
    dir.built_in_spec(QUICK_START)
}

/// A taken port is told before anything has been started.
fn check_ports(cluster: &CacheCluster, base_port: u16) -> Result<()> {
    let name = observe::cluster_ref(cluster).name;
    for number in 0..cluster.spec.nodes {
        free_ports(base_port, &format!("{name}-{number}"))?;
    }
    Ok(())
}
