//! What clients ask of a cluster, and what they get.

use super::super::Of::Nodes;
use super::super::Unit::{BytesPerSecond, Number, PerSecond, Ratio, Seconds};
use super::{Board, lines, now};

pub(super) const CLUSTER: Board = Board {
    uid: "ringcache-cluster",
    title: "Ringcache / Cluster health",
    about: "Whether all slots are served, by how many nodes, and what clients ask and get.",
    of: Nodes,
    panels: &[
        now(
            "Nodes",
            "Nodes that answer Prometheus.",
            Number,
            &[("nodes", "sum(ringcache_up{{}})")],
        ),
        now(
            "Slots served",
            "Of 16384, in the chosen cluster that has fewest: fewer mean that requests for some keys fail.",
            Number,
            &[(
                "slots",
                "min(sum by (namespace, ringcache_dev_cluster) (ringcache_slots_owned{{}}))",
            )],
        ),
        now(
            "Hit ratio",
            "The part of the reads that find their key.",
            Ratio,
            &[("hits", hit_ratio!("sum"))],
        ),
        now(
            "Clients",
            "Open connections.",
            Number,
            &[("clients", "sum(ringcache_connected_clients{{}})")],
        ),
        lines(
            "Requests",
            "Commands over the Redis protocol, and requests over HTTP.",
            PerSecond,
            &[
                ("Redis", rates!("ringcache_commands_processed_total")),
                ("HTTP", rates!("ringcache_http_requests_total")),
            ],
        ),
        lines(
            "Errors",
            "Errors that clients got, by the first word or the code.",
            PerSecond,
            &[("{{err}}", rates!("ringcache_errors_total" by "err"))],
        ),
        lines(
            "Slots on the move",
            "Slots that nodes receive with their entries, or adopt because nobody owned them.",
            PerSecond,
            &[
                ("handed over", rates!("ringcache_slots_handed_in_total")),
                ("adopted", rates!("ringcache_slots_adopted_total")),
            ],
        ),
        lines(
            "Requests at the wrong node",
            "Passed on, answered with MOVED, or waiting for a slot between two owners.",
            PerSecond,
            &[
                ("passed on", rates!("ringcache_forwarded_total")),
                ("MOVED", rates!("ringcache_moved_total")),
                ("waited", rates!("ringcache_waited_total")),
            ],
        ),
        lines(
            "Connections",
            "Accepted, and refused because there were as many as allowed.",
            PerSecond,
            &[
                ("accepted", rates!("ringcache_connections_received_total")),
                ("refused", rates!("ringcache_rejected_connections_total")),
            ],
        ),
        lines(
            "Connections closed by nodes",
            "For errors of protocol, for standing still half way, for want of memory, for taking invalidations too slowly.",
            PerSecond,
            &[
                ("protocol", rates!("ringcache_protocol_errors_total")),
                ("stalled", rates!("ringcache_stalled_connections_total")),
                ("for memory", rates!("ringcache_connections_closed_for_memory_total")),
                ("tracking", rates!("ringcache_tracking_overruns_total")),
            ],
        ),
        lines(
            "Bytes",
            "From clients and to clients.",
            BytesPerSecond,
            &[
                ("in", rates!("ringcache_net_input_bytes_total")),
                ("out", rates!("ringcache_net_output_bytes_total")),
            ],
        ),
        lines(
            "CPU",
            "Cores that each node uses.",
            Number,
            &[("{{pod}} {{instance}}", rates!("process_cpu_seconds_total" by "instance, pod"))],
        ),
        lines(
            "Epoch",
            "The ring document that each node goes by: all lines of a cluster meet when nothing changes.",
            Number,
            &[("{{pod}} {{instance}}", "max by (instance, pod) (ringcache_epoch{{}})")],
        ),
        lines(
            "Between nodes",
            "Messages dropped for a slow peer, and frames that were not understood.",
            PerSecond,
            &[
                ("dropped", rates!("ringcache_bus_dropped_messages_total")),
                ("refused", rates!("ringcache_bus_refused_frames_total")),
            ],
        ),
    ],
};

pub(super) const LATENCY: Board = Board {
    uid: "ringcache-latency",
    title: "Ringcache / Latency",
    about: "From the first byte of a request read to its reply written, as nodes measure it.",
    of: Nodes,
    panels: &[
        lines(
            "Reads",
            "So many of 100 are answered within this time.",
            Seconds,
            &[
                (
                    "p50",
                    quantile!("0.5" of "ringcache_request_duration_seconds", ",op=\"read\"", ""),
                ),
                (
                    "p95",
                    quantile!("0.95" of "ringcache_request_duration_seconds", ",op=\"read\"", ""),
                ),
                (
                    "p99",
                    quantile!("0.99" of "ringcache_request_duration_seconds", ",op=\"read\"", ""),
                ),
                (
                    "p99.9",
                    quantile!("0.999" of "ringcache_request_duration_seconds", ",op=\"read\"", ""),
                ),
            ],
        ),
        lines(
            "Writes",
            "So many of 100 are answered within this time.",
            Seconds,
            &[
                (
                    "p50",
                    quantile!("0.5" of "ringcache_request_duration_seconds", ",op=\"write\"", ""),
                ),
                (
                    "p95",
                    quantile!("0.95" of "ringcache_request_duration_seconds", ",op=\"write\"", ""),
                ),
                (
                    "p99",
                    quantile!("0.99" of "ringcache_request_duration_seconds", ",op=\"write\"", ""),
                ),
                (
                    "p99.9",
                    quantile!("0.999" of "ringcache_request_duration_seconds", ",op=\"write\"", ""),
                ),
            ],
        ),
        lines(
            "Reads of each node",
            "99 of 100 are answered within this time.",
            Seconds,
            &[(
                "{{pod}} {{instance}}",
                quantile!("0.99" of "ringcache_request_duration_seconds", ",op=\"read\"", ", instance, pod"),
            )],
        ),
        lines(
            "Stampedes",
            "Times that a key was missed by several connections at once.",
            PerSecond,
            &[("stampedes", rates!("ringcache_stampedes_total"))],
        ),
    ],
};
