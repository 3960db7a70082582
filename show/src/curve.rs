//! The miss-ratio curve: which part of the reads would be hits with another number of nodes.

use ringcache_operator_core::autoscaling::Measured;
use serde_json::{Value, json};

use crate::table;

/// Where nodes beyond the present ones gain less than this, no more are shown.
const LEAST_GAIN: f64 = 0.005;
/// Most nodes that are shown.
const MOST_NODES: usize = 100;
/// Characters of a bar that stands for all reads.
const BAR: usize = 40;
/// Part of the reachable hits that the working set is told for.
const WORKING_SET_PART: f64 = 0.99;
const MIB: u64 = 1 << 20;

/// The edges of the picture's axes.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 320.0;
/// Most numbers below the picture.
const MOST_LABELS: usize = 20;
const STYLE: &str = "<style>\n\
    svg { font: 12px sans-serif; fill: #222 }\n\
    .grid { stroke: #ccc } .now { stroke: #888; stroke-dasharray: 4 4 }\n\
    polyline { fill: none; stroke: #0a6ebd; stroke-width: 2 } circle { fill: #0a6ebd }\n\
    @media (prefers-color-scheme: dark) {\n\
    svg { fill: #ddd } .grid { stroke: #444 } polyline { stroke: #5ab4f5 } circle { fill: #5ab4f5 }\n\
    }\n</style>\n";

/// What the curve says of each number of nodes.
pub struct Sizes<'a> {
    measured: &'a Measured,
    /// The hit ratios of one node, of two, and so on.
    hit_ratios: Vec<f64>,
}

impl<'a> Sizes<'a> {
    /// For one node, and so on, up to one more than gains something.
    pub fn of(measured: &'a Measured) -> Self {
        let ratio = |nodes: usize| measured.hit_ratio(nodes).unwrap_or_default();
        let gains = |nodes: &usize| ratio(*nodes) - ratio(nodes - 1) >= LEAST_GAIN;
        let last = (measured.nodes + 1..=MOST_NODES).rev().find(gains).unwrap_or(measured.nodes);
        // One more shows that it gains nothing.
        Self {
            measured,
            hit_ratios: (1..=(last + 1).min(MOST_NODES.max(measured.nodes))).map(ratio).collect(),
        }
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

    /// As JSON, ratios as parts of one.
    pub fn json(&self) -> Value {
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

    /// A picture of it, for light and dark pages: SVG without anything from elsewhere.
    pub fn svg(&self) -> String {
        let sizes = self.hit_ratios.len();
        let steps = sizes.saturating_sub(1).max(1) as f64;
        let x = |nodes: f64| LEFT + (nodes - 1.0) / steps * (RIGHT - LEFT);
        let y = |ratio: f64| BOTTOM - ratio * (BOTTOM - TOP);
        let points = self.hit_ratios.iter().enumerate();
        let points = points.map(|(n, ratio)| format!("{:.1},{:.1}", x(n as f64 + 1.0), y(*ratio)));
        let line = points.collect::<Vec<_>>().join(" ");
        let now = x(self.measured.nodes as f64);
        let every = sizes.div_ceil(MOST_LABELS);
        let nodes = (1..=sizes).filter(|n| n % every == 0 || *n == 1).map(|n| {
            let x = x(n as f64);
            format!(
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{n}</text>\n",
                BOTTOM + 18.0
            )
        });
        let percents = (0..=4).map(|quarter| {
            let (percent, y) = (quarter * 25, y(f64::from(quarter) / 4.0));
            format!(
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>\n<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{percent} %</text>\n",
                LEFT - 8.0,
                y + 4.0
            )
        });
        let served = self.measured.served().unwrap_or_default();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 380\" role=\"img\" aria-labelledby=\"title\">\n\
             <title id=\"title\">Hit ratio by the number of nodes: {:.1} % with {} now</title>\n{STYLE}\
             {}{}<path class=\"now\" d=\"M{now:.1} {TOP}V{BOTTOM}\"/>\n\
             <text x=\"{now:.1}\" y=\"{:.1}\" text-anchor=\"middle\">now: {:.1} %</text>\n\
             <polyline points=\"{line}\"/>\n<circle cx=\"{now:.1}\" cy=\"{:.1}\" r=\"4\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">nodes, each with {} MiB for entries</text>\n</svg>\n",
            served * 100.0,
            self.measured.nodes,
            percents.collect::<String>(),
            nodes.collect::<String>(),
            TOP - 8.0,
            served * 100.0,
            y(served),
            f64::midpoint(LEFT, RIGHT),
            BOTTOM + 42.0,
            self.bytes(1) / MIB,
        )
    }

    /// A table with bars.
    pub fn text(&self) -> String {
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
pub(crate) mod tests {
    use ringcache_api::Incarnation;
    use ringcache_api::admin::NodeCurve;

    use super::*;

    /// Two nodes of 10 MiB, of one read each a second for every mebibyte up to 25, and five of keys that nobody wrote.
    pub(crate) fn two_nodes() -> Measured {
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

    #[test]
    fn the_picture_is_well_formed_and_says_where_the_cluster_is() {
        let measured = two_nodes();
        let svg = Sizes::of(&measured).svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(svg.contains("now: 66.7 %"), "{svg}");
        let (opened, closed) = (svg.matches('<').count(), svg.matches('>').count());
        assert_eq!(opened, closed);
        let line = svg.split("<polyline points=\"").nth(1).and_then(|rest| rest.split('"').next());
        assert_eq!(line.map(|line| line.split(' ').count()), Some(4), "one to four nodes");
    }
}
