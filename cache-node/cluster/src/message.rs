//! What nodes say to each other. Every message travels with the sender's incarnation, the receiver's, and the epoch of the
//! sender's document; the transport makes sure that the receiver has that document before it sees the message.

use serde::{Deserialize, Serialize};

/// A run of slots owned at one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// First slot.
    pub first: u16,
    /// Last slot, inclusive.
    pub last: u16,
    /// Version at which the sender owns them.
    pub version: u64,
}

/// A message between two incarnations. Slot ranges are inclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// "I am here, and this is what changed in what I own." A hint for routing, never a claim.
    Heartbeat {
        /// Newest revision of the receiver's ownership that the sender has seen.
        seen: u64,
        /// Revision after which the changes below happened.
        base: u64,
        /// Revision of the sender's ownership that they lead to.
        revision: u64,
        /// Slots that it owns, of those that changed.
        owned: Vec<Run>,
    },
    /// "The document makes me the successor of these slots; are they yours?"
    Claim {
        /// Epoch of the document that it is claimed under.
        epoch: u64,
        /// The slots.
        slots: Vec<(u16, u16)>,
    },
    /// Answer to a claim under the same document. Slots in neither list are sealed: their fate is not known yet.
    Answer {
        /// Epoch of the claim.
        epoch: u64,
        /// "Not mine."
        not_mine: Vec<(u16, u16)>,
        /// "Mine", and I am alive.
        mine: Vec<(u16, u16)>,
        /// Highest version that the sender knows of any slot in `not_mine`.
        version: u64,
    },
    /// "I am about to copy this slot to you."
    Begin {
        /// The slot.
        slot: u16,
        /// Version at which the sender owns it.
        version: u64,
        /// Number of the attempt: never used again by this sender.
        attempt: u64,
    },
    /// "Go on, the attempt starts from nothing here."
    Ready {
        /// The slot.
        slot: u16,
        /// The attempt.
        attempt: u64,
    },
    /// Some of the slot's records, in order.
    Data {
        /// The slot.
        slot: u16,
        /// The attempt.
        attempt: u64,
        /// Number of this frame in the attempt, from 1.
        seq: u64,
        /// As the store wrote them.
        records: Vec<u8>,
    },
    /// "I have applied all frames up to this one."
    Ack {
        /// The slot.
        slot: u16,
        /// The attempt.
        attempt: u64,
        /// Number of the last frame applied.
        seq: u64,
    },
    /// The point of no return: "it is yours if you take it".
    Seal {
        /// The slot.
        slot: u16,
        /// The attempt.
        attempt: u64,
        /// Version at which the sender owned it; the receiver owns it at the next.
        version: u64,
        /// Number of frames that the attempt had.
        frames: u64,
    },
    /// "What became of my seal?"
    Query {
        /// The slot.
        slot: u16,
        /// The attempt.
        attempt: u64,
    },
    /// "I took the slot in that attempt."
    Accepted {
        /// The slot.
        slot: u16,
        /// The attempt.
        attempt: u64,
    },
    /// "I did not take it, and never will in that attempt": the answer to a seal, a query, or a frame of a discarded copy.
    Refused {
        /// The slot.
        slot: u16,
        /// The attempt.
        attempt: u64,
    },
}

impl Message {
    /// Bytes that the message takes on the wire, or a few more.
    pub fn size(&self) -> usize {
        /// A tag and at most four numbers of up to ten bytes.
        const FIXED: usize = 48;
        FIXED
            + match self {
                Self::Data { records, .. } => records.len(),
                Self::Heartbeat { owned, .. } => 16 * owned.len(),
                Self::Claim { slots, .. } => 6 * slots.len(),
                Self::Answer { not_mine, mine, .. } => 6 * (not_mine.len() + mine.len()),
                _ => 0,
            }
    }
}
