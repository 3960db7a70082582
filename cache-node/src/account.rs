//! The memory that clients make the node hold besides entries: half-read requests, replies that wait to be read, queued
//! transactions, pushes, HTTP heads, bodies and answers.
//!
//! There is one [`Account`] for all of it, and whatever grows takes a [`Lease`] of it *before* it grows: ten thousand
//! connections with a megabyte each are ten gigabytes, so a bound on each of them would be none. When the account is short,
//! those that ask wait for a moment, and connections that hold most and do not move are closed for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use ringcache_wire::output::Memory;
use tokio::sync::Notify;

use crate::clock::Clock;

mod round;
#[cfg(test)]
mod tests;

/// The account's share of the node's memory limit, in thirty-seconds.
const SHARE: u64 = 3;
/// And no less than this, whatever the limit: the largest HTTP answer, and half as much for everybody else.
const MIN_BYTES: usize = 12 << 20;
/// The part of the limit that connections hold without being charged, 1 in so many; they share it equally.
const FREE_SHARE: u64 = 16;
/// No connection needs more than this for ordinary requests and replies.
const MAX_FREE_BYTES: usize = 16 << 10;
/// What a buffer of a connection that has nothing to do keeps at most.
const MAX_KEPT_BYTES: usize = 64 << 10;
/// The largest request, and the largest reply, is this part of the limit, 1 in so many, within these bounds: the smallest node
/// must take the largest value, and an `MGET` of one key, named a million times, must not take a terabyte.
const MESSAGE_SHARE: u64 = 16;
const MIN_MESSAGE_BYTES: usize = 4 << 20;
/// Bytes of the largest request, and of the largest reply, of any node.
pub const MAX_MESSAGE_BYTES: usize = 32 << 20;
/// Fewer bytes than this are no movement: a byte now and then would keep megabytes for ever.
const STEP_BYTES: usize = 4 << 10;
/// Whoever needs memory waits for it so long: clients give up after a few seconds, and must be told before.
const PATIENCE_MS: u64 = 1000;
/// Those who wait are served no more often than so many connections a microsecond can be looked at, a fifth of what a core
/// can do.
const LOOKS_PER_US: u64 = 4;
/// First and longest pause between two attempts to get memory.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(8);

/// The memory that all clients of a node may make it hold together.
#[derive(Debug)]
pub struct Account {
    limit_bytes: usize,
    free_bytes: usize,
    max_message_bytes: usize,
    used_bytes: AtomicUsize,
    clock: Clock,
    last_id: AtomicU64,
    /// Connections open now.
    open: AtomicUsize,
    live: Mutex<BTreeMap<u64, Weak<Holding>>>,
    /// When those who wait may be served again, in monotonic microseconds. Locked by who serves them: two would both give away
    /// what is free.
    next_round_us: Mutex<u64>,
    closed: AtomicU64,
}

impl Account {
    /// The account of a node with this memory limit.
    pub fn new(memory_bytes: u64, clock: Clock) -> Arc<Self> {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Arc::new(Self {
            limit_bytes: bytes(memory_bytes / 32 * SHARE).max(MIN_BYTES),
            free_bytes: bytes(memory_bytes / FREE_SHARE),
            max_message_bytes: bytes(memory_bytes / MESSAGE_SHARE)
                .clamp(MIN_MESSAGE_BYTES, MAX_MESSAGE_BYTES),
            used_bytes: AtomicUsize::new(0),
            clock,
            last_id: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            live: Mutex::default(),
            next_round_us: Mutex::new(0),
            closed: AtomicU64::new(0),
        })
    }

    /// Bytes that may be leased, beside what connections hold freely.
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Bytes that are leased.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.load(Relaxed)
    }

    /// Connections closed so far because others needed their memory.
    pub fn closed(&self) -> u64 {
        self.closed.load(Relaxed)
    }

    /// Bytes of the largest request, and of the largest reply.
    pub fn max_message_bytes(&self) -> usize {
        self.max_message_bytes
    }

    /// The holding of a new connection. One that `may_be_closed` is closed when others need its memory.
    pub fn open(self: &Arc<Self>, may_be_closed: bool) -> Arc<Holding> {
        let holding = Arc::new(Holding {
            account: Arc::clone(self),
            id: self.last_id.fetch_add(1, Relaxed),
            may_be_closed,
            held: Mutex::default(),
            charged: AtomicUsize::new(0),
            moved_ms: AtomicU64::new(BUSY),
            steps: AtomicUsize::new(0),
            is_asked: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            woken: Notify::new(),
            granted: Notify::new(),
        });
        self.live.lock().insert(holding.id, Arc::downgrade(&holding));
        let open = self.open.fetch_add(1, Relaxed) + 1;
        // What each may hold freely shrinks with their number: at every doubling those of before are charged for the rest.
        if open.is_power_of_two() && self.allowance() < MAX_FREE_BYTES {
            for holding in self.all() {
                holding.recharge();
            }
        }
        holding
    }

    /// What each connection may hold now without being charged for it.
    fn allowance(&self) -> usize {
        (self.free_bytes / self.open.load(Relaxed).max(1)).min(MAX_FREE_BYTES)
    }

    /// All connections. They are dropped outside of the lock, which the last of them takes.
    fn all(&self) -> Vec<Arc<Holding>> {
        self.live.lock().values().filter_map(Weak::upgrade).collect()
    }

    fn take(&self, bytes: usize) -> bool {
        let sum = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit_bytes);
        self.used_bytes.fetch_update(Relaxed, Relaxed, sum).is_ok()
    }

    /// Serves those who wait for memory, see [`round::serve`].
    fn serve_waiting(&self) {
        let now_us = self.clock.monotonic_us();
        if let Some(mut next_us) = self.next_round_us.try_lock()
            && now_us >= *next_us
        {
            *next_us = now_us + self.open.load(Relaxed) as u64 / LOOKS_PER_US;
            round::serve(self.limit_bytes, self.used_bytes(), &self.all(), now_us / 1000);
        }
    }
}

/// Instead of a time: the node works for this connection, it is not the one that has to move.
const BUSY: u64 = u64::MAX;

/// What a connection holds, in bytes.
#[derive(Debug, Default)]
struct Held {
    /// Sum of its leases, and what is set aside.
    bytes: usize,
    /// Set aside for the next lease that grows.
    aside: usize,
    /// Bytes that it waits for.
    wants: usize,
}

/// What one connection makes the node hold, and whether it moves.
#[derive(Debug)]
pub struct Holding {
    account: Arc<Account>,
    id: u64,
    may_be_closed: bool,
    held: Mutex<Held>,
    /// The part of it that is charged to the account: above its allowance.
    charged: AtomicUsize,
    /// Monotonic milliseconds of its last movement, or [`BUSY`].
    moved_ms: AtomicU64,
    /// Bytes moved since then.
    steps: AtomicUsize,
    /// Whether it was asked to end for others.
    is_asked: AtomicBool,
    is_closing: AtomicBool,
    woken: Notify,
    /// Wakes it when it got what it waits for.
    granted: Notify,
}

impl Holding {
    /// A number that no other connection has or will have.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A lease of nothing yet.
    pub fn lease(self: &Arc<Self>) -> Lease {
        Lease { holding: Arc::clone(self), bytes: 0 }
    }

    /// What it may hold now without being charged for it.
    pub fn allowance(&self) -> usize {
        self.account.allowance()
    }

    /// What a buffer may keep while its connection has nothing to do. Plenty, so that it need not be taken anew for the next
    /// large request, until much of the account is used or others need it.
    pub fn keepable(&self) -> usize {
        let is_needed = self.is_asked() || self.account.used_bytes() > self.account.limit_bytes / 2;
        if is_needed { self.allowance() / 4 } else { MAX_KEPT_BYTES }
    }

    /// The node works for it from now on.
    pub fn set_busy(&self) {
        self.moved_ms.store(BUSY, Relaxed);
        self.is_asked.store(false, Relaxed);
    }

    /// From now on it is its turn to move, if it was the node's before.
    pub fn set_idle(&self) {
        if self.moved_ms.load(Relaxed) == BUSY {
            self.step();
        }
    }

    fn step(&self) {
        self.steps.store(0, Relaxed);
        self.moved_ms.store(self.account.clock.monotonic_ms(), Relaxed);
        self.is_asked.store(false, Relaxed);
    }

    /// Something new begins that it has to move, if it is its turn.
    pub fn restart(&self) {
        if self.moved_ms.load(Relaxed) != BUSY {
            self.step();
        }
    }

    /// Whether it holds more than it may freely.
    pub fn is_charged(&self) -> bool {
        self.charged.load(Relaxed) > 0
    }

    /// It has sent or taken so many bytes.
    pub fn moved(&self, bytes: usize) {
        if self.steps.fetch_add(bytes, Relaxed) + bytes >= STEP_BYTES
            && self.moved_ms.load(Relaxed) != BUSY
        {
            self.step();
        }
    }

    /// How long it has been its turn to move without [`STEP_BYTES`] having moved.
    pub fn idle_for(&self) -> Duration {
        let now_ms = self.account.clock.monotonic_ms();
        Duration::from_millis(now_ms.saturating_sub(self.moved_ms.load(Relaxed)))
    }

    /// Whether its connection was asked to end, because others need its memory. It first does what it can do without waiting
    /// for the client: it may be the node that had no time for it. If that is a step, it is asked no more.
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Relaxed)
    }

    /// Counts that it ended because it was asked to.
    pub fn ended_for_others(&self) {
        self.account.closed.fetch_add(1, Relaxed);
    }

    /// Has its connection end at once.
    pub fn close(&self) {
        self.is_closing.store(true, Relaxed);
        self.woken.notify_one();
    }

    /// Whether its connection has to end at once.
    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Relaxed)
    }

    /// Wakes its connection.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Resolves when its connection was woken, or has to end.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Sets aside what it waits for, if that is still free.
    fn grant(&self) {
        let mut held = self.held.lock();
        let charge = (held.bytes + held.wants).saturating_sub(self.allowance());
        let more = charge.saturating_sub(self.charged.load(Relaxed));
        if held.wants == 0 || !self.account.take(more) {
            return;
        }
        self.charged.fetch_add(more, Relaxed);
        held.bytes += held.wants;
        held.aside += std::mem::take(&mut held.wants);
        drop(held);
        // It has not moved, but now it is the node that has to go on.
        self.set_busy();
        self.granted.notify_one();
    }

    /// Has its connection end for others. One that waits for memory cannot do anything else before.
    fn end(&self, is_waiting: bool) {
        if self.moved_ms.load(Relaxed) == BUSY {
            return;
        }
        if is_waiting {
            self.ended_for_others();
            self.close();
        } else {
            self.is_asked.store(true, Relaxed);
            self.wake();
        }
    }

    /// Waits until so many bytes are set aside.
    async fn wait(&self, bytes: usize) -> bool {
        let account = &*self.account;
        let deadline_ms = account.clock.monotonic_ms() + PATIENCE_MS;
        let mut pause = FIRST_PAUSE;
        self.held.lock().wants = bytes;
        let mut waiting = Waiting { holding: self, has_taken: false };
        while account.clock.monotonic_ms() < deadline_ms && !self.is_closing() {
            account.serve_waiting();
            let _ = tokio::time::timeout(pause, self.granted.notified()).await;
            if self.held.lock().wants == 0 {
                waiting.has_taken = true;
                return true;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        false
    }

    /// Gives back what [`Lease::set_aside`] has set aside and no lease has taken.
    pub fn give_back_aside(&self) {
        let aside = std::mem::take(&mut self.held.lock().aside);
        if aside > 0 {
            self.remove(aside);
        }
    }

    fn add(&self, bytes: usize) -> bool {
        let mut held = self.held.lock();
        let from_aside = held.aside.min(bytes);
        let sum = held.bytes.saturating_add(bytes - from_aside);
        let charge = sum.saturating_sub(self.allowance());
        let charged = self.charged.load(Relaxed);
        if charge > charged {
            if !self.account.take(charge - charged) {
                return false;
            }
            self.charged.store(charge, Relaxed);
        }
        held.bytes = sum;
        held.aside -= from_aside;
        true
    }

    fn remove(&self, bytes: usize) {
        let mut held = self.held.lock();
        held.bytes = held.bytes.saturating_sub(bytes);
        let charged = self.charged.load(Relaxed);
        let charge = held.bytes.saturating_sub(self.allowance()).min(charged);
        if charge < charged {
            self.charged.store(charge, Relaxed);
            self.account.used_bytes.fetch_sub(charged - charge, Relaxed);
        }
    }

    /// Charges it for what it holds above its allowance, whether there is room in the account or not.
    fn recharge(&self) {
        let held = self.held.lock();
        let charge = held.bytes.saturating_sub(self.allowance());
        let charged = self.charged.load(Relaxed);
        if charge > charged {
            self.account.used_bytes.fetch_add(charge - charged, Relaxed);
            self.charged.store(charge, Relaxed);
        }
    }
}

/// That a connection waits for memory. When this is dropped it waits no more, and what it was granted and has not taken is given
/// back.
struct Waiting<'a> {
    holding: &'a Holding,
    has_taken: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let is_granted = std::mem::take(&mut self.holding.held.lock().wants) == 0;
        if is_granted && !self.has_taken {
            self.holding.give_back_aside();
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.account.open.fetch_sub(1, Relaxed);
        self.account.used_bytes.fetch_sub(self.charged.load(Relaxed), Relaxed);
        self.account.live.lock().remove(&self.id);
    }
}

/// Memory that something may take; given back when dropped. Only [`Holding::lease`] makes one, and it starts with nothing.
#[derive(Debug)]
pub struct Lease {
    holding: Arc<Holding>,
    bytes: usize,
}

impl Lease {
    /// Bytes that its owner may take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what is missing to `bytes`. False if there is not enough now.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.bytes);
        let is_granted = missing == 0 || self.holding.add(missing);
        if is_granted {
            self.bytes += missing;
        }
        is_granted
    }

    /// The same, waiting for others to give memory back, at the cost of connections that do not move. False if that takes too
    /// long, or if this one is itself to be closed meanwhile.
    pub async fn wait_for(&mut self, bytes: usize) -> bool {
        if self.grow_to(bytes) {
            return true;
        }
        let holding = Arc::clone(&self.holding);
        let was_busy = holding.moved_ms.load(Relaxed) == BUSY;
        holding.set_idle();
        let is_granted = holding.wait(bytes - self.bytes).await;
        if was_busy {
            holding.set_busy();
        } else {
            // It could not move while it waited.
            holding.step();
        }
        is_granted && self.grow_to(bytes)
    }

    /// Leaves the memory to whatever lease of the same connection grows next: given back and taken anew, it might be taken
    /// by another connection in between.
    pub fn set_aside(mut self) {
        self.holding.held.lock().aside += std::mem::take(&mut self.bytes);
    }

    /// Gives back what is held beyond `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let spare = self.bytes.saturating_sub(bytes);
        if spare > 0 {
            self.bytes -= spare;
            self.holding.remove(spare);
        }
    }
}

impl Memory for Lease {
    fn grow_to(&mut self, bytes: usize) -> bool {
        Lease::grow_to(self, bytes)
    }

    fn shrink_to(&mut self, bytes: usize) {
        Lease::shrink_to(self, bytes);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}
