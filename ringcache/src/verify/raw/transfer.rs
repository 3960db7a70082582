//! Two counters between which amounts are transferred, guarded by `WATCH`: their sum stays, and in the end each is what the
//! acknowledged transfers come to.
//!
//! A transfer takes two exchanges: it watches and reads, then writes what it has computed. It is lost without a trace in the
//! sum if a guard fails, since both keys are overwritten alike: so the balances are judged, too.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringcache_wire::value::Value;

use super::cluster::Cluster;
use super::counter::within;
use super::ledger::{Changes, Ledger, count};
use super::operation::{
    Operation, Requests, Span, failure, moved_to, number, ok, queued, redirect, two, wrong,
};
use crate::verify::load::TTL_MS;
use crate::verify::meter::{Failure, Outcome};
use crate::verify::violation::Violation;

/// What each key has in the beginning.
pub(super) const OPENING: i64 = 1_000_000;

/// Reads both keys of an account.
pub(super) struct Balance {
    /// Which.
    pub(super) account: u64,
    /// Whether nobody transfers any more: then each balance is known, not only their sum.
    pub(super) is_final: bool,
}

impl Operation for Balance {
    fn key(&self, ledger: &Ledger) -> String {
        let [a, _] = ledger.layout.account(self.account);
        a
    }

    fn write(&mut self, ledger: &Ledger, _: Duration, requests: &mut Requests) {
        let [a, b] = ledger.layout.account(self.account);
        requests.push(&[b"MGET", a.as_bytes(), b.as_bytes()]);
    }

    fn judge(&mut self, ledger: &Ledger, replies: &[Value], _: Span) -> Result<(), Violation> {
        count(&ledger.tally.pairs);
        let [a, _] = balances(replies)?;
        let Changes { sum, unknown, .. } = &ledger.accounts[self.account as usize];
        if self.is_final && unknown.load(Ordering::SeqCst) == 0 {
            let a_has = OPENING + sum.load(Ordering::SeqCst);
            within(a, a_has, a_has)?;
        }
        Ok(())
    }
}

/// Both balances, if they have the right sum.
fn balances(replies: &[Value]) -> Result<[i64; 2], Violation> {
    let [Some(a), Some(b)] = two(replies)? else {
        return Err(Violation::UnexpectedMiss(0));
    };
    let [a, b] = [number(a)?, number(b)?];
    if a.checked_add(b) == Some(2 * OPENING) {
        Ok([a, b])
    } else {
        Err(Violation::TornPair(format!("{a} and {b}, which are not {} together", 2 * OPENING)))
    }
}

/// A transfer of `amount` from the second key to the first.
pub(super) struct Transfer {
    /// Which account.
    pub(super) account: u64,
    /// May be negative.
    pub(super) amount: i64,
    /// The moment from which its latency counts.
    pub(super) due: Instant,
}

impl Transfer {
    /// Carries it out, and records what it came to.
    pub(super) async fn run(self, cluster: &mut Cluster) {
        let [key, _] = cluster.ledger().layout.account(self.account);
        let outcome = match self.attempt(cluster, &key).await {
            Ok(()) => Outcome::Right,
            Err(outcome) => outcome,
        };
        cluster.record(&key, self.due, &outcome);
    }

    async fn attempt(&self, cluster: &mut Cluster, key: &str) -> Result<(), Outcome> {
        let (node, [a, b]) = self.watch(cluster, key).await?;
        let mut requests = Requests::default();
        let ttl = TTL_MS.to_string();
        requests.push(&[b"MULTI"]);
        let after = [a + self.amount, b - self.amount];
        for (key, balance) in cluster.ledger().layout.account(self.account).iter().zip(after) {
            let balance = balance.to_string();
            requests.push(&[b"SET", key.as_bytes(), balance.as_bytes(), b"PX", ttl.as_bytes()]);
        }
        requests.push(&[b"EXEC"]);
        let replies = cluster.ask(&node, &requests).await;
        let ledger = cluster.ledger();
        let Changes { sum, unknown, .. } = &ledger.accounts[self.account as usize];
        let replies = replies.map_err(|failure| {
            count(unknown);
            Outcome::Error(failure)
        })?;
        if let Some(to) = moved_to(&replies) {
            count(&ledger.tally.conflicts);
            cluster.follow(key, to);
            return Ok(());
        }
        let begun = [ok(), queued(), queued()];
        match replies.split_last() {
            Some((Value::Array(done), before)) if before == begun && *done == [ok(), ok()] => {
                sum.fetch_add(self.amount, Ordering::SeqCst);
                count(&ledger.tally.transfers);
                Ok(())
            }
            Some((Value::Null, before)) if before == begun => {
                count(&ledger.tally.conflicts);
                Ok(())
            }
            _ => {
                count(unknown);
                Err(fault(&replies))
            }
        }
    }

    /// Watches and reads both keys, wherever they are; the node and the balances.
    async fn watch(&self, cluster: &mut Cluster, key: &str) -> Result<(String, [i64; 2]), Outcome> {
        let [a, b] = cluster.ledger().layout.account(self.account);
        let mut requests = Requests::default();
        requests.push(&[b"WATCH", a.as_bytes(), b.as_bytes()]);
        requests.push(&[b"MGET", a.as_bytes(), b.as_bytes()]);
        for _ in 0..=Cluster::MOST_MOVES {
            let node = cluster.reach(key).await.map_err(Outcome::Error)?;
            let replies = cluster.ask(&node, &requests).await.map_err(Outcome::Error)?;
            let to = replies.iter().find_map(redirect);
            let read = match (replies.as_slice(), to, failure(&replies)) {
                ([watched, read], None, None) if *watched == ok() => {
                    count(&cluster.ledger().tally.pairs);
                    balances(std::slice::from_ref(read)).map_err(Outcome::Violation)
                }
                _ => Err(fault(&replies)),
            };
            if let Ok(balances) = read {
                return Ok((node, balances));
            }
            if replies.first() == Some(&ok()) {
                // The connection would go on watching, and the next transaction over it would fail.
                cluster.disconnect(&node);
            }
            match to {
                Some(to) => cluster.follow(key, to),
                None => read.map(drop)?,
            }
        }
        Err(Outcome::Error(Failure::new("MOVED", "MOVED again and again")))
    }
}

/// What is wrong with replies to a transfer.
fn fault(replies: &[Value]) -> Outcome {
    failure(replies).map_or_else(|| Outcome::Violation(wrong(replies)), Outcome::Error)
}
