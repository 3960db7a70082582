//! The one place of the node that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall time for deadlines of entries, monotonic time for everything that waits.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts now.
    #[expect(clippy::disallowed_methods, reason = "the one reader of clocks")]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Milliseconds since 1970, the unit of every entry's deadline.
    #[expect(clippy::disallowed_methods, reason = "the one reader of clocks")]
    pub fn unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        since.as_millis() as u64
    }

    /// Milliseconds since the node started; never goes back.
    pub fn monotonic_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// The same in microseconds.
    pub fn monotonic_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }
}
