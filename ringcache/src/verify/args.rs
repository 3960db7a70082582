//! Flags of `ringcache verify`.

use std::ops::RangeInclusive;

use clap::Args;

use crate::sizes::sizes;

/// What to check, and how hard to press.
#[derive(Args, Clone, Debug)]
pub(crate) struct VerifyArgs {
    /// Nodes to learn the cluster from, host:port of the Redis protocol
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) seeds: Vec<String>,
    /// Seconds of mixed load after all keys are written
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=604_800))]
    pub(crate) seconds: u64,
    /// Operations a second, latency counted from the moment each was due; 0 = as many as possible
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,
    /// Plain sockets instead of a stock client, which tries again what it should report: every error counts, and only MOVED is
    /// followed. Besides values it checks times to live, counters, transactions and the order of pipelined replies. It takes
    /// about 4 KiB of the cluster's memory for each key, with values of up to 1 MiB among them
    #[arg(long)]
    pub(crate) raw: bool,
    /// Keys; each is written by one client and read by all
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) keys: u64,
    /// Sizes of the values in bytes, from..to; with --raw most are small, and the default is 1..1048576
    #[arg(
        long,
        default_value = "100..1000",
        default_value_if("raw", "true", "1..1048576"),
        value_parser = sizes
    )]
    pub(crate) value_bytes: RangeInclusive<usize>,
    /// Connections, each with one operation at a time; with --raw clients, each with a connection a node and up to 64
    /// operations at a time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) clients: u64,
    /// Number that all choices follow from, and part of every key; default: another one each time
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// One JSON object at the end on the standard output, progress to the standard error
    #[arg(long)]
    pub(crate) json: bool,
}
