//! The memory that connections hold for requests not yet read and replies not yet written, bounded over all of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::dispatch::MAX_REPLY_BYTES;

/// What each connection may hold without asking, in bytes: enough for the requests and replies of an ordinary client, so
/// that those are served on however much others hold.
pub(super) const FREE_BYTES: usize = 16 << 10;

/// Share of the node's memory limit that all connections together may hold beyond [`FREE_BYTES`] each: 1 in so many.
const SHARE: u64 = 16;

/// And no less than this, whatever the limit: the largest value must be accepted by the smallest node.
const MIN_BYTES: usize = 4 << 20;

/// The memory for which connections have to account. One bound over all of them, because a bound on each is none: ten
/// thousand slow readers with a megabyte each are ten gigabytes.
pub(super) struct Pool {
    limit_bytes: usize,
    held_bytes: AtomicUsize,
}

impl Pool {
    /// The pool of a node with this memory limit.
    pub(super) fn new(memory_bytes: u64) -> Self {
        let limit_bytes = usize::try_from(memory_bytes / SHARE).unwrap_or(usize::MAX);
        Self { limit_bytes: limit_bytes.max(MIN_BYTES), held_bytes: AtomicUsize::new(0) }
    }

    /// Bytes of the largest reply: what all connections may hold together, so that one reply alone cannot exceed it.
    pub(super) fn max_reply_bytes(&self) -> usize {
        self.limit_bytes.min(MAX_REPLY_BYTES)
    }

    /// Whether connections hold more than they may: those that do not move have to go.
    pub(super) fn is_exhausted(&self) -> bool {
        self.held_bytes.load(Ordering::Relaxed) > self.limit_bytes
    }

    /// The account of a new connection.
    pub(super) fn lease(&self) -> Lease<'_> {
        Lease { pool: self, held_bytes: 0 }
    }
}

/// What one connection holds; given back when dropped.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    held_bytes: usize,
}

impl Lease<'_> {
    /// States how much the connection holds now.
    pub(super) fn hold(&mut self, bytes: usize) {
        let bytes = bytes.saturating_sub(FREE_BYTES);
        // Most connections never hold more than they may freely: no shared cache line is written for them.
        if bytes != self.held_bytes {
            self.pool.held_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.pool.held_bytes.fetch_sub(self.held_bytes, Ordering::Relaxed);
            self.held_bytes = bytes;
        }
    }

    /// Whether this connection holds part of an exhausted pool.
    pub(super) fn is_over(&self) -> bool {
        self.held_bytes > 0 && self.pool.is_exhausted()
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_exhausted_one_byte_above_its_share_and_not_before() {
        let pool = Pool::new(160 << 20);
        let (mut large, mut small) = (pool.lease(), pool.lease());
        large.hold(FREE_BYTES + (10 << 20));
        small.hold(FREE_BYTES);
        assert!(!pool.is_exhausted());
        large.hold(FREE_BYTES + (10 << 20) + 1);
        assert!(pool.is_exhausted() && large.is_over());
        assert!(!small.is_over(), "who holds no more than everybody may is served on");
    }

    #[test]
    fn what_a_connection_held_is_given_back_when_it_ends() {
        let pool = Pool::new(0);
        let mut lease = pool.lease();
        lease.hold(FREE_BYTES + MIN_BYTES + 1);
        assert!(pool.is_exhausted());
        drop(lease);
        assert!(!pool.is_exhausted());
    }
}
