//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// What a Ringcache cluster does, why, and what another size would cost. It changes nothing.
#[derive(Parser)]
#[command(name = "kubectl-ringcache", bin_name = "kubectl ringcache", version)]
pub(crate) struct Args {
    /// The namespace of the cluster; by default that of the kubeconfig's context
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// The context of the kubeconfig; by default the current one
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub(crate) context: Option<String>,
    /// The kubeconfig; by default the files that `KUBECONFIG` lists, or `~/.kube/config`
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show conditions and nodes; exit code 1 if the cluster is not Ready, 2 if there is none
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
    pub(crate) output: Option<Json>,
}

/// The same for what may be wide.
#[derive(ClapArgs)]
pub(crate) struct Shown {
    /// The name of the cluster; may be left out where there is one in the namespace
    pub(crate) cluster: Option<String>,
    /// By default text for people
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<Wide>,
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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Json {
    /// One JSON object
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wide {
    /// One JSON object
    Json,
    /// Text with more columns
    Wide,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Picture {
    /// One JSON object
    Json,
    /// A picture
    Svg,
}
