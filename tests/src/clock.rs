//! The one place of these tests that reads clocks and sleeps.
#![expect(clippy::disallowed_methods, reason = "tests of real processes run in real time")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(50);

/// A moment to measure from.
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970, the clock that loads stamp their seconds with.
pub fn unix() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Lets the cluster and its load run for that long: a measured period, not a wait for a condition.
pub fn run_for(period: Duration) {
    std::thread::sleep(period);
}

/// Asks `probe` until it says yes (`Ok(Ok(value))`); gives up after `limit` with the last thing it said instead.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Result<T, String>>,
) -> Result<T> {
    let start = now();
    loop {
        let not_yet = match probe()? {
            Ok(value) => return Ok(value),
            Err(not_yet) => not_yet,
        };
        if start.elapsed() > limit {
            bail!("gave up after {limit:?} waiting until {what}: {not_yet}");
        }
        std::thread::sleep(POLL);
    }
}
