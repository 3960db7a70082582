//! The one place of the lab that reads the clock and sleeps.
#![expect(clippy::disallowed_methods, reason = "a real cluster runs in real time")]

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(100);

/// A moment to measure from.
pub fn now() -> Instant {
    Instant::now()
}

/// Asks `probe` until it says yes (`Ok(Ok(value))`).
///
/// # Errors
/// Gives up after `limit` with the last thing the probe said instead, and at once when it fails.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_gives_up_says_what_for_and_why() {
        let mut looks = 0;
        let waited = wait_for("it rains", Duration::from_millis(1), || {
            looks += 1;
            Ok(Err::<(), _>(format!("sunny {looks} times")))
        });
        assert_eq!(
            waited.unwrap_err().to_string(),
            "gave up after 1ms waiting until it rains: sunny 2 times"
        );
    }
}
