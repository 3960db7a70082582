//! The one place of the command line that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time, for everything that waits or measures.
#[expect(clippy::disallowed_methods, reason = "the one reader of clocks")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Time since 1970, for people and records.
#[expect(clippy::disallowed_methods, reason = "the one reader of clocks")]
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}
