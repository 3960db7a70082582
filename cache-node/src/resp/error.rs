//! What a command may be refused for, in the words of Redis 7 where it has some: clients compare these texts.

use std::fmt::Write as _;

use ringcache_store::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use ringcache_wire::request::Args;

use super::commands::MAX_PATTERN_BYTES;

/// A refused command. The text is the whole error reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    /// Options that do not exist or exclude each other.
    #[error("ERR syntax error")]
    Syntax,
    /// Too few or too many arguments.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(&'static str),
    /// An argument or a value that has to be an integer.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// An argument or a value that has to be a number.
    #[error("ERR value is not a valid float")]
    NotAFloat,
    /// The sum is beyond 64 bits.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// `DECRBY` by the smallest number, which has no positive twin.
    #[error("ERR decrement would overflow")]
    DecrementOverflow,
    /// The sum is beyond all numbers.
    #[error("ERR increment would produce NaN or Infinity")]
    NotFinite,
    /// A time to live below 1, or beyond 64 bits.
    #[error("ERR invalid expire time in '{0}' command")]
    InvalidExpire(&'static str),
    /// Keys of different slots in one command or transaction.
    #[error("CROSSSLOT Keys in request don't hash to the same slot")]
    CrossSlot,
    /// A slot number that is none.
    #[error("ERR Invalid or out of range slot")]
    InvalidSlot,
    /// A cursor that `SCAN` never gave.
    #[error("ERR invalid cursor")]
    InvalidCursor,
    /// A key beyond the limit.
    #[error("ERR key is longer than {MAX_KEY_BYTES} bytes")]
    KeyTooLong,
    /// A value beyond the limit.
    #[error("ERR value is longer than {MAX_VALUE_BYTES} bytes")]
    ValueTooLong,
    /// A pattern beyond the limit.
    #[error("ERR pattern is longer than {MAX_PATTERN_BYTES} bytes")]
    PatternTooLong,
    /// A reply beyond the limit.
    #[error("ERR reply is longer than {0} bytes; ask for fewer keys at a time")]
    ReplyTooLong(usize),
    /// An error of one command only.
    #[error("{0}")]
    Other(&'static str),
    /// An error of one command only that quotes an argument.
    #[error("{0}")]
    Quoting(String),
}

/// Bytes of a client's text that an error quotes at most, as in Redis. An error line without a bound would break the
/// connections that pass it on between nodes.
const MAX_QUOTED_BYTES: usize = 128;

/// A client's text as an error may quote it: shortened, and with escapes for what would end the line or not be shown.
pub(super) fn quote(text: &[u8]) -> String {
    quote_within(text, MAX_QUOTED_BYTES)
}

fn quote_within(text: &[u8], max_bytes: usize) -> String {
    let mut quoted = String::new();
    for shown in String::from_utf8_lossy(text.get(..max_bytes).unwrap_or(text)).chars() {
        let escaped: String =
            if shown.is_control() { shown.escape_default().collect() } else { shown.into() };
        if quoted.len() + escaped.len() > max_bytes {
            break;
        }
        quoted.push_str(&escaped);
    }
    quoted
}

/// Redis' text, which redis-py, Jedis and Lettuce search for its beginning before they fall back to older commands.
pub(super) fn unknown_command(args: Args<'_>) -> String {
    let mut beginning = String::new();
    for arg in args.iter().skip(1) {
        if beginning.len() >= MAX_QUOTED_BYTES {
            break;
        }
        let quoted = quote_within(arg, MAX_QUOTED_BYTES - beginning.len());
        let _ = write!(beginning, "'{quoted}' ");
    }
    let name = quote(&args[0]);
    format!("ERR unknown command '{name}', with args beginning with: {beginning}")
}
