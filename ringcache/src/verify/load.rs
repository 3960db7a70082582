//! The clients on a stock library: each writes its own keys, reads everybody's, and judges every reply.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, RedisError, cmd};

use super::history::{Floor, History, Reply};
use super::meter::{Failure, Meter, Outcome};
use super::value::Values;
use crate::clock;
use crate::random::Random;

/// Time to live of every key in milliseconds, a day: a cluster's own default must not make a key disappear meanwhile.
pub(super) const TTL_MS: u64 = 86_400_000;

/// How late a timer may wake: the timers of tokio have a grain of a millisecond, which is no latency of the cluster.
const TIMER_SLACK: Duration = Duration::from_millis(2);

/// Percent of the operations that are reads of one key; the rest of 100 are MGETs of two.
const GETS: u64 = 80;
/// Percent that are writes. A key deleted by the client is written again first.
const SETS: u64 = 15;
/// Percent that are deletions.
const DELETES: u64 = 3;

/// What all clients share.
#[derive(Debug)]
pub(super) struct Load {
    /// How values come about.
    pub(super) values: Values,
    /// Number of keys.
    pub(super) keys: u64,
    /// Operations a second of all clients together; 0 = no pauses.
    pub(super) rate: u64,
    /// What was written.
    pub(super) history: History,
    /// Where outcomes go.
    pub(super) meter: Meter,
    /// Set when everybody should come to an end.
    pub(super) stop: AtomicBool,
}

impl Load {
    /// Waits for a client's turn and returns the moment from which its latency counts: with a rate the one it was due, whatever
    /// the turns before it took; without one now. Nothing if the turn does not come before `end`, or everybody is to stop.
    pub(super) async fn due(
        &self,
        client: u64,
        turn: u64,
        began: Instant,
        end: Instant,
    ) -> Option<Instant> {
        let due = self.turn(client, turn, began, end).await;
        (due.max(clock::now()) < end && !self.is_stopped()).then_some(due)
    }

    async fn turn(&self, client: u64, turn: u64, began: Instant, end: Instant) -> Instant {
        let Self { rate, values, .. } = self;
        let now = clock::now();
        if *rate == 0 {
            return now;
        }
        let place = turn * values.writers + client;
        let due = began + Duration::from_secs_f64(place as f64 / *rate as f64);
        if due <= now || due >= end {
            return due;
        }
        tokio::time::sleep_until(due.into()).await;
        let woke = clock::now();
        if woke - due < TIMER_SLACK { woke } else { due }
    }

    /// Whether everybody should come to an end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// One client: one connection to the cluster, one operation at a time.
pub(super) struct Client {
    load: Arc<Load>,
    id: u64,
    connection: ClusterConnection,
    random: Random,
    /// Own keys that this client has deleted and not written since.
    deleted: Vec<u64>,
}

impl Client {
    pub(super) fn new(load: Arc<Load>, id: u64, connection: ClusterConnection) -> Self {
        let random = Random::of(&[load.values.seed, id]);
        Self { load, id, connection, random, deleted: Vec::new() }
    }

    /// Writes every own key once.
    pub(super) async fn fill(&mut self) {
        for key in self.own_keys() {
            if self.load.is_stopped() {
                return;
            }
            self.set(key, clock::now()).await;
        }
    }

    /// Reads, writes and deletes from `began` until `end`.
    pub(super) async fn mix(&mut self, began: Instant, end: Instant) {
        for turn in 0.. {
            let Some(due) = self.load.due(self.id, turn, began, end).await else { return };
            match self.random.below(100) {
                share if share < GETS => {
                    let key = self.random.below(self.load.keys);
                    self.get(key, due).await;
                }
                share if share < GETS + SETS => {
                    let key = self.deleted.pop().unwrap_or_else(|| self.own_key());
                    self.set(key, due).await;
                }
                share if share < GETS + SETS + DELETES => {
                    let key = self.own_key();
                    self.delete(key, due).await;
                }
                _ => {
                    let pair = self.random.below(self.load.keys / 2 + self.load.keys % 2) * 2;
                    self.get_all(pair..self.load.keys.min(pair + 2), due).await;
                }
            }
        }
    }

    /// Removes every own key, so that a run leaves nothing behind. Gives up at an error: the keys have a time to live.
    pub(super) async fn clear(&mut self) {
        for key in self.own_keys() {
            let mut unlink = cmd("UNLINK");
            unlink.arg(self.load.values.key(key));
            if send::<u64>(&mut self.connection, &unlink).await.is_err() {
                return;
            }
        }
    }

    fn own_keys(&self) -> impl Iterator<Item = u64> + use<> {
        (self.id..self.load.keys).step_by(self.load.values.writers as usize)
    }

    fn own_key(&mut self) -> u64 {
        let own = (self.load.keys - self.id).div_ceil(self.load.values.writers);
        self.id + self.random.below(own) * self.load.values.writers
    }

    async fn set(&mut self, key: u64, due: Instant) {
        let Load { values, history, .. } = &*self.load;
        let version = history.set(key);
        let mut set = cmd("SET");
        set.arg(values.key(key)).arg(values.value(key, version)).arg("PX").arg(TTL_MS);
        let outcome = match send::<()>(&mut self.connection, &set).await {
            Ok(()) => {
                history.acknowledge(key, version);
                Outcome::Right
            }
            Err(problem) => Outcome::Error(problem),
        };
        self.record(key, due, &outcome);
    }

    async fn delete(&mut self, key: u64, due: Instant) {
        let Load { values, history, .. } = &*self.load;
        let version = history.delete(key);
        let mut delete = cmd("DEL");
        delete.arg(values.key(key));
        let outcome = match send::<u64>(&mut self.connection, &delete).await {
            Ok(_) => {
                history.acknowledge(key, version);
                Outcome::Right
            }
            Err(problem) => Outcome::Error(problem),
        };
        self.deleted.push(key);
        self.record(key, due, &outcome);
    }

    async fn get(&mut self, key: u64, due: Instant) {
        let floor = self.load.history.floor(key);
        let mut get = cmd("GET");
        get.arg(self.load.values.key(key));
        let outcome = match send::<Option<Vec<u8>>>(&mut self.connection, &get).await {
            Ok(bytes) => self.judge(key, floor, bytes.as_deref()),
            Err(problem) => Outcome::Error(problem),
        };
        self.record(key, due, &outcome);
    }

    /// An MGET of keys that share a slot: one operation, the first problem counts.
    async fn get_all(&mut self, keys: Range<u64>, due: Instant) {
        let Load { values, history, .. } = &*self.load;
        let floors: Vec<Floor> = keys.clone().map(|key| history.floor(key)).collect();
        let mut get = cmd("MGET");
        keys.clone().for_each(|key| {
            get.arg(values.key(key));
        });
        let first = keys.start;
        let outcome = match send::<Vec<Option<Vec<u8>>>>(&mut self.connection, &get).await {
            Ok(replies) if replies.len() == floors.len() => keys
                .zip(floors)
                .zip(replies)
                .map(|((key, floor), bytes)| self.judge(key, floor, bytes.as_deref()))
                .find(|outcome| !matches!(outcome, Outcome::Right))
                .unwrap_or(Outcome::Right),
            Ok(replies) => Outcome::Error(Failure::new(
                "wrong reply",
                format!("MGET answered {} values", replies.len()),
            )),
            Err(problem) => Outcome::Error(problem),
        };
        self.record(first, due, &outcome);
    }

    fn judge(&self, key: u64, floor: Floor, bytes: Option<&[u8]>) -> Outcome {
        let Load { values, history, .. } = &*self.load;
        let reply = match bytes {
            None => Reply::Missing,
            Some(bytes) => values
                .version(key, bytes, history.versions(key))
                .map_or(Reply::Foreign, Reply::Version),
        };
        history.judge(key, floor, reply).map_or_else(Outcome::Violation, |()| Outcome::Right)
    }

    fn record(&self, key: u64, due: Instant, outcome: &Outcome) {
        self.load.meter.record(&self.load.values.key(key), due, clock::now(), outcome);
    }
}

async fn send<T: FromRedisValue>(
    connection: &mut ClusterConnection,
    command: &Cmd,
) -> Result<T, Failure> {
    command.query_async(connection).await.map_err(|error| failure(&error))
}

/// What the stock client reports, after all that it tried.
pub(super) fn failure(error: &RedisError) -> Failure {
    Failure::new("stock client", error.to_string())
}
