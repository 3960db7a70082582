//! What nodes hold, and what becomes of it.

use super::super::Of::Nodes;
use super::super::Unit::{Bytes, Number, PerSecond, Ratio, Seconds};
use super::{Board, lines};

pub(super) const MEMORY: Board = Board {
    uid: "ringcache-memory",
    title: "Ringcache / Node memory",
    about: "What each node's memory holds, and what is refused or closed for want of it.",
    of: Nodes,
    panels: &[
        lines(
            "Resident memory of the limit",
            "Of the process. A node keeps itself below 1.10.",
            Ratio,
            &[(
                "{{pod}} {{instance}}",
                "max by (instance, pod) (ringcache_memory_used_rss_bytes{{}} / ringcache_memory_max_bytes{{}})",
            )],
        ),
        lines(
            "Entries of what they may take",
            "A full cache is nothing to worry about.",
            Ratio,
            &[(
                "{{pod}} {{instance}}",
                "max by (instance, pod) (ringcache_memory_used_bytes{{}} / ringcache_memory_budget_bytes{{}})",
            )],
        ),
        lines(
            "Bytes of entries",
            "Entries and their index.",
            Bytes,
            &[("{{pod}} {{instance}}", "max by (instance, pod) (ringcache_memory_used_bytes{{}})")],
        ),
        lines(
            "Entries",
            "Stored now.",
            Number,
            &[("{{pod}} {{instance}}", "max by (instance, pod) (ringcache_db_keys{{}})")],
        ),
        lines(
            "Buffers of connections of what they may take",
            "Requests and replies on their way.",
            Ratio,
            &[(
                "{{pod}} {{instance}}",
                "max by (instance, pod) (ringcache_connection_memory_bytes{{}} / ringcache_connection_memory_max_bytes{{}})",
            )],
        ),
        lines(
            "Refused for want of memory",
            "Requests that store something.",
            PerSecond,
            &[("{{pod}} {{instance}}", rates!("ringcache_out_of_memory_total" by "instance, pod"))],
        ),
    ],
};

pub(super) const HITS: Board = Board {
    uid: "ringcache-hits",
    title: "Ringcache / Hit and miss ratio",
    about: "Which part of the reads are hits. What another size would give says `kubectl ringcache curve`.",
    of: Nodes,
    panels: &[
        lines(
            "Hit ratio",
            "Of all nodes, and of each.",
            Ratio,
            &[
                ("all", hit_ratio!("sum")),
                ("{{pod}} {{instance}}", hit_ratio!("sum by (instance, pod)")),
            ],
        ),
        lines(
            "Reads",
            "Hits and misses.",
            PerSecond,
            &[
                ("hits", rates!("ringcache_keyspace_hits_total")),
                ("misses", rates!("ringcache_keyspace_misses_total")),
            ],
        ),
        lines(
            "Writes",
            "Entries written and deleted by clients.",
            PerSecond,
            &[
                ("written", rates!("ringcache_keys_written_total")),
                ("deleted", rates!("ringcache_deleted_keys_total")),
            ],
        ),
        lines(
            "Entries that end",
            "Evicted for want of memory, or because their time was over.",
            PerSecond,
            &[
                ("evicted", rates!("ringcache_evicted_keys_total")),
                ("expired", rates!("ringcache_expired_keys_total")),
            ],
        ),
    ],
};

pub(super) const HOT_KEYS: Board = Board {
    uid: "ringcache-hot-keys",
    title: "Ringcache / Hot keys",
    about: "Whether few keys get most of the operations. Which they are says `kubectl ringcache hotkeys`.",
    of: Nodes,
    panels: &[
        lines(
            "Part of the hottest key of each node",
            "Of the node's operations in the last ten seconds.",
            Ratio,
            &[(
                "{{pod}} {{instance}}",
                "max by (instance, pod) (ringcache_hot_key_share_ratio{{},rank=\"1\"})",
            )],
        ),
        lines(
            "Part of the hottest keys by rank",
            "Of the node that has it hottest.",
            Ratio,
            &[("{{rank}}", "max by (rank) (ringcache_hot_key_share_ratio{{}})")],
        ),
        lines(
            "Busy threads",
            "The part of the time in which each thread that serves clients uses a core.",
            Ratio,
            &[(
                "{{pod}} {{instance}} {{thread}}",
                "max by (instance, pod, thread) (ringcache_thread_busy_ratio{{}})",
            )],
        ),
        lines(
            "Commands of each node",
            "One line far above the others: the load is uneven.",
            PerSecond,
            &[(
                "{{pod}} {{instance}}",
                rates!("ringcache_commands_processed_total" by "instance, pod"),
            )],
        ),
    ],
};

pub(super) const EVICTIONS: Board = Board {
    uid: "ringcache-evictions",
    title: "Ringcache / Evictions and expiry",
    about: "Which entries end without a client's doing. Young evictions mean that the cache is too small.",
    of: Nodes,
    panels: &[
        lines(
            "Evicted",
            "For want of memory.",
            PerSecond,
            &[("{{pod}} {{instance}}", rates!("ringcache_evicted_keys_total" by "instance, pod"))],
        ),
        lines(
            "Expired",
            "Their time was over.",
            PerSecond,
            &[("{{pod}} {{instance}}", rates!("ringcache_expired_keys_total" by "instance, pod"))],
        ),
        lines(
            "Unused before they were evicted",
            "Half and 95 of 100 were unused for at most so long.",
            Seconds,
            &[
                (
                    "p50",
                    quantile!("0.5" of "ringcache_unused_when_ended_seconds", ",end=\"evicted\"", ""),
                ),
                (
                    "p95",
                    quantile!("0.95" of "ringcache_unused_when_ended_seconds", ",end=\"evicted\"", ""),
                ),
            ],
        ),
        lines(
            "Unused before they expired",
            "Half and 95 of 100 were unused for at most so long.",
            Seconds,
            &[
                (
                    "p50",
                    quantile!("0.5" of "ringcache_unused_when_ended_seconds", ",end=\"expired\"", ""),
                ),
                (
                    "p95",
                    quantile!("0.95" of "ringcache_unused_when_ended_seconds", ",end=\"expired\"", ""),
                ),
            ],
        ),
    ],
};
