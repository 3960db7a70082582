//! The records of a slot's journal: how a change travels from the source of a handover to its target.
//!
//! A record is a tag byte, then its fields; integers are little-endian. Deadlines and times are Unix
//! milliseconds, a deadline of `u64::MAX` means none. There is no version: the frame around it has one.
//!
//! | tag | record | fields |
//! | --- | --- | --- |
//! | 1 | `Put`, written just now | key length u16, value length u32, deadline u64, key, value |
//! | 2 | `Put`, copied | key length u16, value length u32, deadline u64, last access u64, key, value |
//! | 3 | `Remove` | key length u16, key |
//! | 4 | `Clear` | |
//!
//! A changed deadline travels as a whole `Put`: a record with the deadline alone would come too late
//! for an entry whose old deadline passes on the way.

use crate::item::Item;
use crate::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Millis};

const PUT: u8 = 1;
const COPY: u8 = 2;
const REMOVE: u8 = 3;
const CLEAR: u8 = 4;

/// One change of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// The state of an entry. `last_access` is `None` if the entry was written just now, and known if
    /// it was copied.
    Put {
        key: &'a [u8],
        value: &'a [u8],
        deadline: Millis,
        last_access: Option<Millis>,
    },
    Remove {
        key: &'a [u8],
    },
    Clear,
}

/// Why bytes are not journal records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// The bytes end inside a record.
    #[error("the journal ends inside a record")]
    Truncated,
    /// No record begins with this byte.
    #[error("no journal record has the tag {0}")]
    UnknownTag(u8),
    /// The key is longer than [`MAX_KEY_BYTES`].
    #[error("a journal record has a key of {0} bytes; {MAX_KEY_BYTES} are allowed")]
    KeyTooLong(usize),
    /// The value is longer than [`MAX_VALUE_BYTES`].
    #[error("a journal record has a value of {0} bytes; {MAX_VALUE_BYTES} are allowed")]
    ValueTooLong(usize),
}

impl<'a> Record<'a> {
    pub(crate) fn put(item: &'a Item, last_access: Option<Millis>) -> Self {
        Record::Put { key: item.key(), value: item.value(), deadline: item.deadline, last_access }
    }

    /// Appends the record to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Record::Put { key, value, deadline, last_access } => {
                out.push(if last_access.is_some() { COPY } else { PUT });
                out.extend_from_slice(&(key.len() as u16).to_le_bytes());
                out.extend_from_slice(&(value.len() as u32).to_le_bytes());
                out.extend_from_slice(&deadline.to_le_bytes());
                if let Some(last_access) = last_access {
                    out.extend_from_slice(&last_access.to_le_bytes());
                }
                out.extend_from_slice(key);
                out.extend_from_slice(value);
            }
            Record::Remove { key } => {
                out.push(REMOVE);
                out.extend_from_slice(&(key.len() as u16).to_le_bytes());
                out.extend_from_slice(key);
            }
            Record::Clear => out.push(CLEAR),
        }
    }

    /// Bytes that [`Record::encode`] appends.
    pub(crate) fn encoded_len(&self) -> usize {
        match self {
            Record::Put { key, value, deadline: _, last_access } => {
                let last_access_len = if last_access.is_some() { 8 } else { 0 };
                1 + 2 + 4 + 8 + last_access_len + key.len() + value.len()
            }
            Record::Remove { key } => 1 + 2 + key.len(),
            Record::Clear => 1,
        }
    }

    /// Takes one record off the front of `input`.
    pub(crate) fn decode(input: &mut &'a [u8]) -> Result<Self, BadRecord> {
        match u8::from_le_bytes(array(input)?) {
            tag @ (PUT | COPY) => {
                let key_len = key_len(input)?;
                let value_len = u32::from_le_bytes(array(input)?) as usize;
                if value_len > MAX_VALUE_BYTES {
                    return Err(BadRecord::ValueTooLong(value_len));
                }
                let deadline = u64::from_le_bytes(array(input)?);
                let last_access =
                    if tag == COPY { Some(u64::from_le_bytes(array(input)?)) } else { None };
                let key = bytes(input, key_len)?;
                Ok(Record::Put { key, value: bytes(input, value_len)?, deadline, last_access })
            }
            REMOVE => {
                let key_len = key_len(input)?;
                Ok(Record::Remove { key: bytes(input, key_len)? })
            }
            CLEAR => Ok(Record::Clear),
            tag => Err(BadRecord::UnknownTag(tag)),
        }
    }
}

fn key_len(input: &mut &[u8]) -> Result<usize, BadRecord> {
    let len = usize::from(u16::from_le_bytes(array(input)?));
    if len > MAX_KEY_BYTES { Err(BadRecord::KeyTooLong(len)) } else { Ok(len) }
}

fn array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], BadRecord> {
    let (head, rest) = input.split_first_chunk().ok_or(BadRecord::Truncated)?;
    *input = rest;
    Ok(*head)
}

fn bytes<'a>(input: &mut &'a [u8], len: usize) -> Result<&'a [u8], BadRecord> {
    let (head, rest) = input.split_at_checked(len).ok_or(BadRecord::Truncated)?;
    *input = rest;
    Ok(head)
}

#[cfg(test)]
mod tests;
