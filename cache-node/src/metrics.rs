//! The node's metrics in the text format of Prometheus: one table says name, type, meaning and value of each.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::TextEncoder;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use ringcache_api::admin::Ownership;
use ringcache_store::Stats;

use crate::admin::HOT_KEYS;
use crate::memory::resident_bytes;
use crate::node::Node;
use crate::served::Tally;

/// What the values are taken from, read once for all metrics.
struct Sample<'a> {
    node: &'a Node,
    stats: Stats,
    served: Tally,
    ownership: Option<&'a Ownership>,
}

/// One metric. Where `redis_exporter` has the concept, the name is its, with `ringcache_` for `redis_`.
struct Row {
    name: &'static str,
    kind: MetricType,
    help: &'static str,
    /// `None`: not known now, the metric is left out.
    value: fn(&Sample<'_>) -> Option<u64>,
}

const fn counter(
    name: &'static str,
    help: &'static str,
    value: fn(&Sample<'_>) -> Option<u64>,
) -> Row {
    Row { name, kind: MetricType::COUNTER, help, value }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    value: fn(&Sample<'_>) -> Option<u64>,
) -> Row {
    Row { name, kind: MetricType::GAUGE, help, value }
}

const TABLE: &[Row] = &[
    gauge("ringcache_up", "1: the node answers.", |_| Some(1)),
    gauge("ringcache_uptime_in_seconds", "Seconds since the process started.", |s| {
        Some(s.node.clock.monotonic_ms() / 1000)
    }),
    gauge("ringcache_connected_clients", "Client connections open now, over RESP and HTTP.", |s| {
        load(&s.node.counters.connections)
    }),
    gauge("ringcache_max_clients", "Client connections allowed.", |s| {
        Some(s.node.args.max_clients as u64)
    }),
    counter("ringcache_connections_received_total", "Client connections accepted.", |s| {
        load(&s.node.counters.connections_total)
    }),
    counter(
        "ringcache_rejected_connections_total",
        "Client connections refused because there were as many as allowed.",
        |s| load(&s.node.counters.connections_rejected),
    ),
    counter(
        "ringcache_protocol_errors_total",
        "Client connections closed because of a protocol error.",
        |s| load(&s.node.counters.protocol_errors),
    ),
    counter(
        "ringcache_stalled_connections_total",
        "Client connections closed because a request or a reply stood still half way.",
        |s| load(&s.node.counters.stalled),
    ),
    counter(
        "ringcache_connections_closed_for_memory_total",
        "Client connections closed because they did not move and others needed the memory that they held.",
        |s| Some(s.node.account.closed()),
    ),
    gauge(
        "ringcache_connection_memory_bytes",
        "Bytes that requests and replies on their way take, beside what each connection may hold freely.",
        |s| Some(s.node.account.used_bytes() as u64),
    ),
    gauge(
        "ringcache_connection_memory_max_bytes",
        "Bytes that requests and replies on their way may take.",
        |s| Some(s.node.account.limit_bytes() as u64),
    ),
    counter(
        "ringcache_tracking_overruns_total",
        "Client connections closed because they took their invalidations too slowly.",
        |s| load(&s.node.counters.tracking_overruns),
    ),
    counter("ringcache_commands_processed_total", "Commands executed over RESP.", |s| {
        load(&s.node.counters.commands)
    }),
    counter(
        "ringcache_net_input_bytes_total",
        "Bytes that clients sent, over RESP and HTTP.",
        |s| Some(s.served.bytes_in),
    ),
    counter(
        "ringcache_net_output_bytes_total",
        "Bytes sent to clients, over RESP and HTTP.",
        |s| Some(s.served.bytes_out),
    ),
    counter("ringcache_http_requests_total", "Requests answered over HTTP.", |s| {
        load(&s.node.counters.http_requests)
    }),
    counter(
        "ringcache_forwarded_total",
        "Requests passed on to the node that owns the key.",
        |s| load(&s.node.counters.forwarded),
    ),
    counter(
        "ringcache_moved_total",
        "`MOVED` answers, which send a client to another node.",
        |s| load(&s.node.counters.moved),
    ),
    counter("ringcache_waited_total", "Requests that waited for a slot between two owners.", |s| {
        load(&s.node.counters.waited)
    }),
    counter(
        "ringcache_out_of_memory_total",
        "Requests refused because there was no memory for what they store.",
        |s| load(&s.node.counters.refused_for_memory),
    ),
    counter("ringcache_keyspace_hits_total", "Lookups that found an entry.", |s| {
        Some(s.stats.hits)
    }),
    counter("ringcache_keyspace_misses_total", "Lookups that found none.", |s| {
        Some(s.stats.misses)
    }),
    counter("ringcache_keys_written_total", "Entries written by clients.", |s| Some(s.stats.sets)),
    counter("ringcache_deleted_keys_total", "Entries deleted by clients.", |s| {
        Some(s.stats.deletes)
    }),
    counter("ringcache_evicted_keys_total", "Entries evicted for want of memory.", |s| {
        Some(s.stats.evicted)
    }),
    counter("ringcache_expired_keys_total", "Entries removed because their time was over.", |s| {
        Some(s.stats.expired)
    }),
    counter(
        "ringcache_stampedes_total",
        "Times that a key was missed eight times within a second, over several connections, before it was written.",
        |s| Some(s.node.measures.heat.stampedes()),
    ),
    gauge("ringcache_db_keys", "Entries stored now.", |s| Some(s.stats.entries)),
    gauge("ringcache_memory_used_bytes", "Bytes that entries and their index take.", |s| {
        Some(s.stats.used_bytes as u64)
    }),
    gauge(
        "ringcache_memory_budget_bytes",
        "Bytes that entries and their index may take now: what the limit leaves beside buffers and allocator.",
        |s| Some(s.stats.budget_bytes as u64),
    ),
    gauge("ringcache_memory_max_bytes", "The node's memory limit, for the whole process.", |s| {
        Some(s.node.args.memory_bytes)
    }),
    gauge("ringcache_memory_used_rss_bytes", "Resident memory of the process.", |_| {
        resident_bytes()
    }),
    gauge(
        "ringcache_epoch",
        "Epoch of the ring document that the node goes by; 0: none yet.",
        |s| Some(s.node.routes.load().epoch),
    ),
    gauge("ringcache_draining", "1: the node is about to stop and takes no new slots.", |s| {
        Some(u64::from(s.node.draining.load(Ordering::Relaxed)))
    }),
    counter(
        "ringcache_bus_dropped_messages_total",
        "Messages to other nodes dropped because a peer took them too slowly; they are repeated.",
        |s| load(&s.node.counters.bus_dropped),
    ),
    counter(
        "ringcache_bus_refused_frames_total",
        "Frames of other nodes refused: too long, or not to be understood.",
        |s| load(&s.node.counters.bus_refused),
    ),
    gauge("ringcache_slots_owned", "Slots that the node owns and serves.", |s| {
        Some(slots(&s.ownership?.owned))
    }),
    gauge(
        "ringcache_slots_sealed",
        "Slots handed over whose new owner has not confirmed yet.",
        |s| Some(s.ownership?.sealed.iter().map(|sealed| slots(&sealed.slots)).sum()),
    ),
    counter("ringcache_slots_handed_in_total", "Slots received by handover.", |s| {
        Some(s.ownership?.handed_in)
    }),
    counter("ringcache_slots_handed_out_total", "Slots given away by handover.", |s| {
        Some(s.ownership?.handed_out)
    }),
    counter("ringcache_slots_adopted_total", "Slots adopted because nobody owned them.", |s| {
        Some(s.ownership?.adopted)
    }),
];

/// A metric with a series for each value of a label.
struct Labelled {
    name: &'static str,
    kind: MetricType,
    help: &'static str,
    series: fn(&Sample<'_>) -> Vec<Metric>,
}

const LABELLED: &[Labelled] = &[
    Labelled {
        name: "ringcache_errors_total",
        kind: MetricType::COUNTER,
        help: "Errors that clients got, by `err`: the first word of an error reply, or the code of an HTTP error.",
        series: |s| {
            let series = |(error, count): (&str, u64)| {
                let mut counter = Counter::default();
                counter.set_value(count as f64);
                let mut metric = with_label("err", error);
                metric.set_counter(counter);
                metric
            };
            s.served.errors().map(series).collect()
        },
    },
    Labelled {
        name: "ringcache_request_duration_seconds",
        kind: MetricType::HISTOGRAM,
        help: "Seconds from the first byte of a client's request read to its reply written, by `op`: `read` or `write`.",
        series: |s| {
            let of = |(op, times)| {
                let mut metric = with_label("op", op);
                // From 16 microseconds to 17 seconds.
                metric.set_histogram(buckets(times, 4..=24, 1e6));
                metric
            };
            [("read", &s.served.reads), ("write", &s.served.writes)].map(of).into()
        },
    },
    Labelled {
        name: "ringcache_hot_key_share_ratio",
        kind: MetricType::GAUGE,
        help: "Part of the operations of the last ten seconds that goes to each of the hottest keys, by `rank`: `1` to `10`; 0: there is none.",
        series: |s| {
            let hottest = s.node.measures.hottest(HOT_KEYS, s.node.clock.unix_ms());
            let of = |rank: usize| {
                let mut gauge = Gauge::default();
                gauge.set_value(hottest.get(rank).map_or(0.0, |key| key.share));
                let mut metric = with_label("rank", &(rank + 1).to_string());
                metric.set_gauge(gauge);
                metric
            };
            (0..HOT_KEYS).map(of).collect()
        },
    },
    Labelled {
        name: "ringcache_thread_busy_ratio",
        kind: MetricType::GAUGE,
        help: "Part of the last ten seconds in which each thread that serves clients used a core, by `thread`: `resp-0` and on, `service` for HTTP.",
        series: |s| {
            let of = |(name, busy): (String, f64)| {
                let mut gauge = Gauge::default();
                gauge.set_value(busy);
                let mut metric = with_label("thread", &name);
                metric.set_gauge(gauge);
                metric
            };
            s.node.busy.shares().into_iter().map(of).collect()
        },
    },
    Labelled {
        name: "ringcache_unused_when_ended_seconds",
        kind: MetricType::HISTOGRAM,
        help: "Seconds for which entries were unused that no client removed, by `end`: `evicted` or `expired`.",
        series: |s| {
            let ages = s.node.measures.heat.ages();
            let of = |(end, unused)| {
                let mut metric = with_label("end", end);
                // From a second to 12 days.
                metric.set_histogram(buckets(unused, 10..=30, 1e3));
                metric
            };
            [("evicted", &ages.evicted), ("expired", &ages.expired)].map(of).into()
        },
    },
];

/// Buckets that end at these powers of two, of values of which so many are a second.
fn buckets(
    values: &ringcache_heat::Histogram,
    powers: RangeInclusive<u32>,
    second: f64,
) -> Histogram {
    let bucket = |(end, below): (u64, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(end as f64 / second);
        bucket.set_cumulative_count(below);
        bucket
    };
    let powers = values.below_powers().filter(|(end, _)| powers.contains(&end.trailing_zeros()));
    let mut histogram = Histogram::default();
    histogram.set_sample_count(values.count());
    histogram.set_sample_sum(values.sum() as f64 / second);
    histogram.set_bucket(powers.map(bucket).collect());
    histogram
}

fn with_label(name: &str, value: &str) -> Metric {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value.to_owned());
    let mut metric = Metric::default();
    metric.set_label(vec![label]);
    metric
}

/// All metrics, and those of the process. Those about ownership are left out while it is not known.
pub fn render(node: &Node, ownership: Option<&Ownership>) -> String {
    let (stats, served) = (node.store.stats(), node.served.total());
    let sample = Sample { node, stats, served, ownership };
    let mut families: Vec<MetricFamily> =
        TABLE.iter().filter_map(|row| Some(single(row, (row.value)(&sample)?))).collect();
    let labelled = |it: &Labelled| family((it.name, it.help, it.kind), (it.series)(&sample));
    // A family without a series would be refused by the encoder, and all others with it.
    let is_known = |family: &MetricFamily| !family.get_metric().is_empty();
    families.extend(LABELLED.iter().map(labelled).filter(is_known));
    families.extend(ProcessCollector::for_self().collect());
    TextEncoder::new().encode_to_string(&families).unwrap_or_default()
}

fn single(row: &Row, value: u64) -> MetricFamily {
    let mut metric = Metric::default();
    if row.kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value as f64);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value as f64);
        metric.set_gauge(gauge);
    }
    family((row.name, row.help, row.kind), vec![metric])
}

fn family((name, help, kind): (&str, &str, MetricType), metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

// Always there, but a row's function gives what may be missing.
#[expect(clippy::unnecessary_wraps, reason = "the type of a row's value")]
fn load(counter: &AtomicU64) -> Option<u64> {
    Some(counter.load(Ordering::Relaxed))
}

fn slots(ranges: &[(u16, u16)]) -> u64 {
    ranges.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
}

#[cfg(test)]
mod tests;
