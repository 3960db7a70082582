//! Flags of `ringcache load`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::phases::Phases;
use super::workload::{Shift, Workload};
use super::zipf::Zipf;
use crate::sizes::sizes;

/// Most keys of a working set.
const MAX_KEYS: u64 = 100_000_000;
/// Steepest popularity: 96 of 100 requests are for one key.
const MAX_EXPONENT: f64 = 5.0;
/// Longest time of any kind, a week.
const MAX_SECONDS: u64 = 604_800;

/// What to ask for, how often, and what a miss costs.
#[derive(Args, Clone, Debug)]
pub(crate) struct LoadArgs {
    /// Nodes to learn the cluster from, host:port of the Redis protocol; default: those of the state directory
    #[arg(long, value_delimiter = ',')]
    pub(super) seeds: Vec<String>,
    /// The state directory that `ringcache up` was given
    #[arg(long, value_name = "DIR", default_value = ".ringcache", conflicts_with = "seeds")]
    pub(super) state_dir: PathBuf,
    /// How long, like 90s, 5m or 1h; default: until the --phases are over, without them until Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) duration: Option<Duration>,
    /// Requests a second at most; 0 = as many as possible
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub(super) rate: u64,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(super) connections: u64,
    /// Keys of the working set
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=MAX_KEYS))]
    keys: u64,
    /// Sizes of the working set one after the other, instead of --keys, like 60s:10000,60s:40000,60s:10000; the last one stays
    #[arg(
        long,
        value_name = "TIME:KEYS,…",
        value_delimiter = ',',
        value_parser = phase,
        conflicts_with = "keys"
    )]
    phases: Vec<(Duration, u64)>,
    /// Replace that PERCENT of the working set by new keys each time after TIME, popular keys as often as rare ones, like 30s:10
    #[arg(long, value_name = "TIME:PERCENT", value_parser = shift)]
    shift: Option<Shift>,
    /// How uneven the keys' popularity is, by Zipf's law: the key of rank k is asked for in proportion to 1/k^EXPONENT; 0 = all
    /// alike
    #[arg(long, value_name = "EXPONENT", default_value_t = 1.0, value_parser = exponent)]
    zipf: f64,
    /// Percent of the requests that are for keys which are asked for only once, as by a scan
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100))]
    scan: u64,
    /// Sizes of the values in bytes, from..to, or one for all
    #[arg(long, default_value = "100..1000", value_parser = sizes)]
    value_bytes: RangeInclusive<usize>,
    /// Time to live of what is written after a miss, like 90s, 5m or 1h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    pub(super) ttl: Duration,
    /// Milliseconds that a read of the origin takes, which stands for the database behind the cache
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub(super) origin_ms: u64,
    /// Reads that the origin serves at once; others wait
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(super) origin_parallel: u64,
    /// Port on all addresses of this machine where Prometheus finds the client's metrics; 0 = one that is free
    #[arg(long, value_name = "PORT")]
    pub(super) metrics_port: Option<u16>,
    /// Number that all requests follow from, and part of every key; default: another one each time
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// One JSON object at the end on the standard output, progress to the standard error
    #[arg(long)]
    pub(super) json: bool,
}

impl LoadArgs {
    /// The requests that the flags describe.
    pub(super) fn workload(&self, seed: u64) -> Workload {
        let phases = Phases::new(self.phases.clone());
        Workload {
            seed,
            phases: phases.unwrap_or_else(|| Phases::constant(self.keys)),
            zipf: Zipf::new(self.zipf),
            shift: self.shift,
            scan_percent: self.scan,
            sizes: self.value_bytes.clone(),
        }
    }

    /// How long the load runs; nothing: until it is told to stop.
    pub(super) fn length(&self) -> Option<Duration> {
        let phases = Phases::new(self.phases.clone()).map(|phases| phases.length());
        self.duration.or(phases)
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    let seconds = units.iter().find_map(|&(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds).filter(|seconds| (1..=MAX_SECONDS).contains(seconds))
    });
    let allowed = "times are a whole number with s, m or h, like 90s, 5m or 1h, up to 168h";
    seconds.map(Duration::from_secs).ok_or_else(|| allowed.to_owned())
}

fn phase(text: &str) -> Result<(Duration, u64), String> {
    let (length, keys) = pair(text, "TIME:KEYS, like 60s:10000")?;
    let number = keys.parse().ok().filter(|keys| (1..=MAX_KEYS).contains(keys));
    Ok((length, number.ok_or_else(|| format!("a working set has 1 to {MAX_KEYS} keys"))?))
}

fn shift(text: &str) -> Result<Shift, String> {
    let (every, percent) = pair(text, "TIME:PERCENT, like 30s:10")?;
    let number = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
    Ok(Shift { every, percent: number.ok_or("1 to 100 percent of the keys can be replaced")? })
}

fn pair<'a>(text: &'a str, form: &str) -> Result<(Duration, &'a str), String> {
    let (length, number) = text.split_once(':').ok_or_else(|| format!("it has the form {form}"))?;
    Ok((time(length)?, number))
}

fn exponent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=MAX_EXPONENT).contains(number));
    number.ok_or_else(|| format!("exponents go from 0, all keys alike, to {MAX_EXPONENT}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        load: LoadArgs,
    }

    fn parse(flags: &str) -> Result<LoadArgs, String> {
        let cli = Cli::try_parse_from(["load"].into_iter().chain(flags.split_whitespace()));
        cli.map(|cli| cli.load).map_err(|error| error.to_string())
    }

    #[test]
    fn without_flags_it_runs_until_it_is_told_to_stop() {
        let args = parse("").unwrap();
        assert_eq!(args.length(), None);
        assert_eq!(args.workload(1).phases, Phases::constant(10_000));
    }

    #[test]
    fn phases_end_the_load_unless_a_duration_does() {
        let second = Duration::from_secs(1);
        let args = parse("--phases 1m:100,30s:400").unwrap();
        assert_eq!(args.length(), Some(90 * second));
        assert_eq!([59, 60].map(|at| args.workload(1).phases.keys(at * second)), [100, 400]);
        let args = parse("--phases 1m:100,30s:400 --duration 2h").unwrap();
        assert_eq!(args.length(), Some(7200 * second));
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_what_is() {
        for (flags, allowed) in [
            ("--duration 90", "like 90s, 5m or 1h"),
            ("--duration 0s", "like 90s, 5m or 1h"),
            ("--ttl 169h", "up to 168h"),
            ("--phases 10000", "TIME:KEYS, like 60s:10000"),
            ("--phases 60s:10,60s:0", "1 to 100000000 keys"),
            ("--phases 60s:10 --keys 5", "cannot be used with"),
            ("--shift 10", "TIME:PERCENT, like 30s:10"),
            ("--shift 30s:101", "1 to 100 percent"),
            ("--shift 30s:0", "1 to 100 percent"),
            ("--zipf=-1", "from 0, all keys alike, to 5"),
            ("--zipf 5.1", "from 0, all keys alike, to 5"),
            ("--zipf NaN", "from 0, all keys alike, to 5"),
            ("--scan 101", "0..=100"),
            ("--keys 0", "1..=100000000"),
            ("--value-bytes 0", "from 1 to 1048576 bytes"),
            ("--seeds a:1 --state-dir b", "cannot be used with"),
        ] {
            let error = parse(flags).unwrap_err();
            assert!(error.contains(allowed), "{flags}: {error}");
        }
    }
}
