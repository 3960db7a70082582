//! Waits that end.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Shortest time between two looks.
const POLL: Duration = Duration::from_millis(250);
/// Time between two looks, in times that a look takes: looking must not be what keeps the machine busy.
const REST: u32 = 4;

/// Looks until the answer is yes (`Ok(Ok(value))`); gives up after `limit` with the last answer.
pub(crate) async fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<Result<T, String>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        let looked = Instant::now();
        let not_yet = match look().await? {
            Ok(value) => return Ok(value),
            Err(not_yet) => not_yet,
        };
        if start.elapsed() > limit {
            bail!("gave up after {limit:?} waiting until {what}: {not_yet}");
        }
        sleep(POLL.max(looked.elapsed() * REST)).await;
    }
}
