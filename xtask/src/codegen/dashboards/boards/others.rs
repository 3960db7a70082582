//! What is seen by others than nodes.

use super::super::Of::{Clients, Operator};
use super::super::Unit::{Number, PerSecond, Seconds};
use super::{Board, lines, now};

pub(super) const DATABASE: Board = Board {
    uid: "ringcache-database",
    title: "Ringcache / Database",
    about: "What clients ask the database behind the cache. For programs with these metrics, such as `ringcache load`.",
    of: Clients,
    panels: &[
        lines(
            "Reads of the cache",
            "That were answered, by result.",
            PerSecond,
            &[("{{result}}", rates!("cache_requests_total" by "result"))],
        ),
        lines(
            "Reads of the database",
            "By result, and those because the cache did not answer.",
            PerSecond,
            &[
                ("{{result}}", rates!("cache_load_total" by "result")),
                ("cache did not answer", rates!("cache_fallback_total")),
            ],
        ),
        lines(
            "Time of a read of the database",
            "With the wait for a place.",
            Seconds,
            &[
                ("p50", quantile!("0.5" of "cache_load_seconds")),
                ("p99", quantile!("0.99" of "cache_load_seconds")),
            ],
        ),
        lines(
            "Time of the cache",
            "As its clients see it.",
            Seconds,
            &[
                ("{{op}} p50", quantile!("0.5" of "cache_op_seconds", "", ", op")),
                ("{{op}} p99", quantile!("0.99" of "cache_op_seconds", "", ", op")),
            ],
        ),
        lines(
            "Stampedes",
            "Keys that several connections read from the database at once.",
            PerSecond,
            &[("stampedes", rates!("cache_stampede_total"))],
        ),
    ],
};

pub(super) const OPERATOR: Board = Board {
    uid: "ringcache-operator",
    title: "Ringcache / Operator",
    about: "What the operator does, how long it takes, and what fails.",
    of: Operator,
    panels: &[
        now(
            "Leader",
            "Replicas that hold the lease: 1.",
            Number,
            &[(
                "leader",
                "sum(leader_election_master_status{{}} and on (job, instance) ringcache_operator_build_info{{}})",
            )],
        ),
        now(
            "Clusters",
            "That it manages.",
            Number,
            &[("clusters", "max(ringcache_operator_clusters{{}})")],
        ),
        now(
            "Version",
            "Replicas by version.",
            Number,
            &[("{{version}}", "count by (version) (ringcache_operator_build_info{{}})")],
        ),
        now(
            "Refused watches",
            "Of kinds and namespaces that it may not see.",
            Number,
            &[("watches", "sum(ringcache_operator_watches_refused{{}})")],
        ),
        lines(
            "Reconciles",
            "By result.",
            PerSecond,
            &[("{{result}}", own_rates!("controller_runtime_reconcile_total" by "result"))],
        ),
        lines(
            "Failures",
            "Reconciles that failed, by kind, and those that panicked.",
            PerSecond,
            &[
                ("{{category}}", rates!("ringcache_operator_reconcile_errors_total" by "category")),
                (
                    "panics: {{controller}}",
                    own_rates!("controller_runtime_reconcile_panics_total" by "controller"),
                ),
            ],
        ),
        lines(
            "Time of a reconcile",
            "Half and 99 of 100 take at most so long.",
            Seconds,
            &[
                (
                    "p50",
                    quantile!("0.5" of "controller_runtime_reconcile_time_seconds", ",controller=\"cachecluster\"", ""),
                ),
                (
                    "p99",
                    quantile!("0.99" of "controller_runtime_reconcile_time_seconds", ",controller=\"cachecluster\"", ""),
                ),
            ],
        ),
        lines(
            "Operations begun",
            "By type.",
            PerSecond,
            &[("{{type}}", rates!("ringcache_operator_operations_total" by "type"))],
        ),
        lines(
            "Steps",
            "Of plans, by kind and result.",
            PerSecond,
            &[("{{kind}} {{result}}", rates!("ringcache_operator_steps_total" by "kind, result"))],
        ),
        lines(
            "Repairs",
            "Objects that somebody had changed or removed.",
            PerSecond,
            &[("{{kind}}", rates!("ringcache_operator_repairs_total" by "kind"))],
        ),
        lines(
            "Calls of the API server",
            "By method and code.",
            PerSecond,
            &[("{{method}} {{code}}", own_rates!("rest_client_requests_total" by "method, code"))],
        ),
        lines(
            "Silence of watches",
            "Since each kind last showed life.",
            Seconds,
            &[("{{kind}}", "max by (kind) (ringcache_operator_watch_age_seconds{{}})")],
        ),
        lines(
            "Statuses and events written",
            "A cluster where nothing happens needs none.",
            PerSecond,
            &[
                ("statuses", rates!("ringcache_operator_status_writes_total")),
                ("events: {{result}}", rates!("ringcache_operator_events_total" by "result")),
            ],
        ),
        lines(
            "Failed watches",
            "By kind.",
            PerSecond,
            &[("{{kind}}", rates!("ringcache_operator_watch_errors_total" by "kind"))],
        ),
    ],
};
