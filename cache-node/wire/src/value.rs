//! Replies as values: for clients, tools and tests. (A node passes replies on as bytes.)

use crate::element::{self, Aggregate, Element};
use crate::frame::{FrameError, MAX_DEPTH};
use crate::line::LineSearch;

/// Longest reply that [`decode`] accepts: 512 MiB, the default of Redis' `proto-max-bulk-len`.
pub const MAX_REPLY_BYTES: usize = 512 << 20;

/// One reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A short text such as `OK`; bytes that are no UTF-8 are replaced.
    Simple(String),
    /// An error, its code first; bytes that are no UTF-8 are replaced.
    Error(String),
    /// An integer.
    Integer(i64),
    /// Any bytes.
    Bulk(Vec<u8>),
    /// Nothing: `$-1`, `*-1` or `_`.
    Null,
    /// A list.
    Array(Vec<Value>),
    /// Pairs, in the order they came.
    Map(Vec<(Value, Value)>),
    /// Elements that the server promises to be distinct.
    Set(Vec<Value>),
    /// An out-of-band message: no answer to a request.
    Push(Vec<Value>),
    /// A floating point number.
    Double(f64),
    /// A truth value.
    Boolean(bool),
    /// Text for people.
    Verbatim {
        /// Three letters, `txt` or `mkd`.
        format: String,
        /// The text; bytes that are no UTF-8 are replaced.
        text: String,
    },
    /// An integer of any size, in decimal.
    BigNumber(String),
}

/// An aggregate whose elements are not complete.
struct Open {
    kind: Aggregate,
    missing: usize,
    values: Vec<Value>,
}

impl Open {
    /// The finished aggregate; nothing for an attribute, which is only a remark.
    fn close(self) -> Option<Value> {
        match self.kind {
            Aggregate::Array => Some(Value::Array(self.values)),
            Aggregate::Set => Some(Value::Set(self.values)),
            Aggregate::Push => Some(Value::Push(self.values)),
            Aggregate::Attribute => None,
            Aggregate::Map => {
                let mut values = self.values.into_iter();
                let pairs = std::iter::from_fn(|| Some((values.next()?, values.next()?)));
                Some(Value::Map(pairs.collect()))
            }
        }
    }
}

/// Reads the reply at the start of `input`, with the number of bytes it takes; `None` until all of it
/// is there. Attributes are left out.
///
/// It starts over at every call: whoever receives long replies in small pieces asks a
/// [`FrameScanner`](crate::frame::FrameScanner) for the end first.
pub fn decode(input: &[u8]) -> Result<Option<(Value, usize)>, FrameError> {
    let mut line = LineSearch::default();
    let mut open: Vec<Open> = Vec::new();
    let mut position = 0;
    while let Some((element, end)) = element::read(input, position, &mut line, MAX_REPLY_BYTES)? {
        position = end;
        let mut finished = match element {
            Element::Aggregate(kind, missing) => {
                let aggregate = Open { kind, missing, values: Vec::new() };
                if missing > 0 {
                    if open.len() == MAX_DEPTH {
                        return Err(FrameError::TooDeep);
                    }
                    open.push(aggregate);
                    continue;
                }
                aggregate.close()
            }
            scalar => Some(to_value(scalar)),
        };
        // A finished element may finish the aggregate it stands in, and that the next one.
        while let Some(value) = finished.take() {
            let Some(parent) = open.last_mut() else {
                return Ok(Some((value, position)));
            };
            parent.values.push(value);
            parent.missing -= 1;
            if parent.missing == 0 {
                finished = open.pop().and_then(Open::close);
            }
        }
    }
    Ok(None)
}

fn to_value(scalar: Element<'_>) -> Value {
    match scalar {
        Element::Simple(text) => Value::Simple(lossy(text)),
        Element::Error(text) => Value::Error(lossy(text)),
        Element::Integer(number) => Value::Integer(number),
        Element::Null | Element::Aggregate(..) => Value::Null,
        Element::Bulk(bytes) => Value::Bulk(bytes.to_vec()),
        Element::Verbatim { format, text } => {
            Value::Verbatim { format: lossy(format), text: lossy(text) }
        }
        Element::Double(number) => Value::Double(number),
        Element::Boolean(truth) => Value::Boolean(truth),
        Element::BigNumber(digits) => Value::BigNumber(digits.to_owned()),
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
