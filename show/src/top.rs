//! What a cluster does at this moment, node by node.

mod counted;

use ringcache_api::admin::{NodeCurve, NodeHeat, Quantiles};
use ringcache_operator_core::{Observed, ObservedNode};
use serde_json::{Value, json};

pub use self::counted::Counted;
use crate::nodes::{mebibytes, standing};
use crate::table;

/// Nodes count the operations of the last minute and of up to ten seconds more: of so many seconds in the mean, if they are so old.
const COUNTED_SECONDS: f64 = 65.0;

/// What a node has measured lately, besides what it says of itself; `None` = it does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// Its reads.
    pub curve: Option<NodeCurve>,
    /// What its clients do.
    pub heat: Option<NodeHeat>,
    /// What it has counted since it started.
    pub counted: Option<Counted>,
    /// Operations of clients in a second since an earlier look; `None` = there was none.
    pub rate: Option<f64>,
}

/// A cluster at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Top<'a> {
    /// Its name.
    pub name: &'a str,
    /// The moment, as people read it.
    pub at: &'a str,
    /// Its nodes.
    pub observed: &'a Observed,
    /// What each of them has measured, in their order.
    pub loads: &'a [Load],
}

/// What is known of one node.
struct Row<'a> {
    node: &'a ObservedNode,
    /// Whether it answers, as one that takes part or may.
    answers: bool,
    load: &'a Load,
}

/// What all nodes that answer do together.
struct Totals {
    nodes: usize,
    answering: usize,
    operations: Option<f64>,
    hit_ratio: Option<f64>,
    used_bytes: u64,
    limit_bytes: u64,
    /// The slowest node's.
    read_p99: Option<u64>,
    write_p99: Option<u64>,
    /// The busiest node's.
    busy: Option<f64>,
}

impl Load {
    /// Operations of clients in a second: since the look before, or else in the last minute.
    fn operations(&self) -> Option<f64> {
        self.rate.or_else(|| {
            let heat = self.heat.as_ref()?;
            let count = |of: Option<Quantiles>| of.map_or(0, |of| of.count);
            let count = count(heat.read_microseconds) + count(heat.write_microseconds);
            let age = self.counted.map_or(COUNTED_SECONDS, |counted| counted.uptime_seconds);
            Some(count as f64 / age.clamp(1.0, COUNTED_SECONDS))
        })
    }

    fn hit_ratio(&self) -> Option<f64> {
        self.curve.as_ref()?.curve.measured()
    }

    fn reads(&self) -> Option<Quantiles> {
        self.heat.as_ref()?.read_microseconds
    }

    fn writes(&self) -> Option<Quantiles> {
        self.heat.as_ref()?.write_microseconds
    }

    /// How busy its busiest thread is.
    fn busy(&self) -> Option<f64> {
        let threads = self.heat.iter().flat_map(|heat| &heat.threads);
        let busy = self.curve.as_ref().map(|curve| curve.busy);
        threads.map(|thread| thread.busy).chain(busy).reduce(f64::max)
    }
}

impl Top<'_> {
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        const NOTHING: &Load = &Load { curve: None, heat: None, counted: None, rate: None };
        self.observed.nodes.iter().enumerate().map(|(n, node)| Row {
            node,
            answers: self.observed.state(node).is_some(),
            load: self.loads.get(n).unwrap_or(NOTHING),
        })
    }

    fn totals(&self) -> Totals {
        let rows: Vec<_> = self.rows().collect();
        let answering = || rows.iter().filter(|row| row.answers);
        // Each hit ratio counts as much as there were reads.
        let curves = answering().filter_map(|row| Some(&row.load.curve.as_ref()?.curve));
        let (mut reads, mut hits) = (0.0, 0.0);
        for curve in curves {
            reads += curve.reads();
            hits += curve.reads() * curve.measured().unwrap_or_default();
        }
        let loads = || answering().map(|row| row.load);
        let operations = loads().filter_map(Load::operations).reduce(|one, other| one + other);
        let slowest = |of: fn(&Load) -> Option<Quantiles>| {
            loads().filter_map(of).map(|quantiles| quantiles.p99).max()
        };
        Totals {
            nodes: rows.len(),
            answering: answering().count(),
            operations,
            hit_ratio: (reads > 0.0).then(|| hits / reads),
            used_bytes: answering().map(|row| used_bytes(row.node)).sum(),
            limit_bytes: answering().map(|row| row.node.template.memory_bytes).sum(),
            read_p99: slowest(Load::reads),
            write_p99: slowest(Load::writes),
            busy: loads().filter_map(Load::busy).reduce(f64::max),
        }
    }

    /// The totals and a table.
    pub fn text(&self, wide: bool) -> String {
        const HEADER: [&str; 11] = [
            "NODE",
            "STATE",
            "OPS/S",
            "HIT%",
            "BUSY%",
            "MEMORY",
            "LIMIT",
            "READ P50",
            "READ P99",
            "WRITE P50",
            "WRITE P99",
        ];
        const MORE: [&str; 3] = ["RESIDENT", "ENTRIES", "CONNECTIONS"];
        let rows = self.rows().map(|row| {
            let mut cells = cells(self.observed, &row).to_vec();
            if wide {
                let stats =
                    row.node.state.as_ref().map(|state| state.stats).filter(|_| row.answers);
                let more = stats.map(|stats| {
                    let (entries, connections) = (stats.entries, stats.connections);
                    [mebibytes(stats.resident_bytes), entries.to_string(), connections.to_string()]
                });
                cells.extend(more.unwrap_or_else(|| MORE.map(|_| "-".to_owned())));
            }
            cells
        });
        let more: &[&str] = if wide { &MORE } else { &[] };
        let header = [HEADER.as_slice(), more].concat();
        format!("{}\n{}", self.head(), table::plain(&header, 2, rows))
    }

    fn head(&self) -> String {
        let totals = self.totals();
        let percent = |part: f64| format!("{:.1} %", part * 100.0);
        let mut rates: Vec<String> = Vec::new();
        rates.extend(totals.operations.map(|operations| format!("{operations:.0} operations/s")));
        rates.extend(totals.hit_ratio.map(|ratio| format!("{} hits", percent(ratio))));
        let p99 = [("reads", totals.read_p99), ("writes", totals.write_p99)];
        let p99 = p99.map(|(of, p99)| p99.map(|p99| format!("{of} {}", duration(p99))));
        let p99: Vec<String> = p99.into_iter().flatten().collect();
        rates.extend((!p99.is_empty()).then(|| format!("slowest p99: {}", p99.join(", "))));
        rates.extend(totals.busy.map(|busy| format!("busiest thread {}", percent(busy))));
        let first = format!(
            "{} at {}: {} of {} nodes answer, entries take {} of {}",
            self.name,
            self.at,
            totals.answering,
            totals.nodes,
            mebibytes(totals.used_bytes),
            mebibytes(totals.limit_bytes)
        );
        let second = if rates.is_empty() { String::new() } else { rates.join("; ") + "\n" };
        format!("{}\n{second}", table::tame(&first))
    }

    /// The same as JSON, ratios as parts of one and durations in microseconds.
    pub fn json(&self) -> Value {
        let quantiles = |of: Option<Quantiles>| of.map(|of| json!({"p50": of.p50, "p99": of.p99}));
        let node = |row: Row<'_>| {
            let stats = row.node.state.as_ref().map(|state| state.stats).filter(|_| row.answers);
            json!({
                "name": row.node.name,
                "state": standing(self.observed, row.node),
                "operationsPerSecond": row.load.operations(),
                "hitRatio": row.load.hit_ratio(),
                "busy": row.load.busy(),
                "usedBytes": stats.map(|stats| stats.used_bytes),
                "residentBytes": stats.map(|stats| stats.resident_bytes),
                "limitBytes": row.node.template.memory_bytes,
                "entries": stats.map(|stats| stats.entries),
                "connections": stats.map(|stats| stats.connections),
                "readMicroseconds": quantiles(row.load.reads()),
                "writeMicroseconds": quantiles(row.load.writes()),
            })
        };
        let totals = self.totals();
        json!({
            "name": self.name,
            "at": self.at,
            "totals": {
                "nodes": totals.nodes,
                "answering": totals.answering,
                "operationsPerSecond": totals.operations,
                "hitRatio": totals.hit_ratio,
                "usedBytes": totals.used_bytes,
                "limitBytes": totals.limit_bytes,
                "slowestReadP99Microseconds": totals.read_p99,
                "slowestWriteP99Microseconds": totals.write_p99,
                "busiest": totals.busy,
            },
            "nodes": self.rows().map(node).collect::<Vec<_>>(),
        })
    }
}

fn used_bytes(node: &ObservedNode) -> u64 {
    node.state.as_ref().map_or(0, |state| state.stats.used_bytes)
}

fn cells(observed: &Observed, row: &Row<'_>) -> [String; 11] {
    let unknown = || "-".to_owned();
    let percent = |part: Option<f64>| part.map_or_else(unknown, |it| format!("{:.1}", it * 100.0));
    let time = |of: Option<u64>| of.map_or_else(unknown, duration);
    let (reads, writes) = (row.load.reads(), row.load.writes());
    [
        row.node.name.clone(),
        standing(observed, row.node),
        row.load.operations().map_or_else(unknown, |operations| format!("{operations:.0}")),
        percent(row.load.hit_ratio()),
        percent(row.load.busy()),
        if row.answers { mebibytes(used_bytes(row.node)) } else { unknown() },
        mebibytes(row.node.template.memory_bytes),
        time(reads.map(|of| of.p50)),
        time(reads.map(|of| of.p99)),
        time(writes.map(|of| of.p50)),
        time(writes.map(|of| of.p99)),
    ]
}

/// Microseconds as people read them.
fn duration(microseconds: u64) -> String {
    match microseconds {
        0..1_000 => format!("{microseconds}us"),
        1_000..1_000_000 => format!("{:.1}ms", microseconds as f64 / 1e3),
        _ => format!("{:.1}s", microseconds as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use ringcache_api::Incarnation;
    use ringcache_api::admin::ThreadShare;

    use super::*;
    use crate::fixture::{document, node, observed};

    fn load(reads: f64, hits: f64, count: u64, p99: u64) -> Load {
        let curve =
            json!({"depths": [], "absent": 0.0, "expired": 0.0, "reads": reads, "hits": hits});
        let quantiles = Quantiles { count, p50: 80, p95: 200, p99, p999: p99 };
        Load {
            curve: Some(NodeCurve {
                version: 1,
                incarnation: Incarnation::new("u", "1"),
                budget_bytes: 0,
                busy: 0.25,
                half_life_seconds: 5.0,
                curve: serde_json::from_value(curve).expect("a curve"),
            }),
            heat: Some(NodeHeat {
                version: 1,
                incarnation: Incarnation::new("u", "1"),
                hot_keys: Vec::new(),
                busiest_slots: Vec::new(),
                threads: vec![ThreadShare { name: "resp-0".into(), busy: 0.5 }],
                read_microseconds: Some(quantiles),
                write_microseconds: None,
                evicted_unused_milliseconds: None,
                expired_unused_milliseconds: None,
                stampedes: 0,
            }),
            counted: None,
            rate: None,
        }
    }

    #[test]
    fn operations_are_those_since_the_last_look_or_of_as_long_as_there_is_the_node() {
        let mut load = load(0.0, 0.0, 650, 1);
        let mut of_age = |uptime_seconds| {
            load.counted = Some(Counted { requests: 650.0, uptime_seconds });
            load.operations()
        };
        let found = [0.0, 10.0, 65.0, 9999.0].map(&mut of_age);
        assert_eq!(found, [650.0, 65.0, 10.0, 10.0].map(Some));
        load.rate = Some(7.0);
        assert_eq!(load.operations(), Some(7.0));
    }

    fn three_nodes() -> (Observed, [Load; 2]) {
        let mut nodes = ["web-0", "web-1", "web-2"].map(|name| node(name, &[], 0));
        for node in &mut nodes {
            if let Some(state) = &mut node.state {
                (state.stats.used_bytes, state.stats.connections) = (10 << 20, 7);
            }
        }
        nodes[2].state = None;
        let document = document(&[(0, 8191, "web-0"), (8192, 16383, "web-2")]);
        let loads = [load(300.0, 300.0, 6500, 1500), load(100.0, 0.0, 650, 2_500_000)];
        (observed(Some(document), nodes.into()), loads)
    }

    #[test]
    fn every_node_has_a_row_and_what_is_not_told_is_a_dash() {
        let (observed, loads) = three_nodes();
        let top = Top { name: "web", at: "12:00:00", observed: &observed, loads: &loads };
        let wanted = [
            "web at 12:00:00: 2 of 3 nodes answer, entries take 20.0Mi of 512.0Mi",
            "110 operations/s; 75.0 % hits; slowest p99: reads 2.5s; busiest thread 50.0 %",
            "",
            "NODE   STATE   OPS/S   HIT%  BUSY%  MEMORY    LIMIT  READ P50  READ P99  WRITE P50  WRITE P99",
            "web-0  Active    100  100.0   50.0  10.0Mi  256.0Mi      80us     1.5ms          -          -",
            "web-1  Spare      10    0.0   50.0  10.0Mi  256.0Mi      80us      2.5s          -          -",
            "web-2  Silent      -      -      -       -  256.0Mi         -         -          -          -",
        ];
        assert_eq!(top.text(false).lines().collect::<Vec<_>>(), wanted);
        let wide = top.text(true);
        let last = |line: usize| wide.lines().nth(line).and_then(|it| it.split_whitespace().last());
        assert_eq!((last(3), last(4), last(6)), (Some("CONNECTIONS"), Some("7"), Some("-")));
    }

    #[test]
    fn a_hit_ratio_counts_as_much_as_there_are_reads() {
        let (observed, loads) = three_nodes();
        let top = Top { name: "web", at: "", observed: &observed, loads: &loads };
        let json = top.json();
        assert_eq!(json["totals"]["hitRatio"], 0.75);
        assert_eq!(json["totals"]["answering"], 2);
        assert_eq!(json["nodes"][1]["readMicroseconds"]["p99"], 2_500_000);
        assert!(json["nodes"][2]["usedBytes"].is_null(), "{json:#}");
    }

    #[test]
    fn a_cluster_of_which_nothing_is_known_has_a_head_without_numbers() {
        let observed = observed(None, Vec::new());
        let top = Top { name: "web", at: "12:00:00", observed: &observed, loads: &[] };
        assert!(
            top.text(false).starts_with(
                "web at 12:00:00: 0 of 0 nodes answer, entries take 0.0Mi of 0.0Mi\n\nNODE  STATE"
            ),
            "{}",
            top.text(false)
        );
    }
}
