//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::output::{Picture, Plain, Table};

/// What a Ringcache cluster does, why, and what another size would cost. It changes nothing.
#[derive(Parser)]
#[command(name = "kubectl-ringcache", bin_name = "kubectl ringcache", version)]
pub(crate) struct Args {
    /// The namespace of the cluster; by default that of the kubeconfig's context
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// The clusters of all namespaces; of `status` only
    #[arg(short = 'A', long, global = true)]
    pub(crate) all_namespaces: bool,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Which API server, and as whom.
#[derive(ClapArgs, Clone, Debug, Default)]
pub(crate) struct Server {
    /// The context of the kubeconfig; by default the current one
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub(crate) context: Option<String>,
    /// The kubeconfig; by default the files that `KUBECONFIG` lists, or `~/.kube/config`
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show conditions and nodes, or a table of clusters; exit code 1 if one is not Ready, 2 if there is none
    Status(Shown),
    /// Show the nodes and what they say of themselves
    Nodes(Shown),
    /// Show who owns which slots, and who should
    Ring(Which),
    /// Show step by step what the operator would do, now or for another size, and what that does to the hit ratio
    Plan(Plan),
    /// Show what the operator does, what scales the cluster and by which numbers, and what happened lately
    Why(Which),
    /// Show the keys that get far more of the operations than others
    Hotkeys(Which),
    /// Show which part of the reads would be hits with another number of nodes
    #[command(alias = "mrc")]
    Curve(Curve),
    /// Show operations, hit ratio, memory and latencies of each node, again and again until Ctrl-C
    Top(Top),
    /// Write a support archive without values, with keys hashed
    Report(Report),
    /// Write a completion script for a shell
    Completion(Completion),
}

impl Args {
    /// Whether what was given fits together.
    ///
    /// # Errors
    ///
    /// What does not, and what to do instead.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !self.all_namespaces {
            return Ok(());
        }
        if !matches!(self.verb, Verb::Status(_)) {
            return Err("--all-namespaces is for `status`: every other verb is about one cluster");
        }
        if self.namespace.is_some() {
            return Err("either --namespace or --all-namespaces, not both");
        }
        if self.verb.cluster().is_some() {
            return Err(
                "--all-namespaces shows all clusters: for one of them give its name and --namespace",
            );
        }
        Ok(())
    }
}

impl Verb {
    /// Whether it is shown where nodes are, or what becomes of those whose hosts are about to go.
    pub(crate) fn is_about_hosts(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Nodes(_) | Self::Plan(_))
    }

    /// The name of the cluster, if it was given.
    pub(crate) fn cluster(&self) -> Option<&str> {
        let name = match self {
            Self::Status(shown) | Self::Nodes(shown) => &shown.cluster,
            Self::Ring(which) | Self::Why(which) | Self::Hotkeys(which) => &which.cluster,
            Self::Plan(plan) => &plan.which.cluster,
            Self::Curve(curve) => &curve.cluster,
            Self::Top(top) => &top.shown.cluster,
            Self::Report(report) => &report.which.cluster,
            Self::Completion(_) => &None,
        };
        name.as_deref()
    }
}

/// Which cluster, and how it is shown.
#[derive(ClapArgs)]
pub(crate) struct Which {
    /// The name of the cluster; may be left out where there is one in the namespace
    pub(crate) cluster: Option<String>,
    /// By default text for people
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<Plain>,
}

/// The same for what may be wide.
#[derive(ClapArgs)]
pub(crate) struct Shown {
    /// The name of the cluster; may be left out where there is one in the namespace
    pub(crate) cluster: Option<String>,
    /// By default text for people
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<Table>,
}

/// The same for what may be drawn.
#[derive(ClapArgs)]
pub(crate) struct Curve {
    /// The name of the cluster; may be left out where there is one in the namespace
    pub(crate) cluster: Option<String>,
    /// By default text for people
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<Picture>,
}

/// Which cluster, and what it should be like.
#[derive(ClapArgs)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) which: Which,
    /// With so many nodes
    #[arg(long, value_name = "NUMBER")]
    pub(crate) nodes: Option<i32>,
    /// With so much memory for each node, such as 512Mi
    #[arg(long, value_name = "QUANTITY")]
    pub(crate) memory: Option<String>,
}

/// Which cluster, and how often it is looked at.
#[derive(ClapArgs)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) shown: Shown,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) interval: u64,
    /// Look once
    #[arg(long)]
    pub(crate) once: bool,
}

/// Which cluster, and where the archive goes.
#[derive(ClapArgs)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The archive, which must not exist; by default ringcache-NAMESPACE-NAME-TIME.tar.gz in this directory
    #[arg(long, value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: crate::complete::Shell,
}
