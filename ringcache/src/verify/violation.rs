//! How a reply can be wrong.

use std::fmt;
use std::time::Duration;

/// A contradiction between a reply and what was done before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// No value, although this version was acknowledged and nothing deleted it.
    UnexpectedMiss(u64),
    /// An older version than an acknowledged one, or one from before an acknowledged deletion.
    OldValue {
        /// As read.
        found: u64,
        /// Acknowledged before the read was sent.
        acknowledged: u64,
    },
    /// Bytes that nobody wrote to this key.
    WrongValue,
    /// No value, although this version was to live for so long after the answer.
    ExpiredEarly {
        /// The last one acknowledged before the read was sent.
        version: u64,
        /// From the answer to the earliest moment at which it may end.
        left: Duration,
    },
    /// A value that was to end so long before the read was sent.
    ExpiredLate {
        /// As read.
        version: u64,
        /// From the latest moment at which it must have ended to the request.
        over: Duration,
    },
    /// A number that the acknowledged changes do not come to.
    WrongCount {
        /// As read.
        found: i64,
        /// The least that it can be.
        least: i64,
        /// The most that it can be.
        most: i64,
    },
    /// Two keys that are only ever written together, and do not agree.
    TornPair(String),
    /// A reply to another request than the one whose turn it was, or to none.
    WrongOrder(String),
    /// A reply that this request never has.
    WrongReply(String),
}

impl Violation {
    /// The kind, in the words of the report.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::UnexpectedMiss(_) => "unexpected miss",
            Self::OldValue { .. } => "old value",
            Self::WrongValue => "wrong value",
            Self::ExpiredEarly { .. } => "expired early",
            Self::ExpiredLate { .. } => "expired late",
            Self::WrongCount { .. } => "wrong count",
            Self::TornPair(_) => "torn pair",
            Self::WrongOrder(_) => "wrong order",
            Self::WrongReply(_) => "wrong reply",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind())?;
        match self {
            Self::UnexpectedMiss(version) => write!(f, "version {version} was acknowledged"),
            Self::OldValue { found, acknowledged } => {
                write!(f, "version {found} after {acknowledged} was acknowledged")
            }
            Self::WrongValue => f.write_str("nobody wrote these bytes to this key"),
            Self::ExpiredEarly { version, left } => {
                write!(f, "version {version} was to live for another {left:.1?}")
            }
            Self::ExpiredLate { version, over } => {
                write!(f, "version {version} was to end {over:.1?} before it was asked for")
            }
            Self::WrongCount { found, least, most } if least == most => {
                write!(f, "{found} instead of {least}")
            }
            Self::WrongCount { found, least, most } => {
                write!(f, "{found}, which is not in {least}..={most}")
            }
            Self::TornPair(text) | Self::WrongOrder(text) | Self::WrongReply(text) => {
                f.write_str(text)
            }
        }
    }
}
