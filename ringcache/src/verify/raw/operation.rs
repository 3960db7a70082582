//! One operation: requests that go to one node together, and the judgement of their replies.

use std::time::Duration;

use ringcache_wire::encode_command;
use ringcache_wire::value::Value;

use super::ledger::Ledger;
use crate::verify::meter::Failure;
use crate::verify::violation::Violation;

/// Most characters of a reply that a report quotes.
const QUOTED: usize = 80;

/// Requests in the order in which they are written.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// As they go over the connection.
    pub(super) bytes: Vec<u8>,
    /// How many.
    pub(super) count: usize,
}

impl Requests {
    /// Appends a request.
    pub(super) fn push(&mut self, args: &[&[u8]]) {
        encode_command(&mut self.bytes, args);
        self.count += 1;
    }
}

/// Between which moments a request was carried out, since 1970: the clock by which nodes keep deadlines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Before its first byte was written.
    pub(super) sent: Duration,
    /// After the last byte of its reply was read.
    pub(super) answered: Duration,
}

/// What a client does in one go.
pub(super) trait Operation: Send {
    /// The key that decides which node it goes to, and that a report names.
    fn key(&self, ledger: &Ledger) -> String;

    /// Writes its requests and notes what is acknowledged by now. Called right before they are sent: once more if the node
    /// answered `MOVED`, which did nothing.
    fn write(&mut self, ledger: &Ledger, sent: Duration, requests: &mut Requests);

    /// Judges the replies, one a request and none of them an error.
    fn judge(&mut self, ledger: &Ledger, replies: &[Value], span: Span) -> Result<(), Violation>;

    /// Notes that nobody knows whether it was carried out.
    fn lost(&self, _: &Ledger) {}
}

/// The error among the replies, if there is one; also within a transaction's.
pub(super) fn failure(replies: &[Value]) -> Option<Failure> {
    replies.iter().find_map(|reply| match reply {
        Value::Error(text) => {
            let code = text.split(' ').next().unwrap_or_default();
            Some(Failure::new(code, text))
        }
        Value::Array(values) => failure(values),
        _ => None,
    })
}

/// Where a node sends the client instead of carrying the requests out. A transaction is not carried out if its last reply is
/// an error; any other error among the replies is one to report.
pub(super) fn moved_to(replies: &[Value]) -> Option<&str> {
    let Some(Value::Error(_)) = replies.last() else { return None };
    let is_moved = replies.iter().all(|reply| match reply {
        Value::Error(text) => text.starts_with("MOVED ") || text.starts_with("EXECABORT "),
        _ => true,
    });
    replies.iter().find_map(redirect).filter(|_| is_moved)
}

/// The address in a `MOVED` reply.
pub(super) fn redirect(reply: &Value) -> Option<&str> {
    match reply {
        Value::Error(text) => text.strip_prefix("MOVED ")?.split(' ').nth(1),
        _ => None,
    }
}

/// Whether the replies are exactly these.
pub(super) fn expect(replies: &[Value], expected: &[Value]) -> Result<(), Violation> {
    if replies == expected { Ok(()) } else { Err(wrong(replies)) }
}

/// The bytes of a single reply, if there are any.
pub(super) fn bytes(replies: &[Value]) -> Result<Option<&[u8]>, Violation> {
    match replies {
        [Value::Null] => Ok(None),
        [Value::Bulk(bytes)] => Ok(Some(bytes)),
        other => Err(wrong(other)),
    }
}

/// Both values of a single reply to `MGET`.
pub(super) fn two(replies: &[Value]) -> Result<[Option<&[u8]>; 2], Violation> {
    match replies {
        [Value::Array(values)] => match values.as_slice() {
            [a, b] => Ok([bytes(std::slice::from_ref(a))?, bytes(std::slice::from_ref(b))?]),
            _ => Err(wrong(replies)),
        },
        other => Err(wrong(other)),
    }
}

/// A number as `GET` answers it.
pub(super) fn number(bytes: &[u8]) -> Result<i64, Violation> {
    let text = str::from_utf8(bytes).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| wrong(&[Value::Bulk(bytes.to_vec())]))
}

/// Replies that requests of this kind never have.
pub(super) fn wrong(replies: &[Value]) -> Violation {
    let text: String = format!("{replies:?}").chars().take(QUOTED).collect();
    Violation::WrongReply(text)
}

/// What `SET`, `MULTI` and others answer.
pub(super) fn ok() -> Value {
    Value::Simple("OK".into())
}

/// What a command in a transaction answers.
pub(super) fn queued() -> Value {
    Value::Simple("QUEUED".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Value {
        Value::Error(text.into())
    }

    #[test]
    fn a_transaction_is_followed_only_if_nothing_of_it_was_carried_out() {
        let moved = || error("MOVED 7 host:1");
        assert_eq!(moved_to(&[moved()]), Some("host:1"));
        assert_eq!(moved_to(&[ok(), queued(), moved()]), Some("host:1"));
        assert_eq!(moved_to(&[ok(), moved(), error("EXECABORT of it")]), Some("host:1"));
        assert_eq!(moved_to(&[ok(), moved(), Value::Array(vec![ok()])]), None);
        assert_eq!(moved_to(&[error("ERR"), moved(), error("EXECABORT of it")]), None);
        assert_eq!(moved_to(&[error("EXECABORT of it")]), None);
    }

    #[test]
    fn an_error_is_found_within_a_transaction_and_named_by_its_code() {
        let replies = [ok(), Value::Array(vec![ok(), error("OOM no memory")])];
        assert_eq!(failure(&replies), Some(Failure::new("OOM", "OOM no memory")));
        assert_eq!(failure(&replies[..1]), None);
    }
}
