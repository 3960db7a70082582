//! Flags of `ringcache verify`.

use std::ops::RangeInclusive;

use clap::Args;

/// Most bytes of a value that the check writes: the nodes' own limit is not far above it.
const MAX_VALUE_BYTES: usize = 1 << 20;

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

fn sizes(text: &str) -> Result<RangeInclusive<usize>, String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let number = |t: &str| t.parse::<usize>().map_err(|e| format!("`{t}`: {e}"));
    let (from, to) = (number(from)?, number(to)?);
    if from < 1 || to > MAX_VALUE_BYTES || from > to {
        return Err(format!("sizes go from 1 to {MAX_VALUE_BYTES} bytes, the smaller first"));
    }
    Ok(from..=to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_refused_below_and_above_their_limits() {
        assert_eq!(sizes("100..1000"), Ok(100..=1000));
        assert_eq!(sizes("100"), Ok(100..=100));
        assert_eq!(sizes(&format!("1..{MAX_VALUE_BYTES}")), Ok(1..=MAX_VALUE_BYTES));
        for bad in [
            "0..1000".into(),
            format!("100..{}", MAX_VALUE_BYTES + 1),
            "200..100".into(),
            "many".into(),
        ] {
            assert!(sizes(&bad).is_err(), "{bad}");
        }
    }
}
