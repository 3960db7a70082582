//! The operator's metrics: one table says name, type, labels and meaning of each. Where controller-runtime or client-go has
//! the metric the name is its own, so that dashboards for operators work.

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::events::EventReason;
use crate::progress::Progress;

/// Value of the label `controller`.
pub const CONTROLLER: &str = "cachecluster";
/// Upper bounds of a reconcile's duration in seconds; a reconcile ends after a minute.
const RECONCILE_SECONDS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

struct Row {
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
}

const fn row(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Row {
    Row { name, kind, labels, help }
}

const TABLE: [Row; 19] = [
    row(
        "controller_runtime_reconcile_total",
        Kind::Counter,
        &["controller", "result"],
        "Reconciles by result: `success`, `requeue_after` (something is under way), `conflict` (somebody wrote at the same time: it is repeated), `error`.",
    ),
    row(
        "controller_runtime_reconcile_errors_total",
        Kind::Counter,
        &["controller"],
        "Reconciles that failed.",
    ),
    row(
        "controller_runtime_reconcile_panics_total",
        Kind::Counter,
        &["controller"],
        "Reconciles that panicked: each is a bug; other clusters are not affected.",
    ),
    row(
        "controller_runtime_reconcile_time_seconds",
        Kind::Histogram,
        &["controller"],
        "Duration of a reconcile.",
    ),
    row(
        "controller_runtime_active_workers",
        Kind::Gauge,
        &["controller"],
        "Clusters being reconciled now.",
    ),
    row(
        "controller_runtime_max_concurrent_reconciles",
        Kind::Gauge,
        &["controller"],
        "Clusters reconciled at once at most.",
    ),
    row(
        "rest_client_requests_total",
        Kind::Counter,
        &["code", "method", "host"],
        "Calls of the API server by HTTP status; `<error>`: no answer.",
    ),
    row(
        "leader_election_master_status",
        Kind::Gauge,
        &["name"],
        "1: this replica holds the lease and works, 0: it stands by.",
    ),
    row(
        "ringcache_operator_build_info",
        Kind::Gauge,
        &["version"],
        "1, with the operator's version.",
    ),
    row(
        "ringcache_operator_reconcile_errors_total",
        Kind::Counter,
        &["category"],
        "Reconciles that failed, by kind of failure.",
    ),
    row(
        "ringcache_operator_operations_total",
        Kind::Counter,
        &["type"],
        "Operations begun, such as `ScaleOut`.",
    ),
    row(
        "ringcache_operator_steps_total",
        Kind::Counter,
        &["kind", "result"],
        "Steps of plans carried out, by result: `success`, `conflict`, `error`.",
    ),
    row(
        "ringcache_operator_repairs_total",
        Kind::Counter,
        &["kind"],
        "Objects that somebody had changed or removed and the operator put right.",
    ),
    row(
        "ringcache_operator_status_writes_total",
        Kind::Counter,
        &["controller"],
        "Statuses written; a cluster where nothing happens needs none.",
    ),
    row(
        "ringcache_operator_events_total",
        Kind::Counter,
        &["reason", "result"],
        "Kubernetes Events by result: `success`, `error`, `dropped` (more than could be sent).",
    ),
    row(
        "ringcache_operator_clusters",
        Kind::Gauge,
        &["controller"],
        "CacheClusters that the operator manages.",
    ),
    row(
        "ringcache_operator_watch_errors_total",
        Kind::Counter,
        &["kind"],
        "Failed lists and watches of the API server.",
    ),
    row(
        "ringcache_operator_watch_age_seconds",
        Kind::Gauge,
        &["kind"],
        "Seconds since the watch last showed life, of several namespaces the one that is worst off.",
    ),
    row(
        "ringcache_operator_watches_refused",
        Kind::Gauge,
        &["kind"],
        "Watches that the API server refuses now: of a namespace that is gone, or that the operator may not see.",
    ),
];

/// All metrics, shared by clones.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// When each watch last showed life.
    pub(crate) progress: Progress,
    pub(crate) reconciles: IntCounterVec,
    pub(crate) reconcile_errors: IntCounterVec,
    pub(crate) panics: IntCounterVec,
    pub(crate) reconcile_seconds: HistogramVec,
    pub(crate) active_workers: IntGaugeVec,
    pub(crate) max_workers: IntGaugeVec,
    pub(crate) requests: IntCounterVec,
    pub(crate) leader: IntGaugeVec,
    pub(crate) errors: IntCounterVec,
    pub(crate) operations: IntCounterVec,
    pub(crate) steps: IntCounterVec,
    pub(crate) repairs: IntCounterVec,
    pub(crate) status_writes: IntCounterVec,
    pub(crate) events: IntCounterVec,
    pub(crate) clusters: IntGaugeVec,
    pub(crate) watch_errors: IntCounterVec,
    watch_age: GaugeVec,
    watches_refused: IntGaugeVec,
}

impl Metrics {
    /// Metrics of a process that has done nothing yet.
    ///
    /// # Panics
    ///
    /// Never: names and labels are constants, and a test makes all of them.
    #[expect(clippy::expect_used, reason = "Invariant: the table is constant and tested")]
    pub fn new() -> Self {
        Self::try_new().expect("Invariant: the table's names and labels are valid")
    }

    fn try_new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let make = Make { registry: &registry };
        let build_info = make.gauge("ringcache_operator_build_info")?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            progress: Progress::default(),
            reconciles: make.counter("controller_runtime_reconcile_total")?,
            reconcile_errors: make.counter("controller_runtime_reconcile_errors_total")?,
            panics: make.counter("controller_runtime_reconcile_panics_total")?,
            reconcile_seconds: make.histogram("controller_runtime_reconcile_time_seconds")?,
            active_workers: make.gauge("controller_runtime_active_workers")?,
            max_workers: make.gauge("controller_runtime_max_concurrent_reconciles")?,
            requests: make.counter("rest_client_requests_total")?,
            leader: make.gauge("leader_election_master_status")?,
            errors: make.counter("ringcache_operator_reconcile_errors_total")?,
            operations: make.counter("ringcache_operator_operations_total")?,
            steps: make.counter("ringcache_operator_steps_total")?,
            repairs: make.counter("ringcache_operator_repairs_total")?,
            status_writes: make.counter("ringcache_operator_status_writes_total")?,
            events: make.counter("ringcache_operator_events_total")?,
            clusters: make.gauge("ringcache_operator_clusters")?,
            watch_errors: make.counter("ringcache_operator_watch_errors_total")?,
            watch_age: make.seconds("ringcache_operator_watch_age_seconds")?,
            watches_refused: make.gauge("ringcache_operator_watches_refused")?,
            registry: registry.clone(),
        };
        registry.register(Box::new(ProcessCollector::for_self()))?;
        // What can be alerted on is there from the start, instead of from the first bad moment on.
        metrics.reconcile_errors.with_label_values(&[CONTROLLER]);
        metrics.panics.with_label_values(&[CONTROLLER]);
        for result in ["success", "error", "dropped"] {
            metrics.events.with_label_values(&[EventReason::AutoscalingStopped.name(), result]);
        }
        Ok(metrics)
    }

    /// The text format of Prometheus.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.families()).unwrap_or_default()
    }

    fn families(&self) -> Vec<MetricFamily> {
        for (kind, age) in self.progress.ages() {
            self.watch_age.with_label_values(&[kind]).set(age.as_secs_f64());
        }
        for (kind, refused) in self.progress.refusals() {
            self.watches_refused.with_label_values(&[kind]).set(refused);
        }
        self.registry.gather()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes the table's metrics and registers them.
struct Make<'a> {
    registry: &'a Registry,
}

impl Make<'_> {
    fn counter(&self, name: &str) -> prometheus::Result<IntCounterVec> {
        let row = find(name, Kind::Counter)?;
        self.registered(IntCounterVec::new(Opts::new(row.name, row.help), row.labels)?)
    }

    fn gauge(&self, name: &str) -> prometheus::Result<IntGaugeVec> {
        let row = find(name, Kind::Gauge)?;
        self.registered(IntGaugeVec::new(Opts::new(row.name, row.help), row.labels)?)
    }

    fn seconds(&self, name: &str) -> prometheus::Result<GaugeVec> {
        let row = find(name, Kind::Gauge)?;
        self.registered(GaugeVec::new(Opts::new(row.name, row.help), row.labels)?)
    }

    fn histogram(&self, name: &str) -> prometheus::Result<HistogramVec> {
        let row = find(name, Kind::Histogram)?;
        let options = HistogramOpts::new(row.name, row.help).buckets(RECONCILE_SECONDS.to_vec());
        self.registered(HistogramVec::new(options, row.labels)?)
    }

    fn registered<C: Collector + Clone + 'static>(&self, metric: C) -> prometheus::Result<C> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

fn find(name: &str, kind: Kind) -> prometheus::Result<&'static Row> {
    let found = TABLE.iter().find(|row| row.name == name && row.kind == kind);
    found.ok_or_else(|| prometheus::Error::Msg(format!("{name} is not in the table")))
}

#[cfg(test)]
mod tests;
