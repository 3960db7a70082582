//! Development tasks: `cargo xtask test | soak | bench | cluster | images | dist | codegen | tidy`.

mod bench;
mod cargo;
mod cluster;
mod codegen;
mod counts;
mod dist;
mod images;
mod packages;
mod soak;
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
        /// What sampled tests draw; by default a number that changes with every commit.
        #[arg(long)]
        seed: Option<u32>,
    },
    /// Run all tests with the long counts, and write how that ended into the docs.
    Soak {
        /// Only this tier.
        #[arg(long)]
        tier: Option<test::Tier>,
        /// What sampled tests draw; by default a number that changes with every commit.
        #[arg(long)]
        seed: Option<u32>,
    },
    /// Measure what our programs cost.
    Bench(bench::Arguments),
    /// A Kubernetes on this machine, for trying things out.
    Cluster(cluster::Arguments),
    /// Build the programs in release mode and write their container images.
    Images,
    /// Write the manifests for those who install without Helm.
    Dist,
    /// Write the files that are generated.
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
        Task::Test { tier, seed } => test::daily(&workspace()?, tier, seed),
        Task::Soak { tier, seed } => soak::run(&workspace()?, tier, seed)?,
        Task::Bench(arguments) => bench::run(&workspace()?, &arguments)?,
        Task::Cluster(arguments) => cluster::run(arguments)?,
        Task::Images => images::run(&workspace()?)?,
        Task::Dist => dist::run(&workspace()?)?,
        Task::Codegen { check } => codegen::run(&workspace()?, check)?,
        Task::Tidy => tidy::run(&workspace()?)?,
    };
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
