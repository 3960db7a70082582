//! The only place that reads the wall clock; simulations bring their own, which moves with the runtime's time.

use std::time::SystemTime;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time of day.
#[derive(Clone, Debug)]
pub struct Clock {
    /// What it was at that instant; `None` = the system's.
    origin: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { origin: None }
    }

    /// A clock that shows `start` now and goes with the runtime's time, paused or not.
    pub fn virtual_from(start: Timestamp) -> Self {
        Self { origin: Some((start, Instant::now())) }
    }

    /// Now.
    #[expect(clippy::disallowed_methods, reason = "this is where time is read")]
    pub fn now(&self) -> Timestamp {
        match self.origin {
            // A system clock beyond the range of timestamps is told as its beginning, rather than ending the operator.
            None => Timestamp::try_from(SystemTime::now()).unwrap_or_default(),
            Some((start, since)) => {
                let elapsed = SignedDuration::try_from(since.elapsed()).unwrap_or_default();
                start.saturating_add(elapsed).unwrap_or(start)
            }
        }
    }

    /// Now, as the API writes it.
    pub fn time(&self) -> Time {
        Time(self.now())
    }
}
