//! Counters that every thread writes: relaxed atomics, read by `INFO`, `/metrics` and the admin API.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the process started, unless a field says otherwise.
#[derive(Debug, Default)]
pub struct Counters {
    /// Client connections open now.
    pub connections: AtomicU64,
    /// Client connections ever accepted.
    pub connections_total: AtomicU64,
    /// Client connections refused because of `--max-clients`.
    pub connections_rejected: AtomicU64,
    /// Commands executed, over RESP.
    pub commands: AtomicU64,
    /// Requests executed, over HTTP.
    pub http_requests: AtomicU64,
    /// Requests forwarded to another node, over either.
    pub forwarded: AtomicU64,
    /// `MOVED` answers.
    pub moved: AtomicU64,
    /// Requests that waited for a parked or ownerless slot.
    pub waited: AtomicU64,
    /// Requests refused because there was no memory for what they store.
    pub refused_for_memory: AtomicU64,
    /// Connections closed because of a protocol error.
    pub protocol_errors: AtomicU64,
    /// Connections closed because a request or a reply stood still half way.
    pub stalled: AtomicU64,
    /// Connections closed because they took their invalidations too slowly.
    pub tracking_overruns: AtomicU64,
    /// Messages to other nodes that were dropped because too many waited; they are repeated.
    pub bus_dropped: AtomicU64,
    /// Frames of other nodes that were refused: too long, or not to be understood.
    pub bus_refused: AtomicU64,
    /// Monotonic milliseconds of the last request for a key by a client; 0 = none yet.
    pub last_request_ms: AtomicU64,
}

/// Adds one.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
