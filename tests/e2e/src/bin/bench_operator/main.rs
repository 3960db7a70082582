//! What the operator costs: its release binary against a real API server, with a platform that is made up. Run by
//! `cargo xtask bench operator`, inside a lab without nodes.

mod costs;
mod counters;
mod memory;
mod objects;
mod operator;
mod platform;
mod reactions;
mod table;
mod wait;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use ringcache_lab::{Lab, Name};

use costs::{Costs, Plan};

/// Measure what the operator costs
#[derive(Parser)]
struct Arguments {
    /// Name of the lab
    #[arg(long)]
    lab: String,
    /// The operator's binary
    #[arg(long)]
    operator: PathBuf,
    /// Unrelated `ConfigMaps`
    #[arg(long)]
    config_maps: usize,
    /// `CacheClusters`, of three nodes each
    #[arg(long)]
    clusters: usize,
    /// Seconds at rest that are measured
    #[arg(long)]
    rest_seconds: u64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let lab = Lab::attach(&Name::try_from(arguments.lab)?)?;
    let options = KubeConfigOptions::default();
    let kubeconfig = Kubeconfig::read_from(lab.kubeconfig())?;
    let client = Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &options).await?)?;
    let plan = Plan {
        config_maps: arguments.config_maps,
        clusters: arguments.clusters,
        rest: Duration::from_secs(arguments.rest_seconds),
    };
    let costs = measure(&lab, &client, &plan, &arguments.operator).await;
    // Nothing is left of the logs when the lab is gone.
    let costs = costs.inspect_err(|_| eprintln!("{}", lab.logs()))?;
    print!("{}", table::render(&plan, &costs));
    Ok(if costs.are_within_limits() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(lab: &Lab, client: &Client, plan: &Plan, operator: &Path) -> Result<Costs> {
    objects::install_crd(lab)?;
    // Its tasks end with the runtime.
    platform::start(lab, client).await?;
    plan.measure(lab, client, operator).await
}
