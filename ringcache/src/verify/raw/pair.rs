//! Pairs of keys that are written in one transaction: nobody may see the one without the other.

use std::time::Duration;

use ringcache_wire::value::Value;

use super::ledger::{Ledger, count};
use super::operation::{Operation, Requests, Span, expect, ok, queued, two};
use super::plain::read;
use crate::verify::history::{Floor, Reply};
use crate::verify::load::TTL_MS;
use crate::verify::violation::Violation;

/// Writes the next version of both keys.
pub(super) struct SetPair {
    pair: u64,
    version: u64,
}

impl SetPair {
    pub(super) fn new(ledger: &Ledger, pair: u64) -> Self {
        Self { pair, version: ledger.load.history.set(ledger.layout.pair_number(pair)) }
    }
}

impl Operation for SetPair {
    fn key(&self, ledger: &Ledger) -> String {
        let [a, _] = ledger.layout.pair(self.pair);
        a
    }

    fn write(&mut self, ledger: &Ledger, _: Duration, requests: &mut Requests) {
        let value = ledger.load.values.value(ledger.layout.pair_number(self.pair), self.version);
        let ttl = TTL_MS.to_string();
        requests.push(&[b"MULTI"]);
        for key in ledger.layout.pair(self.pair) {
            requests.push(&[b"SET", key.as_bytes(), &value, b"PX", ttl.as_bytes()]);
        }
        requests.push(&[b"EXEC"]);
    }

    fn judge(&mut self, ledger: &Ledger, replies: &[Value], _: Span) -> Result<(), Violation> {
        expect(replies, &[ok(), queued(), queued(), Value::Array(vec![ok(), ok()])])?;
        ledger.load.history.acknowledge(ledger.layout.pair_number(self.pair), self.version);
        Ok(())
    }
}

/// Reads both keys of anybody's pair.
pub(super) struct GetPair {
    pair: u64,
    /// As for [`super::plain::Get`].
    own: bool,
    floor: Floor,
}

impl GetPair {
    pub(super) fn new(ledger: &Ledger, pair: u64, own: bool) -> Self {
        Self { pair, own, floor: ledger.load.history.floor(ledger.layout.pair_number(pair)) }
    }
}

impl Operation for GetPair {
    fn key(&self, ledger: &Ledger) -> String {
        let [a, _] = ledger.layout.pair(self.pair);
        a
    }

    fn write(&mut self, ledger: &Ledger, _: Duration, requests: &mut Requests) {
        let [a, b] = ledger.layout.pair(self.pair);
        self.floor = ledger.load.history.floor(ledger.layout.pair_number(self.pair));
        requests.push(&[b"MGET", a.as_bytes(), b.as_bytes()]);
    }

    fn judge(&mut self, ledger: &Ledger, replies: &[Value], _: Span) -> Result<(), Violation> {
        let number = ledger.layout.pair_number(self.pair);
        if self.own {
            self.floor = ledger.load.history.floor(number);
        }
        let found = two(replies)?;
        let [a, b] = found.map(|bytes| read(ledger, number, bytes));
        count(&ledger.tally.pairs);
        for reply in [a, b] {
            ledger.load.history.judge(number, self.floor, reply)?;
        }
        if found[0] == found[1] {
            Ok(())
        } else {
            Err(Violation::TornPair(format!("{} and {}", said(a), said(b))))
        }
    }
}

fn said(reply: Reply) -> String {
    match reply {
        Reply::Missing => "nothing".into(),
        Reply::Version(version) => format!("version {version}"),
        Reply::Foreign => "foreign bytes".into(),
    }
}
