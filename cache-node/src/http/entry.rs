//! One key: read, written or deleted where it is, or at the node that owns it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::Method;
use ringcache_ring::key_slot;
use ringcache_store::{Millis, SlotGuard};

use super::answer::{self, Found};
use super::expiry::seconds_left;
use super::peers::{self, Failure};
use super::problem::Problem;
use super::{Answer, Api, FIRST_ROOM, MAX_HOPS, Relayed, json, key};
use crate::account::Lease;
use crate::counters::count;
use crate::node::{Admission, MEMORY_WAIT, WAIT};
use crate::routes::Peer;
use crate::ttl::default_deadline;

/// Entries evicted in one go before other requests get a turn.
const EVICT_SLICE: usize = 64;
/// Goes for the room of one value: far more than the entries that the largest value can displace.
const MAX_EVICT_SLICES: usize = 1024;
/// The numbers of HTTP connections are above this, those of Redis connections below.
const HTTP_CLIENTS: u64 = 1 << 63;
/// Before a peer that could not be reached is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(25);

/// What came of asking for a slot once.
pub(super) enum Turn<T> {
    /// Carried out here.
    Done(T),
    /// Nobody can carry it out now.
    Wait,
    /// There is no memory for what it stores.
    NoMemory,
    /// It has to be carried out by this node.
    Elsewhere(Peer),
}

/// Why a request cannot be carried out on an open slot now.
pub(super) enum Hold {
    /// Too many changes wait for the slot's new owner.
    Slot,
    /// There is no memory for what it stores.
    Memory,
}

/// What came of a lookup.
pub(super) enum Read {
    Absent,
    Found(Found),
    /// The value has so many bytes, more than there is room for.
    TooLarge(usize),
}

enum Place<T> {
    Here(T),
    There(Answer),
}

impl Api {
    pub(super) async fn get(&self, key: &[u8], relayed: &Relayed) -> Result<Answer, Problem> {
        let mut lease = relayed.first_lease();
        loop {
            // The value is there twice: as it is stored and as JSON.
            let room = lease.bytes() / 2;
            let look = |guard: SlotGuard<'_>, now| Ok(read(guard, key, room, now));
            let needed = match self.at_owner(key, relayed, look).await? {
                Place::There(answer) => return Ok(answer),
                Place::Here(Read::Absent) => return Err(Problem::NotFound),
                Place::Here(Read::TooLarge(bytes)) => bytes,
                Place::Here(Read::Found(entry)) => {
                    let tags = relayed.if_none_match.as_deref();
                    if tags.is_some_and(|tags| answer::names_tag(tags, &entry.etag())) {
                        return Ok(answer::found(&entry, None, lease));
                    }
                    let (text, encoding) = key::shown(key);
                    let body = entry.to_json(&text, encoding);
                    if body.len() <= room {
                        lease.shrink_to(body.capacity());
                        return Ok(answer::found(&entry, Some(body), lease));
                    }
                    body.len()
                }
            };
            // Given back first: two requests that each hold a part and wait for more would wait for each other.
            drop(lease);
            lease = relayed.lease(2 * needed).await?;
        }
    }

    /// `_body_lease` is the memory of the request's body, held while the request waits.
    pub(super) async fn put(
        &self,
        key: &[u8],
        relayed: &Relayed,
        _body_lease: Lease,
    ) -> Result<Answer, Problem> {
        let written = json::written(&relayed.body)?;
        let write = |mut guard: SlotGuard<'_>, now| {
            if !self.node.takes_changes(&guard) {
                return Err(Hold::Slot);
            }
            if !self.node.has_memory() {
                return Err(Hold::Memory);
            }
            let deadline = match written.ttl_seconds {
                Some(seconds) => Some(now + u64::from(seconds) * 1000),
                None => default_deadline(**self.node.settings.load(), key, now),
            };
            guard.set(key, &written.value, deadline, now);
            Ok((deadline, now))
        };
        match self.at_owner(key, relayed, write).await? {
            Place::There(answer) => Ok(answer),
            Place::Here((deadline, now)) => {
                self.evict(now).await;
                Ok(answer::put(key, seconds_left(deadline, now)))
            }
        }
    }

    pub(super) async fn delete(&self, key: &[u8], relayed: &Relayed) -> Result<Answer, Problem> {
        let delete = |mut guard: SlotGuard<'_>, now| {
            if !self.node.takes_changes(&guard) {
                return Err(Hold::Slot);
            }
            Ok(guard.remove(key, now))
        };
        match self.at_owner(key, relayed, delete).await? {
            Place::There(answer) => Ok(answer),
            Place::Here(deleted) => Ok(answer::deleted(key, deleted)),
        }
    }

    /// Carries out `act` under the lock of the key's slot if this node owns it, passes the request on if another does, and
    /// waits while it is between two owners. `act` says why if it cannot be done yet.
    async fn at_owner<T>(
        &self,
        key: &[u8],
        relayed: &Relayed,
        mut act: impl FnMut(SlotGuard<'_>, Millis) -> Result<T, Hold>,
    ) -> Result<Place<T>, Problem> {
        let slot = key_slot(key);
        let patience = self.patience(relayed);
        let mut has_waited = false;
        // Since when the request waits for memory and for nothing else.
        let mut short_since_ms = None;
        loop {
            let now_ms = self.node.clock.monotonic_ms();
            match self.turn(slot, relayed, &mut act) {
                Turn::Done(done) => return Ok(Place::Here(done)),
                Turn::Elsewhere(peer) => match self.pass_on(&peer, relayed).await? {
                    Ok(answer) => return Ok(Place::There(answer)),
                    // Carried out twice, a write could undo another that came in between.
                    Err(Failure::Unknown) if !is_read(&relayed.method) => {
                        return Err(Problem::Unavailable);
                    }
                    Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
                },
                Turn::NoMemory => {
                    let since = *short_since_ms.get_or_insert(now_ms);
                    if now_ms >= since + MEMORY_WAIT.as_millis() as u64 {
                        count(&self.node.counters.refused_for_memory);
                        return Err(Problem::OutOfMemory);
                    }
                    self.node.changed(slot).await;
                    continue;
                }
                Turn::Wait => {
                    if !has_waited {
                        count(&self.node.counters.waited);
                        has_waited = true;
                    }
                    self.node.changed(slot).await;
                }
            }
            short_since_ms = None;
            if self.node.clock.monotonic_ms() >= patience {
                return Err(Problem::Unavailable);
            }
        }
    }

    /// Until when a request waits, in monotonic milliseconds. Called once a request; notes that a client asked for a key.
    pub(super) fn patience(&self, relayed: &Relayed) -> u64 {
        let now_ms = self.node.clock.monotonic_ms();
        if relayed.hops == 0 {
            self.node.counters.last_request_ms.store(now_ms.max(1), Ordering::Relaxed);
        }
        now_ms + WAIT.as_millis() as u64
    }

    /// Asks for the slot once.
    pub(super) fn turn<T>(
        &self,
        slot: u16,
        relayed: &Relayed,
        act: &mut impl FnMut(SlotGuard<'_>, Millis) -> Result<T, Hold>,
    ) -> Turn<T> {
        match self.node.admit(slot) {
            Admission::Serve(mut guard) => {
                guard.set_client(HTTP_CLIENTS | relayed.holding.id(), true);
                match act(guard, self.node.clock.unix_ms()) {
                    Ok(done) => Turn::Done(done),
                    Err(Hold::Slot) => Turn::Wait,
                    Err(Hold::Memory) => Turn::NoMemory,
                }
            }
            Admission::Wait => Turn::Wait,
            Admission::Elsewhere => {
                let routes = self.node.routes.load();
                let owner =
                    routes.owner(slot).filter(|_| !routes.is_mine(slot) && relayed.hops < MAX_HOPS);
                owner.map_or(Turn::Wait, |peer| Turn::Elsewhere(peer.clone()))
            }
        }
    }

    async fn pass_on(
        &self,
        peer: &Peer,
        relayed: &Relayed,
    ) -> Result<Result<Answer, Failure>, Problem> {
        count(&self.node.counters.forwarded);
        // A write is not sent before there is memory for its answer, which is short: or it would be carried out and refused.
        let room = if is_read(&relayed.method) { 0 } else { FIRST_ROOM };
        let lease = relayed.lease(room).await?;
        match self.peers.call(peer, relayed).await {
            Ok(answer) => peers::relay(answer, lease).await,
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Brings the store back within its budget before the write is answered, so that no writer can run away.
    async fn evict(&self, now: Millis) {
        for _ in 0..MAX_EVICT_SLICES {
            if self.node.store.reclaim(now, EVICT_SLICE) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Looks the key up. A value larger than `room` is not copied.
pub(super) fn read(mut guard: SlotGuard<'_>, key: &[u8], room: usize, now: Millis) -> Read {
    if let Some(entry) = guard.peek(key, now)
        && entry.value.len() > room
    {
        return Read::TooLarge(entry.value.len());
    }
    match guard.get(key, now) {
        Some(entry) => {
            Read::Found(Found { value: entry.value.to_vec(), deadline: entry.deadline, now })
        }
        None => Read::Absent,
    }
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}
