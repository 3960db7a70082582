//! What can be set about the operator: limits and paces, each with the value that it has in production.

use std::time::Duration;

/// Settings of the operator.
#[derive(Clone, Debug)]
pub struct Config {
    /// Image of the nodes of clusters that name none and have no nodes yet.
    pub cache_image: String,
    /// Namespaces watched; none = all.
    pub namespaces: Vec<String>,
    /// Name under which this operator reports: its pod's.
    pub instance: String,
    /// Host of the API server, for the metrics.
    pub api_host: String,
    /// Most clusters reconciled at once.
    pub workers: u16,
    /// Pause after a trigger, so that a burst of them is one reconcile.
    pub debounce: Duration,
    /// Between two reconciles of a cluster where nothing happens.
    pub resync: Duration,
    /// Between two reconciles of a cluster where something is under way that no watch announces.
    pub poll: Duration,
    /// Between a failed reconcile and the next: doubled by each failure, up to `max_backoff`.
    pub min_backoff: Duration,
    /// Longest time between a failed reconcile and the next.
    pub max_backoff: Duration,
    /// The same where an object that is not ours has a name that is needed: no watch tells when it is gone.
    pub name_backoff: Duration,
    /// Longest call of the API server, and the longest wait for a watch to begin.
    pub call_timeout: Duration,
    /// Longest reconcile.
    pub reconcile_timeout: Duration,
    /// How long running reconciles may take to finish when the operator is told to stop.
    pub shutdown_timeout: Duration,
    /// A watch that cannot be done without and has shown no life for so long makes the operator unhealthy.
    pub watch_stall: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cache_image: String::new(),
            namespaces: Vec::new(),
            instance: "ringcache-operator".into(),
            api_host: String::new(),
            workers: 8,
            debounce: Duration::from_millis(20),
            resync: Duration::from_mins(5),
            poll: Duration::from_millis(500),
            min_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_mins(1),
            name_backoff: Duration::from_secs(5),
            call_timeout: Duration::from_secs(10),
            reconcile_timeout: Duration::from_mins(1),
            shutdown_timeout: Duration::from_secs(10),
            // A quiet watch is begun anew every 5 min; two of those missed are no accident.
            watch_stall: Duration::from_mins(15),
        }
    }
}
