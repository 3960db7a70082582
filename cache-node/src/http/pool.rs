//! The memory that HTTP connections hold for bodies and answers, bounded over all of them: ten thousand slow readers with
//! a megabyte each would be ten gigabytes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// What each request may hold without asking, in bytes, so that ordinary ones are served however much others hold.
pub(super) const FREE_BYTES: usize = 16 << 10;
/// The largest answer: a batch, or a value of the largest size whose every byte is escaped as six.
pub(super) const MAX_ANSWER_BYTES: usize = 8 << 20;
/// Share of the node's memory limit that all requests may hold together: 1 in so many, but room for one largest answer.
const SHARE: u64 = 32;
/// A request that needs memory waits for it so long.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of one permit.
const UNIT_BYTES: usize = 1 << 10;

/// Memory that requests have to ask for.
pub(super) struct Pool {
    units: Arc<Semaphore>,
}

/// Memory that a request may use; given back when dropped.
#[derive(Default)]
pub(super) struct Lease(Option<OwnedSemaphorePermit>);

impl Pool {
    /// The pool of a node with this memory limit.
    pub(super) fn new(memory_bytes: u64) -> Self {
        let share = usize::try_from(memory_bytes / SHARE).unwrap_or(usize::MAX);
        let bytes = share.max(MAX_ANSWER_BYTES).min(u32::MAX as usize);
        Self { units: Arc::new(Semaphore::new(bytes.div_ceil(UNIT_BYTES))) }
    }

    /// Memory of `bytes` (at most [`MAX_ANSWER_BYTES`]); waits while others hold it. Little memory needs no waiting.
    pub(super) async fn lease(&self, bytes: usize) -> Result<Lease, Problem> {
        if bytes <= FREE_BYTES {
            return Ok(Lease::default());
        }
        let units = bytes.div_ceil(UNIT_BYTES) as u32;
        let permit = Arc::clone(&self.units).acquire_many_owned(units);
        match tokio::time::timeout(PATIENCE, permit).await {
            Ok(Ok(permit)) => Ok(Lease(Some(permit))),
            Ok(Err(_)) | Err(_) => Err(Problem::Busy),
        }
    }
}

impl Lease {
    /// Bytes that its holder may use.
    pub(super) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(FREE_BYTES, |permit| permit.num_permits() * UNIT_BYTES)
    }

    /// Gives back what is not needed.
    pub(super) fn shrink(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.0 {
            let spare = permit.num_permits().saturating_sub(bytes.div_ceil(UNIT_BYTES));
            drop(permit.split(spare));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn must_wait(pool: &Pool, bytes: usize) -> bool {
        tokio::time::timeout(Duration::from_millis(10), pool.lease(bytes)).await.is_err()
    }

    #[tokio::test]
    async fn what_one_holds_the_next_waits_for_and_gets_when_it_is_given_back() {
        let pool = Pool::new(64 << 20);
        let mut held = pool.lease(MAX_ANSWER_BYTES).await.unwrap();
        assert_eq!(held.bytes(), MAX_ANSWER_BYTES);
        assert!(!must_wait(&pool, FREE_BYTES).await);
        assert!(must_wait(&pool, FREE_BYTES + 1).await);
        held.shrink(MAX_ANSWER_BYTES - (64 << 10));
        assert!(!must_wait(&pool, 64 << 10).await);
        assert!(must_wait(&pool, (64 << 10) + 1).await);
        drop(held);
        assert!(!must_wait(&pool, MAX_ANSWER_BYTES).await);
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_that_the_node_is_busy() {
        let pool = Pool::new(64 << 20);
        let _held = pool.lease(MAX_ANSWER_BYTES).await.unwrap();
        assert_eq!(pool.lease(FREE_BYTES + 1).await.err(), Some(Problem::Busy));
    }
}
