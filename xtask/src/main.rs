//! Development tasks: `cargo xtask test | codegen | tidy`.

mod cargo;
mod codegen;
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
    let workspace = cargo::Workspace::find()?;
    let success = match Arguments::parse().task {
        Task::Test { tier } => test::run(&workspace, tier),
        Task::Codegen { check } => codegen::run(&workspace, check)?,
        Task::Tidy => tidy::run(&workspace)?,
    };
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
