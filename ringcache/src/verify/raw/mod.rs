//! Raw clients: plain sockets, batches of operations in pipelines, no second attempt at anything.
//!
//! A stock client repeats what fails and so hides it from whoever uses it. These report it: every error, every reply that is
//! late, missing, surplus or wrong.

mod cluster;
mod connection;
mod counter;
mod layout;
mod ledger;
mod operation;
mod pair;
mod pipeline;
mod plain;
mod short_lived;
mod slots;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::load::Load;
use super::meter::Failure;
use crate::clock;
use crate::random::Random;
use cluster::Cluster;
use counter::{Create, Increment, Total};
use operation::Operation;
use pair::{GetPair, SetPair};
use pipeline::Job;
use plain::{Delete, Get, Set};
use short_lived::{Grant, Look};
use transfer::{Balance, OPENING, Transfer};

pub(super) use layout::Layout;
pub(super) use ledger::{Judged, Ledger, Terms};

/// Most operations of one batch.
const MOST_JOBS: u64 = 64;
/// Largest amount of a transfer.
const MOST_AMOUNT: u64 = 100;

/// Percent of the operations of a batch; the rest of 100 read accounts.
const GETS: u64 = 40;
const SETS: u64 = 15;
const DELETES: u64 = 4;
const GRANTS: u64 = 5;
const LOOKS: u64 = 12;
const INCREMENTS: u64 = 8;
const SET_PAIRS: u64 = 4;
const GET_PAIRS: u64 = 8;

/// One raw client: a batch of operations at a time, and after every other one a transfer.
pub(super) struct Client {
    ledger: Arc<Ledger>,
    id: u64,
    random: Random,
    cluster: Cluster,
    /// Own plain keys that this client has deleted and not written since.
    deleted: Vec<u64>,
    /// Keys with versions that the batch at hand writes: none is written twice in it.
    written: HashSet<u64>,
}

impl Client {
    /// Learns the cluster from any of the seeds.
    pub(super) async fn connect(
        ledger: Arc<Ledger>,
        id: u64,
        seeds: &[String],
    ) -> Result<Self, Failure> {
        let random = Random::of(&[ledger.load.values.seed, id]);
        let cluster = Cluster::connect(Arc::clone(&ledger), seeds).await?;
        Ok(Self { ledger, id, random, cluster, deleted: Vec::new(), written: HashSet::new() })
    }

    /// Writes every own key once, but for those that live for seconds.
    pub(super) async fn fill(&mut self) {
        let ledger = Arc::clone(&self.ledger);
        let layout = ledger.layout;
        let numbers = self
            .own(layout.counters)
            .map(|counter| Create { key: layout.counter(counter), number: 0 });
        let balances = self
            .own(layout.accounts)
            .flat_map(|account| layout.account(account).map(|key| Create { key, number: OPENING }));
        let numbers = numbers.chain(balances).map(boxed);
        let pairs = self.own(layout.pairs).map(|pair| boxed(SetPair::new(&ledger, pair)));
        let plain = self.own(layout.plain).map(|key| boxed(Set::new(&ledger, key)));
        self.run_all(numbers.chain(pairs).chain(plain), true).await;
    }

    /// Batches of chosen operations from `began` until `end`.
    pub(super) async fn mix(&mut self, began: Instant, end: Instant) {
        let Load { rate, values, .. } = &*Arc::clone(&self.ledger.load);
        // With a rate no more than is due in a second: a client that waited for longer would be idle, and deaf to Ctrl-C.
        let most = if *rate == 0 { MOST_JOBS } else { (rate / values.writers).clamp(1, MOST_JOBS) };
        let mut turn = 0;
        while let Some(due) = self.ledger.load.due(self.id, turn, began, end).await {
            self.written.clear();
            let jobs = 1 + self.random.below(most);
            let jobs = (0..jobs).map(|_| Job { operation: self.choose(), due }).collect::<Vec<_>>();
            turn += jobs.len() as u64;
            self.cluster.run(jobs).await;
            if self.random.below(2) == 0 {
                let account = self.random.below(self.ledger.layout.accounts);
                let amount = self.random.below(2 * MOST_AMOUNT + 1).cast_signed()
                    - MOST_AMOUNT.cast_signed();
                turn += 1;
                Transfer { account, amount, due: clock::now() }.run(&mut self.cluster).await;
            }
        }
    }

    /// Reads every own key a last time. All clients have come to rest: counters and accounts are known.
    pub(super) async fn settle(&mut self) {
        let ledger = Arc::clone(&self.ledger);
        let layout = ledger.layout;
        let totals = self.own(layout.counters).map(|counter| boxed(Total { counter }));
        let balances =
            self.own(layout.accounts).map(|account| boxed(Balance { account, is_final: true }));
        let pairs = self.own(layout.pairs).map(|pair| boxed(GetPair::new(&ledger, pair, true)));
        let short_lived = self
            .own(layout.short_lived)
            .map(|short_lived| boxed(Look::new(&ledger, short_lived, true)));
        let plain = self.own(layout.plain).map(|key| boxed(Get::new(&ledger, key, true)));
        let last = totals.chain(balances).chain(pairs).chain(short_lived).chain(plain);
        self.run_all(last, false).await;
    }

    /// Removes every own key that would stay, so that a run leaves nothing behind.
    pub(super) async fn clear(&mut self) {
        let layout = self.ledger.layout;
        let numbers = self.own(layout.counters).map(|counter| layout.counter(counter));
        let accounts = self.own(layout.accounts).flat_map(|account| layout.account(account));
        let pairs = self.own(layout.pairs).flat_map(|pair| layout.pair(pair));
        let values = self.ledger.load.values.clone();
        let plain = self.own(layout.plain).map(|key| values.key(key));
        let keys = numbers.chain(accounts).chain(pairs).chain(plain);
        self.run_all(keys.map(|key| boxed(plain::Remove { key })), false).await;
    }

    /// Numbers below `all` that are this client's.
    fn own(&self, all: u64) -> impl Iterator<Item = u64> + use<> {
        (self.id..all).step_by(self.ledger.load.values.writers as usize)
    }

    fn any_own(&mut self, all: u64) -> Option<u64> {
        let writers = self.ledger.load.values.writers;
        let own = all.saturating_sub(self.id).div_ceil(writers);
        (own > 0).then(|| self.id + self.random.below(own) * writers)
    }

    fn is_own(&self, number: u64) -> bool {
        number % self.ledger.load.values.writers == self.id
    }

    /// Carries out one operation after the other, in full batches; ends early, if it may, when everybody is to stop.
    async fn run_all(
        &mut self,
        mut operations: impl Iterator<Item = Box<dyn Operation>>,
        may_stop: bool,
    ) {
        while !(may_stop && self.ledger.load.is_stopped()) {
            let due = clock::now();
            let batch = operations.by_ref().take(MOST_JOBS as usize);
            let jobs: Vec<Job> = batch.map(|operation| Job { operation, due }).collect();
            if jobs.is_empty() {
                return;
            }
            self.cluster.run(jobs).await;
        }
    }

    /// The next operation of a batch. What would write a key a second time in it reads another one instead.
    fn choose(&mut self) -> Box<dyn Operation> {
        let ledger = Arc::clone(&self.ledger);
        let layout = ledger.layout;
        let mut share = self.random.below(100);
        let mut falls = |percent| {
            let is_below = share < percent;
            share = share.wrapping_sub(percent);
            is_below
        };
        let change = if falls(SETS) {
            self.set(&ledger)
        } else if falls(DELETES) {
            self.delete(&ledger)
        } else if falls(GRANTS) {
            self.grant(&ledger)
        } else if falls(SET_PAIRS) {
            self.set_pair(&ledger)
        } else if falls(INCREMENTS) {
            Some(boxed(Increment::new(&ledger, self.random.below(layout.counters))))
        } else if falls(LOOKS) {
            let short_lived = self.random.below(layout.short_lived);
            Some(boxed(Look::new(&ledger, short_lived, self.is_own(short_lived))))
        } else if falls(GET_PAIRS) {
            let pair = self.random.below(layout.pairs);
            Some(boxed(GetPair::new(&ledger, pair, self.is_own(pair))))
        } else if falls(GETS) {
            None
        } else {
            let account = self.random.below(layout.accounts);
            Some(boxed(Balance { account, is_final: false }))
        };
        change.unwrap_or_else(|| {
            let key = self.random.below(layout.plain);
            boxed(Get::new(&ledger, key, self.is_own(key)))
        })
    }

    fn set(&mut self, ledger: &Ledger) -> Option<Box<dyn Operation>> {
        let key = self.deleted.pop().or_else(|| self.any_own(ledger.layout.plain))?;
        self.written.insert(key).then(|| boxed(Set::new(ledger, key)))
    }

    fn delete(&mut self, ledger: &Ledger) -> Option<Box<dyn Operation>> {
        let key = self.any_own(ledger.layout.plain)?;
        self.written.insert(key).then(|| {
            self.deleted.push(key);
            boxed(Delete::new(ledger, key))
        })
    }

    fn grant(&mut self, ledger: &Ledger) -> Option<Box<dyn Operation>> {
        let short_lived = self.any_own(ledger.layout.short_lived)?;
        let is_due = ledger.deadlines.is_due(short_lived, clock::since_1970());
        (is_due && self.written.insert(ledger.layout.short_lived_number(short_lived)))
            .then(|| boxed(Grant::new(ledger, short_lived, &mut self.random)))
    }

    fn set_pair(&mut self, ledger: &Ledger) -> Option<Box<dyn Operation>> {
        let pair = self.any_own(ledger.layout.pairs)?;
        self.written
            .insert(ledger.layout.pair_number(pair))
            .then(|| boxed(SetPair::new(ledger, pair)))
    }
}

fn boxed(operation: impl Operation + 'static) -> Box<dyn Operation> {
    Box::new(operation)
}
