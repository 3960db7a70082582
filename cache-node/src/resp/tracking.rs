//! `CLIENT TRACKING`: which reads of a connection are registered, and the pushes on their way to it.

use ringcache_store::{MAX_KEY_BYTES, Observer};
use ringcache_wire::output::Output;
use ringcache_wire::reply::{Proto, ReplyWriter};
use ringcache_wire::table::CommandSpec;

use super::client::Clients;
use super::watches;
use crate::account::Lease;

/// Bytes of pushes that may wait for a connection. A client that is further behind is disconnected: it drops its copies
/// then, whereas a lost push would leave it with an old value for ever.
const MAX_WAITING_BYTES: usize = 1 << 20;
/// Bytes of a push besides its key.
const SHORT: usize = 64;
/// Tables of tracked keys take at most this part of the node's memory.
pub(super) const MEMORY_SHARE: usize = 8;

/// Which reads are registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// All.
    #[default]
    All,
    /// Only the next after `CLIENT CACHING YES`.
    OptIn,
    /// All but the next after `CLIENT CACHING NO`.
    OptOut,
}

/// What a connection that tracks keys has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tracking {
    pub(super) mode: Mode,
    /// Whether the next command is the exception: `CLIENT CACHING` came just before.
    pub(super) caching: bool,
    /// Own writes are not told.
    pub(super) noloop: bool,
}

impl Tracking {
    /// Whether the keys of this command are registered.
    pub(super) fn registers(self, spec: &CommandSpec) -> bool {
        let registers = match self.mode {
            Mode::All => true,
            Mode::OptIn => self.caching,
            Mode::OptOut => !self.caching,
        };
        registers && spec.has_flag("readonly")
    }
}

/// Pushes that wait for their connection to write them.
#[derive(Debug)]
pub(super) struct Pushes {
    encoded: Output,
}

impl Pushes {
    /// None yet. Their memory is taken of `lease`.
    pub(super) fn new(lease: Lease) -> Self {
        let mut encoded = Output::leased(lease);
        // The last key may pass the bound: half a push would be worse.
        encoded.set_room(MAX_WAITING_BYTES + MAX_KEY_BYTES + SHORT);
        Self { encoded }
    }

    /// Adds that a key is invalid. False if too many wait, or there is no memory for one more.
    pub(super) fn invalidate(&mut self, key: &[u8]) -> bool {
        if self.encoded.len() >= MAX_WAITING_BYTES || !self.encoded.reserve(key.len() + SHORT) {
            return false;
        }
        // One key a push: some clients read no more than the first.
        let mut push = self.begin();
        push.array(1);
        push.bulk(key);
        true
    }

    /// Adds that all keys are invalid, which says all that those before it say. False if there is no memory for it.
    pub(super) fn invalidate_all(&mut self) -> bool {
        self.encoded.clear();
        if !self.encoded.reserve(SHORT) {
            return false;
        }
        self.begin().null();
        true
    }

    fn begin(&mut self) -> ReplyWriter<'_> {
        let mut push = ReplyWriter::new(&mut self.encoded, Proto::Resp3);
        push.push(2);
        push.bulk(b"invalidate");
        push
    }

    /// Moves all of them into `out`, which is empty, with the memory that they take.
    pub(super) fn take(&mut self, out: &mut Output) {
        if !self.is_empty() {
            self.encoded.swap(out);
            self.encoded.shrink_to(0);
        }
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }
}

/// The store tells of a change: each client's connection is given the push, and woken. Watches are noted as changed.
impl Observer for Clients {
    fn invalidate(&self, key: &[u8], clients: &[u64]) {
        let (clients, watches) = watches::split(clients);
        self.watches.change(watches);
        for client in clients {
            // One that has ended has no copies.
            if let Some(client) = self.get(*client) {
                client.push(|pushes| pushes.invalidate(key));
            }
        }
    }

    /// Clients are told to forget everything, watches are not.
    fn forget(&self, clients: &[u64]) {
        self.watches.change(watches::split(clients).1);
    }

    fn is_tracking(&self, client: u64) -> bool {
        if watches::is_watch(client) {
            return self.watches.is_live(client);
        }
        self.get(client).is_some_and(|client| client.is_tracking())
    }
}
