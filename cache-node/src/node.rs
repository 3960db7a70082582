//! What all threads of a node share, and the one question that every request asks: may I be served here, now?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use ringcache_api::Incarnation;
use ringcache_api::admin::Settings;
use ringcache_ring::SLOTS;
use ringcache_store::{Access, SlotGuard, Store};
use tokio::sync::{Notify, mpsc};

use crate::account::Account;
use crate::args::NodeArgs;
use crate::busy::Busy;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::measure::Measures;
use crate::requests::Request;
use crate::routes::{Peer, Routes};
use crate::served::Served;

/// Slots that share one lock and one list of waiting requests.
const GROUPS: usize = (SLOTS >> 4) as usize;
/// A parked or ownerless slot is waited for this long before the client gets an error: longer than any handover, shorter
/// than the time-outs of stock clients.
pub const WAIT: Duration = Duration::from_secs(3);
/// What stores something waits so long for memory, which is usually there again within milliseconds.
pub const MEMORY_WAIT: Duration = Duration::from_secs(1);
/// A slot whose changes wait in so long a queue for their new owner takes no more writes: they wait, none is lost.
const MAX_JOURNAL_BYTES: usize = 1 << 20;

/// A node: identity, data, routes, counters. Shared by every thread through an `Arc`.
pub struct Node {
    /// Flags it was started with.
    pub args: NodeArgs,
    /// This run of the process.
    pub incarnation: Incarnation,
    /// 40 lower-case hex characters, derived from the incarnation: the id that Redis clients see.
    pub node_id: String,
    /// The data.
    pub store: Store,
    /// Who owns what.
    pub routes: ArcSwap<Routes>,
    /// Time to live for entries written without one.
    pub settings: ArcSwap<Settings>,
    /// What happened so far.
    pub counters: Counters,
    /// What clients were served.
    pub served: Served,
    /// How much of a core its threads use.
    pub busy: Busy,
    /// How keys are used.
    pub measures: Arc<Measures>,
    /// The clocks.
    pub clock: Clock,
    /// The memory that clients make it hold besides entries.
    pub account: Arc<Account>,
    /// Set by SIGTERM: `/readyz` says no, requests are served on.
    pub draining: AtomicBool,
    /// Set while the process takes more memory than entries can be given up for at the writers' pace: they wait.
    pub memory_is_tight: AtomicBool,
    /// Monotonic milliseconds at which the control loop last took a turn.
    pub control_turn_ms: AtomicU64,
    /// Messages to the control thread.
    pub control: mpsc::Sender<Request>,
    waiting: Box<[Notify]>,
    departed_ms: Box<[AtomicU64]>,
}

/// Answer to "may this request run here, now?".
pub enum Admission<'a> {
    /// Yes: the slot is locked and open.
    Serve(SlotGuard<'a>),
    /// The slot is between two owners: wait for [`Node::changed`], then ask again.
    Wait,
    /// Somebody else owns it: send the client there, or forward.
    Elsewhere,
}

impl Node {
    /// A node that owns nothing and knows nobody but itself.
    pub fn new(
        args: NodeArgs,
        incarnation: Incarnation,
        hash_seed: u64,
        control: mpsc::Sender<Request>,
    ) -> Arc<Self> {
        let budget_bytes = crate::memory::budget(args.memory_bytes);
        let node_id = node_id(&incarnation);
        let clock = Clock::start();
        let me = Peer {
            name: args.name.clone(),
            incarnation: incarnation.clone(),
            node_id: node_id.clone(),
            host: args.bind.to_string(),
            ports: args.ports(),
        };
        let settings = Settings {
            ttl_default_seconds: args.ttl_default_seconds,
            ttl_jitter_percent: args.ttl_jitter_percent,
        };
        let store = Store::new(ringcache_store::Config { budget_bytes, hash_seed });
        let measures = Arc::new(Measures::new(clock.unix_ms()));
        store.enable_metering(Arc::<Measures>::clone(&measures));
        Arc::new(Self {
            incarnation,
            node_id,
            store,
            routes: ArcSwap::from_pointee(Routes::empty(vec![me], None)),
            settings: ArcSwap::from_pointee(settings),
            counters: Counters::default(),
            served: Served::default(),
            busy: Busy::default(),
            measures,
            clock,
            account: Account::new(args.memory_bytes, clock),
            draining: AtomicBool::new(false),
            memory_is_tight: AtomicBool::new(false),
            control_turn_ms: AtomicU64::new(0),
            control,
            waiting: (0..GROUPS).map(|_| Notify::new()).collect(),
            departed_ms: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            args,
        })
    }

    /// Asks for a slot. The guard of [`Admission::Serve`] must be dropped before any `.await`.
    pub fn admit(&self, slot: u16) -> Admission<'_> {
        let guard = self.store.lock(slot);
        match guard.access() {
            Access::Open => Admission::Serve(guard),
            Access::Parked => Admission::Wait,
            Access::Away => Admission::Elsewhere,
            Access::Closed => {
                drop(guard);
                let routes = self.routes.load();
                // "Mine" in the routes but not yet open, or nobody's: an adoption is on its way.
                if routes.owner_index(slot).is_none() || routes.is_mine(slot) {
                    Admission::Wait
                } else {
                    Admission::Elsewhere
                }
            }
        }
    }

    /// Whether an open slot may be changed now; if not, so many changes wait for its new owner that the request waits for
    /// [`Node::changed`] and asks again.
    pub fn takes_changes(&self, slot: &SlotGuard<'_>) -> bool {
        slot.journal_len() <= MAX_JOURNAL_BYTES
    }

    /// Whether there is memory for more than what is there now. If not, only what stores something waits: deletions free
    /// memory, and must not fail just when entries have to go.
    pub fn has_memory(&self) -> bool {
        !self.memory_is_tight.load(Ordering::Relaxed)
    }

    /// Resolves when the slot's group changed since this call, or after a short while (a change may have come just before).
    pub async fn changed(&self, slot: u16) {
        let notified = self.waiting[usize::from(slot >> 4)].notified();
        let _ = tokio::time::timeout(Duration::from_millis(2), notified).await;
    }

    /// Wakes the requests that wait for this slot's group: the control thread calls it after every change of access.
    pub fn wake(&self, slot: u16) {
        self.waiting[usize::from(slot >> 4)].notify_waiters();
    }

    /// Remembers that the slot was handed over now; see [`Node::departed_for`].
    pub fn departed(&self, slot: u16) {
        let now = self.clock.monotonic_ms().max(1);
        self.departed_ms[usize::from(slot)].store(now, Ordering::Relaxed);
    }

    /// Milliseconds since this node handed the slot over; `None` if it never had it. Decides between forwarding and `MOVED`.
    pub fn departed_for(&self, slot: u16) -> Option<u64> {
        match self.departed_ms[usize::from(slot)].load(Ordering::Relaxed) {
            0 => None,
            at => Some(self.clock.monotonic_ms().saturating_sub(at)),
        }
    }
}

/// The incarnation as the 40 hex characters that Redis clients expect of a node id.
pub fn node_id(incarnation: &Incarnation) -> String {
    // FNV-1a over the incarnation with a different offset for each part: an id, not a secret.
    let part = |part: u64| {
        let offset = 0xcbf2_9ce4_8422_2325_u64 ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        incarnation
            .0
            .bytes()
            .fold(offset, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    format!("{:016x}{:016x}{:08x}", part(0), part(1), part(2) >> 32)
}
