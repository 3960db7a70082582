//! What the operator has done so far, by its own metrics.

use std::collections::BTreeMap;
use std::ops::Sub;
use std::time::Duration;

const RECONCILES: (&str, &str) = ("controller_runtime_reconcile_total", "result");
const CALLS: (&str, &str) = ("rest_client_requests_total", "method");

/// Counts of things done, and the processor time that they took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// Reconciles by result.
    pub(crate) reconciles: BTreeMap<String, u64>,
    /// Calls of the API server by HTTP method.
    pub(crate) calls: BTreeMap<String, u64>,
    /// Of all threads.
    pub(crate) processor: Duration,
}

impl Counters {
    /// From the text format of Prometheus.
    pub(crate) fn parse(metrics: &str, processor: Duration) -> Self {
        let sums = |metric| sums(metrics, metric);
        Self { reconciles: sums(RECONCILES), calls: sums(CALLS), processor }
    }

    /// Reconciles that found something under way and come back by themselves.
    pub(crate) fn polls(&self) -> u64 {
        self.reconciles.get("requeue_after").copied().unwrap_or_default()
    }
}

/// What was done since `earlier`.
impl Sub<&Self> for Counters {
    type Output = Self;

    fn sub(mut self, earlier: &Self) -> Self {
        for (counts, before) in
            [(&mut self.reconciles, &earlier.reconciles), (&mut self.calls, &earlier.calls)]
        {
            for (label, count) in counts {
                *count -= before.get(label).copied().unwrap_or_default().min(*count);
            }
        }
        self.processor = self.processor.saturating_sub(earlier.processor);
        self
    }
}

/// The metric's values, summed by one of its labels.
fn sums(metrics: &str, (metric, label): (&str, &str)) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    let label = format!("{label}=\"");
    for line in metrics.lines() {
        let Some((labels, value)) = line
            .strip_prefix(metric)
            .and_then(|rest| rest.strip_prefix('{'))
            .and_then(|rest| rest.rsplit_once("} "))
        else {
            continue;
        };
        let name = labels.split_once(&label).and_then(|(_, rest)| rest.split_once('"'));
        if let (Some((name, _)), Ok(value)) = (name, value.trim().parse::<f64>()) {
            *sums.entry(name.to_owned()).or_default() += value as u64;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"
# TYPE rest_client_requests_total counter
rest_client_requests_total{code="200",host="10.0.0.1",method="GET"} 7
rest_client_requests_total{code="404",host="10.0.0.1",method="GET"} 2
rest_client_requests_total{code="201",host="10.0.0.1",method="POST"} 1
controller_runtime_reconcile_total{controller="cachecluster",result="success"} 5
"#;

    #[test]
    fn values_are_summed_by_one_label() {
        let counters = Counters::parse(METRICS, Duration::ZERO);
        assert_eq!(counters.calls, BTreeMap::from([("GET".into(), 9), ("POST".into(), 1)]));
        assert_eq!(counters.reconciles, BTreeMap::from([("success".into(), 5)]));
    }

    #[test]
    fn what_was_done_since_is_the_difference() {
        let later = Counters::parse(&METRICS.replace("\"} 7", "\"} 10"), Duration::from_secs(3));
        let done = later - &Counters::parse(METRICS, Duration::from_secs(1));
        assert_eq!(done.calls["GET"], 3);
        assert_eq!(done.calls["POST"], 0);
        assert_eq!(done.processor, Duration::from_secs(2));
    }
}
