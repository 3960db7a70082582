//! `cargo xtask bench`: what our programs cost, measured on release builds.

use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use ringcache_lab::{Lab, Name, Options};

use crate::cargo::{Workspace, cargo};
use crate::{cluster, images};

/// The program that plays the platform and measures.
const PROGRAM: [&str; 6] =
    ["build", "--locked", "--package", "ringcache-e2e", "--bin", "bench_operator"];

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Memory, reconciles and API calls of the operator, on a real API server.
    ///
    /// Starts a control plane without nodes (as root; everything of it is gone afterwards), plays the hosts, the kubelet and
    /// the cache nodes, and prints what the release binary takes and how soon it reacts. Fails if it takes 20 MiB or more with
    /// nothing to do, or if one edit in a hundred shows in the status only after 2 s or more. Takes twenty minutes.
    Operator(Sizes),
}

#[derive(Args)]
struct Sizes {
    /// `ConfigMaps` that are no business of the operator.
    #[arg(long, default_value_t = 10_000)]
    config_maps: u32,
    /// `CacheClusters` of three nodes each.
    #[arg(long, default_value_t = 2_000)]
    clusters: u32,
    /// Seconds at rest that are counted; in 300 every cluster is looked at once.
    #[arg(long, default_value_t = 300)]
    rest_seconds: u32,
}

/// Measures; false if a limit is not kept.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    let What::Operator(sizes) = &arguments.what;
    cluster::prepare()?;
    let built = images::build()? && succeeds(cargo().args(PROGRAM))?;
    if !built {
        return Ok(false);
    }
    eprintln!("bench operator: a control plane");
    let name = Name::try_from(format!("bench{}", std::process::id()))?;
    let lab = Lab::up(&Options { name, nodes: 0, stays: false })?;
    let mut program = lab.command(workspace.target.join("debug/bench_operator"));
    program
        .arg(format!("--lab={}", lab.name()))
        .arg("--operator")
        .arg(workspace.target.join("release/ringcache-operator"))
        .arg(format!("--config-maps={}", sizes.config_maps))
        .arg(format!("--clusters={}", sizes.clusters))
        .arg(format!("--rest-seconds={}", sizes.rest_seconds));
    let passed = succeeds(&mut program);
    lab.down()?;
    passed
}

fn succeeds(command: &mut Command) -> Result<bool> {
    Ok(command.status().with_context(|| format!("cannot run {command:?}"))?.success())
}
