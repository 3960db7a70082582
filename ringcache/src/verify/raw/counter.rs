//! Counters that every client increments: in the end each is the sum of the acknowledged increments, exactly.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ringcache_wire::value::Value;

use super::ledger::{Changes, Ledger, count};
use super::operation::{Operation, Requests, Span, bytes, expect, number, ok, wrong};
use crate::verify::load::TTL_MS;
use crate::verify::violation::Violation;

/// Writes a number that only changes by increments and transfers from then on.
pub(super) struct Create {
    /// Its key.
    pub(super) key: String,
    /// The number.
    pub(super) number: i64,
}

impl Operation for Create {
    fn key(&self, _: &Ledger) -> String {
        self.key.clone()
    }

    fn write(&mut self, _: &Ledger, _: Duration, requests: &mut Requests) {
        let (number, ttl) = (self.number.to_string(), TTL_MS.to_string());
        requests.push(&[b"SET", self.key.as_bytes(), number.as_bytes(), b"PX", ttl.as_bytes()]);
    }

    fn judge(&mut self, _: &Ledger, replies: &[Value], _: Span) -> Result<(), Violation> {
        expect(replies, &[ok()])
    }
}

/// Increments a counter. What it answers lies between what was acknowledged before and what was sent by then.
pub(super) struct Increment {
    counter: u64,
    acknowledged: i64,
}

impl Increment {
    pub(super) fn new(ledger: &Ledger, counter: u64) -> Self {
        count(&ledger.counters[counter as usize].sent);
        Self { counter, acknowledged: 0 }
    }

    fn changes<'a>(&self, ledger: &'a Ledger) -> &'a Changes {
        &ledger.counters[self.counter as usize]
    }
}

impl Operation for Increment {
    fn key(&self, ledger: &Ledger) -> String {
        ledger.layout.counter(self.counter)
    }

    fn write(&mut self, ledger: &Ledger, _: Duration, requests: &mut Requests) {
        self.acknowledged = self.changes(ledger).sum.load(Ordering::SeqCst);
        requests.push(&[b"INCR", self.key(ledger).as_bytes()]);
    }

    fn judge(&mut self, ledger: &Ledger, replies: &[Value], _: Span) -> Result<(), Violation> {
        let [Value::Integer(found)] = *replies else { return Err(wrong(replies)) };
        let Changes { sent, sum, .. } = self.changes(ledger);
        sum.fetch_add(1, Ordering::SeqCst);
        count(&ledger.tally.increments);
        within(found, self.acknowledged + 1, sent.load(Ordering::SeqCst).cast_signed())
    }

    fn lost(&self, ledger: &Ledger) {
        count(&self.changes(ledger).unknown);
    }
}

/// Reads a counter when nobody increments it any more.
pub(super) struct Total {
    /// Which.
    pub(super) counter: u64,
}

impl Operation for Total {
    fn key(&self, ledger: &Ledger) -> String {
        ledger.layout.counter(self.counter)
    }

    fn write(&mut self, ledger: &Ledger, _: Duration, requests: &mut Requests) {
        requests.push(&[b"GET", self.key(ledger).as_bytes()]);
    }

    fn judge(&mut self, ledger: &Ledger, replies: &[Value], _: Span) -> Result<(), Violation> {
        let Changes { sum, unknown, .. } = &ledger.counters[self.counter as usize];
        let sum = sum.load(Ordering::SeqCst);
        let Some(found) = bytes(replies)? else {
            return Err(Violation::UnexpectedMiss(sum.cast_unsigned()));
        };
        within(number(found)?, sum, sum + unknown.load(Ordering::SeqCst).cast_signed())
    }
}

/// Whether a number is what it can be.
pub(super) fn within(found: i64, least: i64, most: i64) -> Result<(), Violation> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(Violation::WrongCount { found, least, most })
    }
}
