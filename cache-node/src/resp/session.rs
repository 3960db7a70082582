//! What a connection remembers between requests.

use std::ops::Range;
use std::sync::Arc;

use ringcache_ring::SlotSet;
use ringcache_wire::reply::Proto;
use ringcache_wire::request::Args;
use ringcache_wire::table::CommandSpec;

use super::client::Client;
use super::dispatch::Effect;
use super::forward;
use super::parts::Progress;
use super::tracking::Tracking;
use super::watches::Watch;
use crate::account::Lease;
use crate::served::Batch;

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
    /// Keys that the command at hand has counted before it had to wait.
    pub(super) counted: usize,
    /// How far the command at hand has come, if it has only given others their turn.
    pub(super) progress: Option<Progress>,
    /// What a flush under way has still to clear.
    pub(super) flush: Option<Flush>,
    /// What `WATCH` watches.
    pub(super) watch: Option<Watch>,
    /// Requests of this connection for slots that have departed: every so-manieth is answered with `MOVED`.
    pub(super) departed_requests: u32,
    /// Commands since the counters were last brought up to date.
    pub(super) commands: u64,
    /// Whether one of them may have taken long since the clock was looked at.
    pub(super) was_slow: bool,
    /// What the command at hand does with its keys, if it has some.
    pub(super) effect: Option<Effect>,
    /// What was served since the last replies were written.
    pub(super) batch: Batch,
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
            counted: 0,
            progress: None,
            flush: None,
            watch: None,
            departed_requests: 0,
            commands: 0,
            was_slow: false,
            effect: None,
            batch: Batch::default(),
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
        let mut queued = self.transaction.iter().flat_map(Transaction::commands);
        tracking.registers(spec) || queued.any(|(spec, _)| tracking.registers(spec))
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
            transaction.break_off();
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

/// The commands between `MULTI` and `EXEC`: copies, kept for longer than the buffer that they came in.
#[derive(Debug)]
pub(super) struct Transaction {
    /// In the order they came, each with its arguments' places in `ranges`.
    queue: Vec<(&'static CommandSpec, Range<usize>)>,
    ranges: Vec<Range<usize>>,
    bytes: Vec<u8>,
    memory: Lease,
    /// Whether one was refused: then none is executed.
    is_broken: bool,
}

/// There is no memory for so many bytes more now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom(pub(super) usize);

impl Transaction {
    /// Without commands. The memory for them is taken of `memory`.
    pub(super) fn new(memory: Lease) -> Self {
        let (queue, ranges, bytes) = (Vec::new(), Vec::new(), Vec::new());
        Self { queue, ranges, bytes, memory, is_broken: false }
    }

    /// How many commands there are.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes of their arguments.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that they take at most in a request to another node, which has a count before each.
    pub(super) fn sent_bytes(&self) -> usize {
        self.bytes.len() + (self.ranges.len() + 2 * self.queue.len()) * forward::ARG_BYTES
    }

    /// Whether a command was refused.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The commands, each with its arguments, its name first.
    pub(super) fn commands(
        &self,
    ) -> impl ExactSizeIterator<Item = (&'static CommandSpec, Args<'_>)> + Clone {
        let all = Args::new(&self.bytes, &self.ranges);
        self.queue.iter().map(move |(spec, range)| (*spec, all.slice(range.clone())))
    }

    /// It cannot be executed any more: what it would do need not be kept.
    fn break_off(&mut self) {
        (self.queue, self.ranges, self.bytes) = (Vec::new(), Vec::new(), Vec::new());
        self.memory.shrink_to(0);
        self.is_broken = true;
    }

    /// Appends a command; to a broken transaction, nothing.
    pub(super) fn push<'a>(
        &mut self,
        spec: &'static CommandSpec,
        args: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) -> Result<(), NoRoom> {
        if self.is_broken {
            return Ok(());
        }
        let bytes = args.clone().map(<[u8]>::len).sum();
        self.reserve(args.len(), bytes)?;
        let first = self.ranges.len();
        for arg in args {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(arg);
            self.ranges.push(start..self.bytes.len());
        }
        self.queue.push((spec, first..self.ranges.len()));
        Ok(())
    }

    /// Takes the memory for a command with so many arguments of so many bytes.
    fn reserve(&mut self, args: usize, bytes: usize) -> Result<(), NoRoom> {
        let queue = grown(&self.queue, 1);
        let ranges = grown(&self.ranges, args);
        let bytes = grown(&self.bytes, bytes);
        let most = queue * size_of::<(&CommandSpec, Range<usize>)>()
            + ranges * size_of::<Range<usize>>()
            + bytes;
        if !self.memory.grow_to(most) {
            return Err(NoRoom(most - self.memory.bytes()));
        }
        self.queue.reserve_exact(queue - self.queue.len());
        self.ranges.reserve_exact(ranges - self.ranges.len());
        self.bytes.reserve_exact(bytes - self.bytes.len());
        Ok(())
    }
}

/// The capacity for so many elements more: that of now if they fit, else half as much again, or what is needed.
fn grown<T>(elements: &Vec<T>, more: usize) -> usize {
    let (needed, capacity) = (elements.len() + more, elements.capacity());
    if needed <= capacity { capacity } else { needed.max(capacity + capacity / 2) }
}
