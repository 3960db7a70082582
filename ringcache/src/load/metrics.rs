//! The metrics of a client of the cache, in the text format of Prometheus. What this load cannot know is not among them.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TEXT_FORMAT,
    TextEncoder,
};
use tokio::net::TcpListener;
use warp::Filter;
use warp::http::header::CONTENT_TYPE;

/// The namespace of all keys.
const NAMESPACE: &str = "load";
/// The cache is what clients call their second layer; this one has no first, in its own memory.
const LAYER: &str = "L2";
/// Upper bounds in seconds: from a read on the same machine to the longest that a client waits.
const BUCKETS: [f64; 16] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
    10.0,
];

/// All metrics. Each series is there from the beginning: a rate is known only of one that was seen before it rose.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    registry: Registry,
    /// Reads that found a value.
    pub(super) hits: IntCounter,
    /// Reads that found none.
    pub(super) misses: IntCounter,
    /// Values read from the origin.
    pub(super) loads: IntCounter,
    /// How long that took, with the wait for a place.
    pub(super) load_seconds: Histogram,
    /// How long the cache took for a read.
    pub(super) get_seconds: Histogram,
    /// How long it took for a write.
    pub(super) set_seconds: Histogram,
    /// Reads that failed, so that the origin was asked instead.
    pub(super) fallbacks: IntCounter,
    /// Keys that more than one connection began to read from the origin at once.
    pub(super) stampedes: IntCounter,
}

impl Metrics {
    /// All at 0.
    pub(super) fn new() -> Result<Self> {
        let registry = Registry::new();
        let counters = |name, help, labels: &[&str]| -> Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let histograms = |name, help, labels: &[&str]| -> Result<HistogramVec> {
            let options = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
            let histograms = HistogramVec::new(options, labels)?;
            registry.register(Box::new(histograms.clone()))?;
            Ok(histograms)
        };
        let requests = counters(
            "cache_requests_total",
            "Reads of the cache that were answered, by result: `hit` or `miss`.",
            &["ns", "layer", "result"],
        )?;
        let loads =
            counters("cache_load_total", "Values read from the origin.", &["ns", "result"])?;
        let load_seconds = histograms(
            "cache_load_seconds",
            "How long reads of the origin took, with the wait for a place.",
            &[],
        )?;
        let operations = histograms(
            "cache_op_seconds",
            "How long the cache took to answer, by operation: `get` or `set`.",
            &["layer", "op"],
        )?;
        let fallbacks = counters(
            "cache_fallback_total",
            "Reads that the cache did not answer, so that the origin was asked instead.",
            &[],
        )?;
        let stampedes = counters(
            "cache_stampede_total",
            "Times that a key was read from the origin by more than one connection at once.",
            &[],
        )?;
        Ok(Self {
            hits: requests.with_label_values(&[NAMESPACE, LAYER, "hit"]),
            misses: requests.with_label_values(&[NAMESPACE, LAYER, "miss"]),
            loads: loads.with_label_values(&[NAMESPACE, "ok"]),
            load_seconds: load_seconds.with_label_values::<&str>(&[]),
            get_seconds: operations.with_label_values(&[LAYER, "get"]),
            set_seconds: operations.with_label_values(&[LAYER, "set"]),
            fallbacks: fallbacks.with_label_values::<&str>(&[]),
            stampedes: stampedes.with_label_values::<&str>(&[]),
            registry,
        })
    }

    fn render(&self) -> String {
        // Encoding fails for a metric without series or with two of one kind: there are none.
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// Serves `/metrics` on a port of all addresses, 0 being one that is free; returns the port.
    pub(super) fn serve(&self, port: u16) -> Result<u16> {
        let listen = || -> io::Result<TcpListener> {
            let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
            TcpListener::from_std(ringcache_listen::listen(address)?)
        };
        let listener = listen().with_context(|| format!("--metrics-port {port}"))?;
        let port = listener.local_addr()?.port();
        let metrics = self.clone();
        let page = warp::path("metrics")
            .and(warp::path::end())
            .and(warp::get())
            .map(move || warp::reply::with_header(metrics.render(), CONTENT_TYPE, TEXT_FORMAT));
        tokio::spawn(warp::serve(page).incoming(listener).run());
        Ok(port)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use prometheus::proto::MetricType;

    use super::*;

    const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md"));

    #[test]
    fn the_page_has_the_metrics_of_the_load_as_they_are() {
        let mut table =
            String::from("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n");
        for family in Metrics::new().unwrap().registry.gather() {
            let kind = match family.get_field_type() {
                MetricType::COUNTER => "counter",
                _ => "histogram",
            };
            let labels: Vec<_> = family.get_metric()[0]
                .get_label()
                .iter()
                .map(|l| format!("`{}`", l.name()))
                .collect();
            let labels = if labels.is_empty() { "none".into() } else { labels.join(", ") };
            let (name, help) = (family.name(), family.help());
            writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
        }
        assert!(PAGE.contains(&table), "docs/metrics.md must contain this table:\n{table}");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_with_its_flag() {
        let metrics = Metrics::new().unwrap();
        let port = metrics.serve(0).unwrap();
        let error = metrics.serve(port).unwrap_err();
        assert_eq!(error.to_string(), format!("--metrics-port {port}"));
    }

    #[test]
    fn every_series_is_there_from_the_beginning_and_rises() {
        let metrics = Metrics::new().unwrap();
        for zero in [
            r#"cache_requests_total{layer="L2",ns="load",result="hit"} 0"#,
            r#"cache_requests_total{layer="L2",ns="load",result="miss"} 0"#,
            r#"cache_load_total{ns="load",result="ok"} 0"#,
            "cache_load_seconds_count 0",
            r#"cache_op_seconds_count{layer="L2",op="get"} 0"#,
            r#"cache_op_seconds_count{layer="L2",op="set"} 0"#,
            "cache_fallback_total 0",
            "cache_stampede_total 0",
        ] {
            assert!(
                metrics.render().contains(&format!("{zero}\n")),
                "{zero}: {}",
                metrics.render()
            );
        }
        metrics.hits.inc();
        metrics.get_seconds.observe(0.000_15);
        let text = metrics.render();
        assert!(text.contains("result=\"hit\"} 1\n"), "{text}");
        assert!(text.contains("op=\"get\",le=\"0.0001\"} 0\n"), "{text}");
        assert!(text.contains("op=\"get\",le=\"0.0002\"} 1\n"), "{text}");
    }
}
