//! Who is connected: what `CLIENT LIST` shows, and the way to end a connection from outside of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use ringcache_wire::output::Output;
use ringcache_wire::reply::Proto;

use super::tracking::Pushes;
use super::watches::Watches;
use crate::account::Holding;

/// One connection, as others see it.
pub(super) struct Client {
    /// Unique while the node runs, and rising.
    pub(super) id: u64,
    /// The other end.
    pub(super) addr: SocketAddr,
    /// This end.
    pub(super) laddr: SocketAddr,
    /// Whether another node is at the other end.
    pub(super) is_peer: bool,
    created_ms: u64,
    shown: Mutex<Shown>,
    /// What its connection makes the node hold.
    pub(super) holding: Arc<Holding>,
    closing: AtomicBool,
    /// Pushes that wait; `None` if it tracks no keys.
    pushes: Mutex<Option<Pushes>>,
    overrun: AtomicBool,
}

/// The part that the connection changes while it lives.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// `CLIENT SETNAME`.
    pub(super) name: String,
    /// `CLIENT SETINFO LIB-NAME`.
    pub(super) lib_name: String,
    /// `CLIENT SETINFO LIB-VER`.
    pub(super) lib_version: String,
    /// The protocol version it speaks.
    pub(super) proto: Proto,
    /// Commands queued by `MULTI`, if it was called.
    pub(super) queued: Option<usize>,
    /// `CLIENT NO-EVICT`.
    pub(super) no_evict: bool,
    /// `CLIENT NO-TOUCH`.
    pub(super) no_touch: bool,
    /// `READONLY`.
    pub(super) readonly: bool,
    /// Last command; a subcommand with its container.
    pub(super) last_command: &'static str,
    /// Monotonic milliseconds of the last batch of requests.
    pub(super) active_ms: u64,
}

impl Client {
    /// Reads or changes what `CLIENT LIST` shows of it.
    pub(super) fn shown<R>(&self, access: impl FnOnce(&mut Shown) -> R) -> R {
        access(&mut self.shown.lock())
    }

    /// Closes the connection after the request at hand is answered and flushed.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.holding.wake();
    }

    /// Closes the connection at once, even if it is not being read.
    pub(super) fn kill(&self) {
        self.holding.close();
    }

    /// Whether it is to close after the request at hand.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed) || self.is_killed()
    }

    /// Whether it is to close at once.
    pub(super) fn is_killed(&self) -> bool {
        self.holding.is_closing()
    }

    /// Resolves when there is something to do without a request: it is to close, or pushes wait.
    pub(super) async fn woken(&self) {
        self.holding.woken().await;
    }

    /// Whether it tracks keys from now on. Pushes that wait are dropped when it does not.
    pub(super) fn set_tracking(&self, is_on: bool) {
        let mut pushes = self.pushes.lock();
        if is_on {
            pushes.get_or_insert_with(|| Pushes::new(self.holding.lease()));
        } else {
            *pushes = None;
        }
    }

    /// Whether it tracks keys.
    pub(super) fn is_tracking(&self) -> bool {
        self.pushes.lock().is_some()
    }

    /// Adds to what waits to be pushed, if it tracks keys, and wakes the connection. It is killed if `add` says that too
    /// much waits.
    pub(super) fn push(&self, add: impl FnOnce(&mut Pushes) -> bool) {
        let mut pushes = self.pushes.lock();
        let Some(waiting) = &mut *pushes else { return };
        let was_empty = waiting.is_empty();
        if !add(waiting) {
            drop(pushes);
            self.overrun.store(true, Ordering::Relaxed);
            self.kill();
        } else if was_empty {
            self.holding.wake();
        }
    }

    /// Moves the pushes that wait into `out`, which is empty, with the memory that they take.
    pub(super) fn take_pushes(&self, out: &mut Output) {
        if let Some(pushes) = &mut *self.pushes.lock() {
            pushes.take(out);
        }
    }

    /// Whether pushes wait.
    pub(super) fn has_pushes(&self) -> bool {
        self.pushes.lock().as_ref().is_some_and(|pushes| !pushes.is_empty())
    }

    /// Whether it was killed because it took its pushes too slowly.
    pub(super) fn was_overrun(&self) -> bool {
        self.overrun.load(Ordering::Relaxed)
    }

    /// Seconds since it connected.
    pub(super) fn age(&self, monotonic_ms: u64) -> u64 {
        monotonic_ms.saturating_sub(self.created_ms) / 1000
    }

    /// Its line of `CLIENT LIST`, with the fields of Redis that mean something here.
    pub(super) fn line(&self, monotonic_ms: u64) -> String {
        let Shown {
            name,
            lib_name,
            lib_version,
            proto,
            queued,
            no_evict,
            no_touch,
            readonly,
            last_command,
            active_ms,
        } = self.shown(|shown| shown.clone());
        let idle = monotonic_ms.saturating_sub(active_ms) / 1000;
        let mut flags = String::new();
        let set = [
            (self.is_peer, 'M'),
            (queued.is_some(), 'x'),
            (readonly, 'r'),
            (no_evict, 'e'),
            (no_touch, 'T'),
            (self.is_tracking(), 't'),
        ];
        flags.extend(set.into_iter().filter_map(|(is_set, flag)| is_set.then_some(flag)));
        if flags.is_empty() {
            flags.push('N');
        }
        let queued = queued.map_or_else(|| "-1".to_owned(), |queued| queued.to_string());
        let resp = proto_number(proto);
        let redir = if self.is_tracking() { 0 } else { -1 };
        let (id, addr, laddr, age) = (self.id, self.addr, self.laddr, self.age(monotonic_ms));
        format!(
            "id={id} addr={addr} laddr={laddr} name={name} age={age} idle={idle} flags={flags} \
             db=0 sub=0 psub=0 ssub=0 multi={queued} cmd={last_command} user=default redir={redir} \
             resp={resp} lib-name={lib_name} lib-ver={lib_version}\n"
        )
    }
}

/// 2 or 3.
pub(super) fn proto_number(proto: Proto) -> i64 {
    match proto {
        Proto::Resp2 => 2,
        Proto::Resp3 => 3,
    }
}

/// All connections of the node.
#[derive(Default)]
pub(super) struct Clients {
    last_id: AtomicU64,
    live: Mutex<BTreeMap<u64, Arc<Client>>>,
    /// What they watch.
    pub(super) watches: Arc<Watches>,
}

impl Clients {
    /// Adds a connection; it is removed when the result is dropped.
    pub(super) fn register(
        &self,
        addr: SocketAddr,
        laddr: SocketAddr,
        is_peer: bool,
        holding: Arc<Holding>,
        monotonic_ms: u64,
    ) -> Registered<'_> {
        let client = Arc::new(Client {
            id: self.last_id.fetch_add(1, Ordering::Relaxed) + 1,
            addr,
            laddr,
            is_peer,
            created_ms: monotonic_ms,
            shown: Mutex::new(Shown {
                last_command: "NULL",
                active_ms: monotonic_ms,
                ..Shown::default()
            }),
            holding,
            closing: AtomicBool::new(false),
            pushes: Mutex::new(None),
            overrun: AtomicBool::new(false),
        });
        self.live.lock().insert(client.id, Arc::clone(&client));
        Registered { clients: self, client }
    }

    /// All connections, by id.
    pub(super) fn all(&self) -> Vec<Arc<Client>> {
        self.live.lock().values().cloned().collect()
    }

    /// Tells those that track keys to forget all of them.
    pub(super) fn invalidate_all(&self) {
        for client in self.live.lock().values() {
            client.push(Pushes::invalidate_all);
        }
    }

    /// The connection with this id, while it lives.
    pub(super) fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.live.lock().get(&id).cloned()
    }

    /// Closes all of them gracefully.
    pub(super) fn close_all(&self) {
        for client in self.live.lock().values() {
            client.close();
        }
    }
}

/// A connection in the list, while it lives.
pub(super) struct Registered<'a> {
    clients: &'a Clients,
    pub(super) client: Arc<Client>,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.clients.live.lock().remove(&self.client.id);
    }
}
