//! What a connection remembers between requests.

use std::ops::Range;
use std::sync::Arc;

use ringcache_ring::SlotSet;
use ringcache_wire::reply::Proto;
use ringcache_wire::request::Args;
use ringcache_wire::table::CommandSpec;

use super::client::Client;
use super::tracking::Tracking;
use super::watches::Watch;

/// The state of one connection. A connection of another node has one as well, which its requests do not change.
pub(super) struct Session {
    /// What others see of it.
    pub(super) client: Arc<Client>,
    /// The protocol version that replies are written in.
    pub(super) proto: Proto,
    /// Which replies are sent.
    pub(super) replies: Replies,
    /// `CLIENT NO-TOUCH`: lookups leave the eviction order as it is.
    pub(super) no_touch: bool,
    /// `CLIENT TRACKING`: the client keeps copies of what it reads. Only in RESP3, which has pushes.
    pub(super) tracking: Option<Tracking>,
    /// Commands between `MULTI` and `EXEC`.
    pub(super) transaction: Option<Transaction>,
    /// What a flush under way has still to clear.
    pub(super) flush: Option<Flush>,
    /// What `WATCH` watches.
    pub(super) watch: Option<Watch>,
    /// Requests of this connection for slots that have departed: every so-manieth is answered with `MOVED`.
    pub(super) departed_requests: u32,
    /// Commands since the counters were last brought up to date.
    pub(super) commands: u64,
    /// Whether one of them asked for a key.
    pub(super) asked_for_key: bool,
    /// The command that ran last.
    pub(super) last_command: &'static str,
}

impl Session {
    /// The state of a new connection.
    pub(super) fn new(client: Arc<Client>, proto: Proto) -> Self {
        client.shown(|shown| shown.proto = proto);
        Self {
            client,
            proto,
            replies: Replies::On,
            no_touch: false,
            tracking: None,
            transaction: None,
            flush: None,
            watch: None,
            departed_requests: 0,
            commands: 0,
            asked_for_key: false,
            last_command: "NULL",
        }
    }

    /// Speaks this protocol version from the reply at hand on.
    pub(super) fn set_proto(&mut self, proto: Proto) {
        self.proto = proto;
        if proto == Proto::Resp2 {
            self.set_tracking(None);
        }
        self.client.shown(|shown| shown.proto = proto);
    }

    /// Starts, changes or ends tracking. Keys that are registered when it ends are forgotten when they change.
    pub(super) fn set_tracking(&mut self, tracking: Option<Tracking>) {
        self.tracking = tracking;
        self.client.set_tracking(tracking.is_some());
    }

    /// Whether this node has to answer the command itself, because it registers the keys that it reads: pushes come from
    /// the node that the client is connected to.
    pub(super) fn registers(&self, spec: &CommandSpec) -> bool {
        let Some(tracking) = &self.tracking else { return false };
        let queued = self.transaction.iter().flat_map(|transaction| &transaction.queue);
        tracking.registers(spec) || queued.into_iter().any(|queued| tracking.registers(queued.spec))
    }

    /// Ends the transaction and the watch.
    pub(super) fn end_transaction(&mut self) -> Option<Transaction> {
        self.watch = None;
        self.client.shown(|shown| shown.queued = None);
        self.transaction.take()
    }

    /// A transaction that cannot be executed any more: `EXEC` will say so.
    pub(super) fn break_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.is_broken = true;
        }
    }
}

/// `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replies {
    /// Every reply is sent.
    On,
    /// None is.
    Off,
    /// The next one is not.
    SkipNext,
}

/// Slots that a flush has still to clear.
#[derive(Debug, Default)]
pub(super) struct Flush {
    /// Between two owners: waited for.
    pub(super) parked: SlotSet,
    /// Handed over: to be cleared at their owners.
    pub(super) away: SlotSet,
}

/// The commands between `MULTI` and `EXEC`.
#[derive(Default)]
pub(super) struct Transaction {
    /// In the order they came.
    pub(super) queue: Vec<Queued>,
    /// Bytes of their arguments.
    pub(super) bytes: usize,
    /// Whether one was refused: then none is executed.
    pub(super) is_broken: bool,
}

impl Transaction {
    /// Appends a command.
    pub(super) fn push(&mut self, queued: Queued) {
        self.bytes += queued.args.bytes.len();
        self.queue.push(queued);
    }
}

/// A command of a transaction.
pub(super) struct Queued {
    /// Which command.
    pub(super) spec: &'static CommandSpec,
    /// Its arguments.
    pub(super) args: OwnedArgs,
}

/// A copy of a request's arguments, kept for longer than the buffer they came in.
pub(super) struct OwnedArgs {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl OwnedArgs {
    /// Copies the arguments.
    pub(super) fn new<'a>(args: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let mut bytes = Vec::with_capacity(args.clone().map(<[u8]>::len).sum());
        let mut ranges = Vec::new();
        for arg in args {
            let start = bytes.len();
            bytes.extend_from_slice(arg);
            ranges.push(start..bytes.len());
        }
        Self { bytes, ranges }
    }

    /// The arguments, the command's name first.
    pub(super) fn as_args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.ranges)
    }
}
