//! Keys that live for seconds: not readable after their deadline, not gone before it.
//!
//! The node reads its clock somewhere between request and reply, so that a deadline is known as a range: from when the write
//! was sent to when it was answered, plus the time to live. Readers share the clock with the nodes: one machine.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ringcache_wire::value::Value;

use super::ledger::{Ledger, count};
use super::operation::{Operation, Requests, Span, bytes, expect, ok};
use super::plain::read;
use crate::random::Random;
use crate::stock::RESPONSE_TIMEOUT;
use crate::verify::history::{Floor, Reply};
use crate::verify::violation::Violation;

/// Nodes keep whole milliseconds.
const GRAIN: Duration = Duration::from_millis(1);
/// A short-lived key that is left to end is written again when this part of its lifetime has passed once more: until then readers would
/// notice that it did not end.
const AFTERWARDS: u32 = 4;
/// One write in so many, the first among them, is not left to end: the next one has to give the key a new deadline.
const OVERWRITTEN_ONE_IN: u64 = 4;
/// An ended version that has been followed by another one is forgotten so much later: no read that may still be judged by it
/// waits any more.
const FORGOTTEN: Duration = RESPONSE_TIMEOUT.saturating_mul(3);

/// One write of a short-lived key.
#[derive(Debug)]
struct Term {
    version: u64,
    lifetime: Duration,
    /// The earliest end.
    earliest: Duration,
    /// The latest end; unknown until the write is answered.
    latest: Option<Duration>,
}

/// When the writes of all short-lived keys end, oldest first.
#[derive(Debug)]
pub(super) struct Deadlines(Vec<Mutex<VecDeque<Term>>>);

impl Deadlines {
    /// No short-lived key is written.
    pub(super) fn new(short_lived: u64) -> Self {
        Self((0..short_lived).map(|_| Mutex::default()).collect())
    }

    fn with<T>(&self, short_lived: u64, act: impl FnOnce(&mut VecDeque<Term>) -> T) -> T {
        act(&mut self.0[short_lived as usize].lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the writer should write the short-lived key again: when it has ended for a while, or, for some versions, half way.
    pub(super) fn is_due(&self, short_lived: u64, now: Duration) -> bool {
        self.with(short_lived, |terms| {
            terms.back().is_none_or(|Term { version, lifetime, earliest, latest }| {
                let end = if version % OVERWRITTEN_ONE_IN == 1 {
                    earliest.saturating_sub(*lifetime / 2)
                } else {
                    latest.unwrap_or(*earliest) + *lifetime / AFTERWARDS
                };
                end <= now
            })
        })
    }

    fn sent(&self, short_lived: u64, version: u64, lifetime: Duration, sent: Duration) {
        let earliest = sent + lifetime;
        self.with(short_lived, |terms| {
            terms.retain(|term| {
                term.version != version && term.latest.is_none_or(|end| sent < end + FORGOTTEN)
            });
            terms.push_back(Term { version, lifetime, earliest, latest: None });
        });
    }

    fn acknowledged(&self, short_lived: u64, version: u64, answered: Duration) {
        self.with(short_lived, |terms| {
            if let Some(term) = terms.iter_mut().find(|term| term.version == version) {
                term.latest = Some(answered + term.lifetime);
            }
        });
    }

    /// Judges a miss where `floor` was acknowledged: it or a later version must have had time to end.
    fn judge_miss(&self, short_lived: u64, floor: u64, span: Span) -> Result<(), Violation> {
        self.with(short_lived, |terms| {
            if !terms.iter().any(|term| term.version == floor) {
                // Forgotten: it ended long ago.
                return Ok(());
            }
            let candidates = terms.iter().filter(|term| term.version >= floor);
            let end = candidates.map(|term| term.earliest).min().unwrap_or_default();
            let left = end.saturating_sub(span.answered + GRAIN);
            if left.is_zero() {
                Ok(())
            } else {
                Err(Violation::ExpiredEarly { version: floor, left })
            }
        })
    }

    /// Judges that a version was found: it must not have ended before it was asked for.
    fn judge_found(&self, short_lived: u64, version: u64, span: Span) -> Result<(), Violation> {
        let latest = self.with(short_lived, |terms| {
            terms.iter().find(|term| term.version == version).map(|term| term.latest)
        });
        let over = match latest {
            // Forgotten: it ended long ago.
            None => FORGOTTEN,
            Some(None) => return Ok(()),
            Some(Some(latest)) => span.sent.saturating_sub(latest + GRAIN),
        };
        if over.is_zero() { Ok(()) } else { Err(Violation::ExpiredLate { version, over }) }
    }
}

/// Writes the next version of an own short-lived key.
pub(super) struct Grant {
    short_lived: u64,
    version: u64,
    lifetime_ms: u64,
}

impl Grant {
    pub(super) fn new(ledger: &Ledger, short_lived: u64, random: &mut Random) -> Self {
        let (from, to) = ledger.terms.lifetimes_ms.clone().into_inner();
        let version = ledger.load.history.set(ledger.layout.short_lived_number(short_lived));
        Self { short_lived, version, lifetime_ms: from + random.below(to - from + 1) }
    }
}

impl Operation for Grant {
    fn key(&self, ledger: &Ledger) -> String {
        ledger.layout.short_lived(self.short_lived)
    }

    fn write(&mut self, ledger: &Ledger, sent: Duration, requests: &mut Requests) {
        let lifetime = Duration::from_millis(self.lifetime_ms);
        ledger.deadlines.sent(self.short_lived, self.version, lifetime, sent);
        let value = ledger
            .load
            .values
            .value(ledger.layout.short_lived_number(self.short_lived), self.version);
        let (key, px) = (self.key(ledger), self.lifetime_ms.to_string());
        requests.push(&[b"SET", key.as_bytes(), &value, b"PX", px.as_bytes()]);
    }

    fn judge(&mut self, ledger: &Ledger, replies: &[Value], span: Span) -> Result<(), Violation> {
        expect(replies, &[ok()])?;
        ledger.deadlines.acknowledged(self.short_lived, self.version, span.answered);
        let number = ledger.layout.short_lived_number(self.short_lived);
        ledger.load.history.acknowledge(number, self.version);
        Ok(())
    }
}

/// Reads anybody's short-lived key.
pub(super) struct Look {
    short_lived: u64,
    /// As for [`super::plain::Get`].
    own: bool,
    floor: Floor,
}

impl Look {
    pub(super) fn new(ledger: &Ledger, short_lived: u64, own: bool) -> Self {
        let floor = ledger.load.history.floor(ledger.layout.short_lived_number(short_lived));
        Self { short_lived, own, floor }
    }
}

impl Operation for Look {
    fn key(&self, ledger: &Ledger) -> String {
        ledger.layout.short_lived(self.short_lived)
    }

    fn write(&mut self, ledger: &Ledger, _: Duration, requests: &mut Requests) {
        self.floor = ledger.load.history.floor(ledger.layout.short_lived_number(self.short_lived));
        requests.push(&[b"GET", self.key(ledger).as_bytes()]);
    }

    fn judge(&mut self, ledger: &Ledger, replies: &[Value], span: Span) -> Result<(), Violation> {
        let (number, history) =
            (ledger.layout.short_lived_number(self.short_lived), &ledger.load.history);
        if self.own {
            self.floor = history.floor(number);
        }
        match read(ledger, number, bytes(replies)?) {
            Reply::Missing => {
                if !self.floor.absent {
                    ledger.deadlines.judge_miss(self.short_lived, self.floor.version, span)?;
                    count(&ledger.tally.expiries);
                }
                count(&ledger.tally.misses);
                Ok(())
            }
            reply => {
                history.judge(number, self.floor, reply)?;
                let Reply::Version(version) = reply else { return Ok(()) };
                ledger.deadlines.judge_found(self.short_lived, version, span)
            }
        }
    }
}
