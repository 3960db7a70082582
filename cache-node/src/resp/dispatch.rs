//! From a request to its reply: looks the command up, asks for the slot of its keys, runs it. Synchronous: whatever has
//! to wait is the connection's business.

use ringcache_store::{MAX_KEY_BYTES, Millis, SlotGuard};
use ringcache_wire::output::Output;
use ringcache_wire::reply::ReplyWriter;
use ringcache_wire::request::Args;
use ringcache_wire::table::{Command, CommandSpec, lookup};

use super::commands::{self, Handler, KeyedFn, transaction};
use super::error::{CommandError, unknown_command};
use super::parts::{self, Progress};
use super::session::Session;
use super::workers::Worker;
use crate::node::{Admission, Node};

/// Bytes of a reply that carries no value: a number (the longest, of `INCRBYFLOAT`, has 512 digits), a status, an error.
/// There is memory for it before a command runs: whatever it has changed, its reply can be written.
pub(super) const SHORT: usize = 1024;

/// Entries that a writer evicts at a time, and how often at most before its answer. A value of a megabyte may have to
/// displace thousands of small ones.
const RECLAIM_ENTRIES: usize = 256;
const RECLAIM_TURNS: usize = 64;

/// A command that frees values of more bytes than this may have taken long.
pub(super) const SLOW_TO_FREE: usize = 64 << 10;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The reply is written.
    Done,
    /// The reply is written; the connection is to be closed.
    Close,
    /// A part was done, so that others get their turn. Dispatched again, the command goes on.
    Unfinished,
    /// Nothing was done: the slot is between two owners.
    Wait(u16),
    /// Nothing was done: there is no memory for what the request stores in that slot.
    NoMemory(u16),
    /// Nothing was done: the reply, or what is to be queued, needs so many bytes of the memory that connections share.
    NoRoom(usize),
    /// A flush has cleared what is here; it goes on at the owners of slots that were handed over, this one among them.
    FlushAtOwners(u16),
    /// Nothing was done: another node owns the slot.
    Elsewhere(u16),
}

/// What a request does to its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    /// It leaves the entries as they are.
    Reads,
    /// It changes or removes entries.
    Changes,
    /// It needs memory for what it stores.
    Stores,
}

impl Effect {
    /// What a command does, by its flags in the table.
    pub(super) fn of(spec: &CommandSpec) -> Self {
        if spec.has_flag("denyoom") {
            Self::Stores
        } else if spec.has_flag("write") {
            Self::Changes
        } else {
            Self::Reads
        }
    }
}

/// One request, with all that its command may use.
pub(super) struct Call<'a> {
    pub(super) worker: &'a Worker,
    pub(super) session: &'a mut Session,
    pub(super) spec: &'static CommandSpec,
    pub(super) args: Args<'a>,
    pub(super) now: Millis,
    pub(super) out: &'a mut Output,
}

impl Call<'_> {
    /// The node.
    pub(super) fn node(&self) -> &Node {
        self.worker.node()
    }

    /// Writes replies in the connection's protocol version.
    pub(super) fn reply(&mut self) -> ReplyWriter<'_> {
        ReplyWriter::new(self.out, self.session.proto)
    }

    /// Replies with a number of things.
    pub(super) fn reply_count(&mut self, count: usize) {
        self.reply().integer((count as u64).cast_signed());
    }

    /// The same request in a buffer and session that the borrow checker knows to be shorter lived.
    pub(super) fn reborrow(&mut self) -> Call<'_> {
        Call {
            worker: self.worker,
            session: self.session,
            spec: self.spec,
            args: self.args,
            now: self.now,
            out: self.out,
        }
    }
}

/// A request for keys of one slot, while that slot is locked.
pub(super) struct Keyed<'a, 'guard> {
    pub(super) node: &'a Node,
    pub(super) slot: &'a mut SlotGuard<'guard>,
    pub(super) args: Args<'a>,
    pub(super) now: Millis,
    pub(super) no_touch: bool,
    pub(super) reply: ReplyWriter<'a>,
}

impl Keyed<'_, '_> {
    /// Replies with a number of things.
    pub(super) fn reply_count(&mut self, count: usize) {
        self.reply.integer((count as u64).cast_signed());
    }
}

/// Answers one request, or says why it cannot be answered now. `args` has at least one element.
///
/// A reply that is too long for the node is never built: the buffer takes no more, and the client gets an error. A reply
/// that there is no memory for now is taken back: only requests that change nothing write one longer than [`SHORT`] without
/// having reserved the memory first, so they can be run again.
pub(super) fn dispatch(
    worker: &Worker,
    session: &mut Session,
    args: Args<'_>,
    now: Millis,
    out: &mut Output,
) -> Outcome {
    let mark = out.len() - session.progress.as_ref().map_or(0, Progress::reply_bytes);
    let max_bytes = worker.max_message_bytes();
    out.set_room(mark + max_bytes);
    if session.progress.is_none() && !out.reserve(SHORT) {
        return Outcome::NoRoom(SHORT);
    }
    let outcome = answer(worker, session, args, now, out);
    if out.is_full() && outcome != Outcome::Unfinished {
        let needed = out.needed() - mark;
        let is_too_long = out.exceeds_room();
        out.truncate(mark);
        if !is_too_long {
            return Outcome::NoRoom(needed);
        }
        let error = CommandError::ReplyTooLong(max_bytes).to_string();
        ReplyWriter::new(out, session.proto).error(&error);
    }
    outcome
}

fn answer(
    worker: &Worker,
    session: &mut Session,
    args: Args<'_>,
    now: Millis,
    out: &mut Output,
) -> Outcome {
    let Some(spec) = lookup(&args[0]) else {
        session.break_transaction();
        ReplyWriter::new(out, session.proto).error(&unknown_command(args));
        return Outcome::Done;
    };
    session.last_command = spec.name;
    let mut call = Call { worker, session, spec, args, now, out };
    if !spec.accepts(args.len()) {
        call.session.break_transaction();
        call.reply().error(&CommandError::Arity(spec.name).to_string());
        return Outcome::Done;
    }
    if call.session.transaction.is_some() && !transaction::runs_at_once(spec.id) {
        return transaction::queue(&mut call);
    }
    run(&mut call)
}

/// Runs a command that exists and has as many arguments as it must.
pub(super) fn run(call: &mut Call<'_>) -> Outcome {
    match commands::handler(call.spec.id) {
        Handler::Keyed(run) => run_keyed(call, run),
        Handler::Each(each) => parts::run(call, each),
        Handler::Plain(run) => {
            call.session.was_slow |= !call.spec.has_flag("fast");
            let mark = call.out.len();
            run(call).unwrap_or_else(|error| refuse(call, mark, &error))
        }
    }
}

fn run_keyed(call: &mut Call<'_>, run: KeyedFn) -> Outcome {
    let mark = call.out.len();
    let slot = match slot_of(call.spec, call.args) {
        Ok(slot) => slot,
        Err(error) => return refuse(call, mark, &error),
    };
    let effect = Effect::of(call.spec);
    call.session.effect = Some(effect);
    let mut guard = match admit(call.worker.node(), slot, effect) {
        Ok(guard) => guard,
        Err(outcome) => return outcome,
    };
    if effect != Effect::Reads && returns_values(call.spec, call.args) {
        let value = guard.peek(&call.args[1], call.now).map_or(0, |entry| entry.value.len());
        if !call.out.reserve(SHORT + value) {
            return Outcome::NoRoom(SHORT + value);
        }
    }
    let done = run_locked(&mut call.reborrow(), &mut guard, run);
    call.session.was_slow |= guard.freed_bytes() > SLOW_TO_FREE;
    drop(guard);
    settle(call.node(), effect, call.now);
    match done {
        Ok(()) => Outcome::Done,
        Err(error) => refuse(call, mark, &error),
    }
}

/// Runs a command for keys of a slot that is locked already.
pub(super) fn run_locked(
    call: &mut Call<'_>,
    slot: &mut SlotGuard<'_>,
    run: KeyedFn,
) -> Result<(), CommandError> {
    let tracking = call.session.tracking;
    let client = call.session.client.id;
    slot.set_client(client, !tracking.is_some_and(|tracking| tracking.noloop));
    run(&mut Keyed {
        node: call.worker.node(),
        slot: &mut *slot,
        args: call.args,
        now: call.now,
        no_touch: call.session.no_touch,
        reply: ReplyWriter::new(call.out, call.session.proto),
    })?;
    if tracking.is_some_and(|tracking| tracking.registers(call.spec)) {
        // Absent keys as well: clients remember that there is nothing.
        for position in call.spec.key_positions(call.args.len()) {
            slot.track(&call.args[position], client);
        }
    }
    Ok(())
}

/// Locks the slot for a request, if this node may serve it now.
pub(super) fn admit(node: &Node, slot: u16, effect: Effect) -> Result<SlotGuard<'_>, Outcome> {
    match node.admit(slot) {
        Admission::Serve(guard) if effect != Effect::Reads && !node.takes_changes(&guard) => {
            Err(Outcome::Wait(slot))
        }
        Admission::Serve(_) if effect == Effect::Stores && !node.has_memory() => {
            Err(Outcome::NoMemory(slot))
        }
        Admission::Serve(guard) => Ok(guard),
        Admission::Wait => Err(Outcome::Wait(slot)),
        Admission::Elsewhere => Err(Outcome::Elsewhere(slot)),
    }
}

/// Whether the reply to a request carries values.
pub(super) fn returns_values(spec: &CommandSpec, args: Args<'_>) -> bool {
    match spec.id {
        Command::Get | Command::Getdel | Command::Getex | Command::Getset | Command::Mget => true,
        // One without options has no `GET`.
        Command::Set => args.len() > 3,
        _ => false,
    }
}

/// Frees what a request has displaced, once its slot is no longer locked. What a write displaced is evicted before the write is
/// answered: a fast writer cannot outrun the eviction.
pub(super) fn settle(node: &Node, effect: Effect, now: Millis) {
    node.store.reclaim_tracked();
    if effect == Effect::Reads {
        return;
    }
    for _ in 0..RECLAIM_TURNS {
        if node.store.reclaim(now, RECLAIM_ENTRIES) {
            return;
        }
    }
}

/// The one slot of a command's keys. The command has at least one key.
pub(super) fn slot_of(spec: &CommandSpec, args: Args<'_>) -> Result<u16, CommandError> {
    let mut slot = None;
    for position in spec.key_positions(args.len()) {
        let key = &args[position];
        if key.len() > MAX_KEY_BYTES {
            return Err(CommandError::KeyTooLong);
        }
        let key_slot = ringcache_ring::key_slot(key);
        if *slot.get_or_insert(key_slot) != key_slot {
            return Err(CommandError::CrossSlot);
        }
    }
    slot.ok_or(CommandError::Arity(spec.name))
}

/// Replaces whatever the command has written since `mark` by the error.
pub(super) fn refuse(call: &mut Call<'_>, mark: usize, error: &CommandError) -> Outcome {
    call.out.truncate(mark);
    if call.spec.id != Command::Exec {
        call.session.break_transaction();
    }
    call.reply().error(&error.to_string());
    Outcome::Done
}
