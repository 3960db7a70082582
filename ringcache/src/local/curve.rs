//! `ringcache curve`: which part of the reads would be hits with another number of nodes.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use ringcache_admin_client::AdminClient;
use ringcache_operator_core::autoscaling::Measured;
use serde_json::{Value, json};

use super::autoscale::measured;
use super::dir::StateDir;
use super::observe::observe;
use super::status::absent;
use crate::{output, table};

/// Where nodes beyond the present ones gain less than this, no more are shown.
const LEAST_GAIN: f64 = 0.005;
/// Most nodes that are shown.
const MOST_NODES: usize = 100;
/// Characters of a bar that stands for all reads.
const BAR: usize = 40;
/// Part of the reachable hits that the working set is told for.
const WORKING_SET_PART: f64 = 0.99;
const MIB: u64 = 1 << 20;

/// Flags of `ringcache curve`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CurveArgs {
    /// The state directory that `ringcache up` was given
    #[arg(long, value_name = "DIR", default_value = ".ringcache")]
    state_dir: PathBuf,
    /// One JSON object: the hit ratio of each number of nodes, as parts of one
    #[arg(long)]
    json: bool,
}

/// Prints the curve of a local cluster; 2 if there is none, or if nothing was read.
pub(crate) async fn curve(args: &CurveArgs) -> Result<ExitCode> {
    let dir = StateDir::new(&args.state_dir);
    let Some(cluster) = dir.cluster()? else { return Ok(absent(&args.state_dir)) };
    let admin = AdminClient::new();
    let observed = observe(&dir, &admin, &cluster).await?;
    if observed.nodes.is_empty() {
        return Ok(absent(&args.state_dir));
    }
    let measured = measured(&admin, &observed).await;
    let measured = measured.filter(|measured| measured.served().is_some());
    ensure!(measured.is_some(), "nothing was read lately, or not all nodes answer");
    let measured = measured.as_ref().map(Sizes::of);
    if let Some(sizes) = measured {
        output::print(&if args.json { format!("{:#}\n", sizes.json()) } else { sizes.text() })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the curve says of each number of nodes.
struct Sizes<'a> {
    measured: &'a Measured,
    /// The hit ratios of one node, of two, and so on.
    hit_ratios: Vec<f64>,
}

impl<'a> Sizes<'a> {
    fn of(measured: &'a Measured) -> Self {
        let ratio = |nodes: usize| measured.hit_ratio(nodes).unwrap_or_default();
        let gains = |nodes: &usize| ratio(*nodes) - ratio(nodes - 1) >= LEAST_GAIN;
        let last = (measured.nodes + 1..=MOST_NODES).rev().find(gains).unwrap_or(measured.nodes);
        // One more shows that it gains nothing.
        Self { measured, hit_ratios: (1..=last + 1).map(ratio).collect() }
    }

    fn bytes(&self, nodes: usize) -> u64 {
        self.measured.node_bytes.saturating_mul(nodes as u64)
    }

    fn origin(&self, hit_ratio: f64) -> f64 {
        self.measured.curve.reads() * (1.0 - hit_ratio)
    }

    /// The parts of the reads that are hits at no size: of keys that had expired, and of others.
    fn unavoidable(&self) -> (f64, f64) {
        let expired = self.measured.curve.expired().unwrap_or_default();
        let reachable = self.measured.curve.reachable().unwrap_or_default();
        (expired, (1.0 - reachable - expired).max(0.0))
    }

    fn json(&self) -> Value {
        let (expired, absent) = self.unavoidable();
        let size = |(n, ratio): (usize, &f64)| {
            json!({
                "nodes": n + 1,
                "bytes": self.bytes(n + 1),
                "hitRatio": ratio,
                "originReadsPerSecond": self.origin(*ratio),
            })
        };
        json!({
            "nodes": self.measured.nodes,
            "readsPerSecond": self.measured.curve.reads(),
            "hitRatio": self.measured.served(),
            "workingSetBytes": self.measured.curve.working_set(WORKING_SET_PART),
            "expired": expired,
            "absent": absent,
            "sizes": self.hit_ratios.iter().enumerate().map(size).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let percent = |part: f64| format!("{:.1} %", part * 100.0);
        let rows = self.hit_ratios.iter().enumerate().map(|(n, ratio)| {
            let mark = if n + 1 == self.measured.nodes { "now" } else { "" };
            let bar = "█".repeat((ratio * BAR as f64).round() as usize);
            [
                bar,
                mark.to_owned(),
                (n + 1).to_string(),
                format!("{} MiB", self.bytes(n + 1) / MIB),
                percent(*ratio),
                format!("{:.0}", self.origin(*ratio)),
            ]
        });
        let (expired, absent) = self.unavoidable();
        format!(
            "{:.0} reads/s, {} of them hits\n\n{}\nWorking set: {} MiB hold {} of the hits that are reachable.\nMisses at any size: {} of all reads \
             are of keys that were never written, or not used for long, {} of keys that had expired.\n",
            self.measured.curve.reads(),
            percent(self.measured.served().unwrap_or_default()),
            table::plain(&["HIT RATIO", "", "NODES", "FOR ENTRIES", "HITS", "MISSES/S"], 2, rows),
            self.measured.curve.working_set(WORKING_SET_PART) / MIB,
            percent(WORKING_SET_PART),
            percent(absent),
            percent(expired),
        )
    }
}

#[cfg(test)]
mod tests {
    use ringcache_api::Incarnation;
    use ringcache_api::admin::NodeCurve;

    use super::*;

    /// Two nodes of 10 MiB, of one read each a second for every mebibyte up to 25, and five of keys that nobody wrote.
    fn two_nodes() -> Measured {
        let depths: Vec<(u64, f64)> = (1..=25).map(|size| (size * MIB, 0.5)).collect();
        let curve =
            json!({"depths": depths, "absent": 2.5, "expired": 0.0, "reads": 15.0, "hits": 10.0});
        let node = |n: usize| NodeCurve {
            version: 1,
            incarnation: Incarnation::new(&n.to_string(), "1"),
            budget_bytes: 10 * MIB,
            busy: 0.1,
            half_life_seconds: 5.0,
            curve: serde_json::from_value(curve.clone()).expect("a curve"),
        };
        Measured::of(&[("web-0".into(), node(0)), ("web-1".into(), node(1))], 0).expect("two nodes")
    }

    #[test]
    fn the_present_size_is_marked_and_what_gains_nothing_is_shown_once() {
        let measured = two_nodes();
        let text = Sizes::of(&measured).text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "30 reads/s, 66.7 % of them hits");
        let sizes: Vec<Vec<&str>> =
            lines[3..7].iter().map(|line| line.split_whitespace().skip(1).collect()).collect();
        assert_eq!(sizes[0][..3], ["1", "10", "MiB"], "{text}");
        assert_eq!(sizes[1][..4], ["now", "2", "20", "MiB"], "{text}");
        assert_eq!((sizes[2][0], sizes[3][0], lines.len()), ("3", "4", 10), "{text}");
        assert!(text.contains("Working set: 25 MiB hold 99.0 %"), "{text}");
    }

    #[test]
    fn misses_that_no_size_avoids_go_to_the_origin_whatever_is_added() {
        let measured = two_nodes();
        let json = Sizes::of(&measured).json();
        assert_eq!((&json["nodes"], &json["readsPerSecond"]), (&json!(2), &json!(30.0)));
        let last = &json["sizes"][3];
        let misses = last["originReadsPerSecond"].as_f64().expect("a number");
        assert!((misses - 5.0).abs() < 0.01, "{json:#}");
        assert!((json["absent"].as_f64().expect("a part") - 1.0 / 6.0).abs() < 0.01, "{json:#}");
    }
}
