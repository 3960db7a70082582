//! Keys that are written, read and deleted: never an older value, never a foreign one, never an unexpected miss.

use std::time::Duration;

use ringcache_wire::value::Value;

use super::ledger::{Ledger, count};
use super::operation::{Operation, Requests, Span, bytes, expect, ok, wrong};
use crate::verify::history::{Floor, Reply};
use crate::verify::load::TTL_MS;
use crate::verify::violation::Violation;

/// Writes the next version of an own key.
pub(super) struct Set {
    key: u64,
    version: u64,
}

impl Set {
    pub(super) fn new(ledger: &Ledger, key: u64) -> Self {
        Self { key, version: ledger.load.history.set(key) }
    }
}

impl Operation for Set {
    fn key(&self, ledger: &Ledger) -> String {
        ledger.load.values.key(self.key)
    }

    fn write(&mut self, ledger: &Ledger, _: Duration, requests: &mut Requests) {
        let value = ledger.load.values.value(self.key, self.version);
        let key = self.key(ledger);
        requests.push(&[b"SET", key.as_bytes(), &value, b"PX", TTL_MS.to_string().as_bytes()]);
    }

    fn judge(&mut self, ledger: &Ledger, replies: &[Value], _: Span) -> Result<(), Violation> {
        expect(replies, &[ok()])?;
        ledger.load.history.acknowledge(self.key, self.version);
        Ok(())
    }
}

/// Deletes an own key. The reply says whether it was there, which its writer knows.
pub(super) struct Delete {
    key: u64,
    version: u64,
    /// Whether the key is there; `None` if a write before it may have happened or not.
    was_there: Option<bool>,
}

impl Delete {
    pub(super) fn new(ledger: &Ledger, key: u64) -> Self {
        let history = &ledger.load.history;
        let was_there = history.is_settled(key).then(|| !history.floor(key).absent);
        Self { key, version: history.delete(key), was_there }
    }
}

impl Operation for Delete {
    fn key(&self, ledger: &Ledger) -> String {
        ledger.load.values.key(self.key)
    }

    fn write(&mut self, ledger: &Ledger, _: Duration, requests: &mut Requests) {
        requests.push(&[b"DEL", self.key(ledger).as_bytes()]);
    }

    fn judge(&mut self, ledger: &Ledger, replies: &[Value], _: Span) -> Result<(), Violation> {
        let [Value::Integer(found @ 0..=1)] = replies else { return Err(wrong(replies)) };
        let floor = ledger.load.history.floor(self.key);
        ledger.load.history.acknowledge(self.key, self.version);
        match self.was_there {
            Some(true) if *found == 0 => Err(Violation::UnexpectedMiss(floor.version)),
            Some(false) if *found == 1 => {
                Err(Violation::WrongCount { found: 1, least: 0, most: 0 })
            }
            _ => Ok(()),
        }
    }
}

/// Reads anybody's key.
pub(super) struct Get {
    key: u64,
    /// Whether the reader is the writer: then what was acknowledged up to the reply was also carried out before the read,
    /// because both went the same way.
    own: bool,
    floor: Floor,
}

impl Get {
    pub(super) fn new(ledger: &Ledger, key: u64, own: bool) -> Self {
        Self { key, own, floor: ledger.load.history.floor(key) }
    }
}

impl Operation for Get {
    fn key(&self, ledger: &Ledger) -> String {
        ledger.load.values.key(self.key)
    }

    fn write(&mut self, ledger: &Ledger, _: Duration, requests: &mut Requests) {
        self.floor = ledger.load.history.floor(self.key);
        requests.push(&[b"GET", self.key(ledger).as_bytes()]);
    }

    fn judge(&mut self, ledger: &Ledger, replies: &[Value], _: Span) -> Result<(), Violation> {
        if self.own {
            self.floor = ledger.load.history.floor(self.key);
        }
        let found = bytes(replies)?;
        let reply = read(ledger, self.key, found);
        ledger.load.history.judge(self.key, self.floor, reply)?;
        if found.is_none() {
            count(&ledger.tally.misses);
        }
        Ok(())
    }
}

/// What a read of a key with versions returned; counts it.
pub(super) fn read(ledger: &Ledger, number: u64, found: Option<&[u8]>) -> Reply {
    count(&ledger.tally.reads);
    let (values, versions) = (&ledger.load.values, ledger.load.history.versions(number));
    found.map_or(Reply::Missing, |bytes| {
        values.version(number, bytes, versions).map_or(Reply::Foreign, Reply::Version)
    })
}

/// Removes a key when nothing is checked any more.
pub(super) struct Remove {
    /// Which.
    pub(super) key: String,
}

impl Operation for Remove {
    fn key(&self, _: &Ledger) -> String {
        self.key.clone()
    }

    fn write(&mut self, _: &Ledger, _: Duration, requests: &mut Requests) {
        requests.push(&[b"UNLINK", self.key.as_bytes()]);
    }

    fn judge(&mut self, _: &Ledger, _: &[Value], _: Span) -> Result<(), Violation> {
        Ok(())
    }
}
