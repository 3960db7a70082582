//! The command line: a cluster on one machine, its status, a load that checks every reply, and one to see a cache with.
#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when the disk under them is full"
)]

mod clock;
mod latency;
mod load;
mod local;
mod output;
mod random;
mod signals;
mod sizes;
mod stock;
mod verify;

use std::future::Future;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Elastic distributed caches: run one on this machine, watch it, check it under load.
#[derive(Parser)]
#[command(name = "ringcache", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a cluster on this machine from a CacheCluster, and follow edits of it live. Times are UTC
    Up(local::UpArgs),
    /// Show a local cluster; exit code 1 if it is not Ready, 2 if there is none
    Status(local::LookArgs),
    /// Show who owns which slots of a local cluster, and who should
    Ring(local::LookArgs),
    /// Show step by step what would be done, now or for another size, and what that does to the hit ratio. Changes nothing
    Plan(local::PlanArgs),
    /// Show which part of the reads would be hits with another number of nodes; exit code 2 if nothing was read, or a node does not answer
    #[command(alias = "mrc")]
    Curve(local::CurveArgs),
    /// Show the keys that get far more of the operations than others
    Hotkeys(local::LookArgs),
    /// Put a checking load on a cluster; exit code 1 if any reply was wrong
    Verify(verify::VerifyArgs),
    /// Read through a cluster as applications do, with a slow database behind it, and show how it goes
    Load(load::LoadArgs),
    /// Run one cache node: what `up` starts
    #[command(hide = true)]
    Node(cache_node::NodeArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Up(args) => block_on(local::up(&args)),
        Command::Status(args) => block_on(local::status(&args)),
        Command::Ring(args) => block_on(local::ring(&args)),
        Command::Plan(args) => block_on(local::plan(&args)),
        Command::Hotkeys(args) => block_on(local::hot_keys(&args)),
        Command::Curve(args) => block_on(local::curve(&args)),
        Command::Verify(args) => verify::run(&args),
        Command::Load(args) => block_on(load::load(&args)),
        Command::Node(args) => {
            cache_node::run(args).map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    };
    result.unwrap_or_else(|error| {
        output::complain(&format!("error: {error:#}"));
        ExitCode::from(2)
    })
}

fn block_on(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}
