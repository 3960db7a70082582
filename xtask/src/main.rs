//! Development tasks: `cargo xtask test | bench | cluster | images | dist | codegen | tidy`.

mod bench;
mod cargo;
mod cluster;
mod codegen;
mod dist;
mod images;
mod packages;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks of Ringcache.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run the tests, quick tiers first; prepares what they need.
    Test {
        /// Only this tier.
        #[arg(long)]
        tier: Option<test::Tier>,
    },
    /// Measure what our programs cost.
    Bench(bench::Arguments),
    /// A Kubernetes on this machine, for trying things out.
    Cluster(cluster::Arguments),
    /// Build the programs in release mode and write their container images.
    Images,
    /// Write the manifests for those who install without Helm.
    Dist,
    /// Write the files that are generated from the types.
    Codegen {
        /// Write nothing; fail if a file is out of date.
        #[arg(long)]
        check: bool,
    },
    /// Check what compiler and clippy do not.
    Tidy,
}

fn main() -> anyhow::Result<ExitCode> {
    let workspace = cargo::Workspace::find;
    let success = match Arguments::parse().task {
        Task::Test { tier } => test::run(&workspace()?, tier),
        Task::Bench(arguments) => bench::run(&workspace()?, &arguments)?,
        Task::Cluster(arguments) => cluster::run(arguments)?,
        Task::Images => images::run(&workspace()?)?,
        Task::Dist => dist::run(&workspace()?)?,
        Task::Codegen { check } => codegen::run(check)?,
        Task::Tidy => tidy::run(&workspace()?)?,
    };
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
