//! The ring document: where slots *should* be. It never moves ownership by itself; the nodes say where slots are.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use ringcache_ring::{SLOTS, SlotSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::canonical;

/// The version of the document's format that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 1;
/// Upper bound of members in one document: 100 nodes, one surge and one leaving besides.
pub const MAX_MEMBERS: usize = 128;
/// Upper bound of the bytes of a document: it must fit a ConfigMap (1 MiB) with room to spare.
pub const MAX_DOCUMENT_BYTES: usize = 512 * 1024;

/// One run of one cache process: the pod's (or process') uid and the nonce it drew when it started, `<uid>.<nonce>`.
///
/// A restarted process is another incarnation, and empty: whatever was said to or of the old one does not concern it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub String);

impl Incarnation {
    /// Joins the uid that the platform gave with the nonce that the process drew.
    pub fn new(uid: &str, nonce: &str) -> Self {
        Self(format!("{uid}.{nonce}"))
    }

    /// The platform's part: the uid of the pod or process.
    pub fn uid(&self) -> &str {
        self.0.rsplit_once('.').map_or(self.0.as_str(), |(uid, _)| uid)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which `CacheCluster` a document belongs to. The uid decides; name and namespace are for readers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRef {
    /// Namespace of the `CacheCluster`.
    pub namespace: String,
    /// Name of the `CacheCluster`.
    pub name: String,
    /// Uid of the `CacheCluster`: a re-created cluster of the same name is another one.
    pub uid: String,
}

/// How keys map to slots, stated so that other programs need not guess.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HashRule {
    /// Always `crc16-xmodem`.
    pub function: String,
    /// Always 16384.
    pub slots: u32,
    /// Always true: only the part of a key between `{` and `}` is hashed, as Redis Cluster does.
    pub hash_tags: bool,
}

impl Default for HashRule {
    fn default() -> Self {
        Self { function: "crc16-xmodem".into(), slots: u32::from(SLOTS), hash_tags: true }
    }
}

/// The ports of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Redis protocol, cluster mode.
    pub resp: u16,
    /// HTTP/JSON API.
    pub http: u16,
    /// Health, metrics and admin API.
    pub admin: u16,
    /// Between nodes.
    pub bus: u16,
}

/// What the document wants of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MemberState {
    /// New: may receive slots, not all of its share has arrived.
    Joining,
    /// Holds its share.
    Active,
    /// Gives everything away; in no preference list.
    Leaving,
}

/// One incarnation that takes part in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Name of the node, `<cluster>-<n>`; unique in a document.
    pub name: String,
    /// The incarnation meant, and no other of the same name.
    pub uid: Incarnation,
    /// Address that clients and nodes reach it by; never empty.
    pub host: String,
    /// Its ports.
    pub ports: Ports,
    /// What is wanted of it.
    pub state: MemberState,
}

/// A run of slots with one intended owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRange {
    /// First and last slot, inclusive.
    pub range: (u16, u16),
    /// Name of the member that should own them.
    pub owner: String,
}

/// The ring document, totally ordered by `epoch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// The cluster it belongs to.
    pub cluster: ClusterRef,
    /// Only grows. Of two documents the one with the higher epoch counts.
    pub epoch: u64,
    /// How keys map to slots.
    #[serde(default)]
    pub hash: HashRule,
    /// Everybody who takes part, sorted by name.
    pub members: Vec<Member>,
    /// Incarnations that are dead for ever: proven, not suspected.
    #[serde(default)]
    pub gone: BTreeSet<Incarnation>,
    /// The intended assignment: sorted, without gap or overlap over 0..=16383.
    pub slots: Vec<SlotRange>,
    /// `sha256:` and the hex digest of the canonical JSON of everything else.
    #[serde(default)]
    pub checksum: String,
}

/// Why a document is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON, or not of the document's shape.
    #[error("the ring document cannot be read: {0}")]
    Malformed(String),
    /// More bytes than [`MAX_DOCUMENT_BYTES`].
    #[error("the ring document has {0} bytes; at most {MAX_DOCUMENT_BYTES} are allowed")]
    TooLarge(usize),
    /// Written by a newer program.
    #[error(
        "the ring document has format version {0}; this program reads version {FORMAT_VERSION}"
    )]
    Version(u32),
    /// Keys would map to other slots.
    #[error(
        "the ring document wants another hash rule; only crc16-xmodem with 16384 slots and hash tags is served"
    )]
    Hash,
    /// The bytes are not what the writer signed.
    #[error("the ring document's checksum is {found}, its content has {expected}")]
    Checksum {
        /// As stated in the document.
        found: String,
        /// As computed.
        expected: String,
    },
    /// Members or slots contradict each other.
    #[error("the ring document is inconsistent: {0}")]
    Inconsistent(String),
}

impl Document {
    /// Reads a document and proves it whole: format, checksum, consistency.
    ///
    /// The checksum covers the JSON as received, so that a reader verifies documents with fields it does not know.
    pub fn parse(json: &[u8]) -> Result<Self, DocumentError> {
        if json.len() > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::TooLarge(json.len()));
        }
        let malformed = |e: serde_json::Error| DocumentError::Malformed(e.to_string());
        let value: Value = serde_json::from_slice(json).map_err(malformed)?;
        if let Some(version) = value.get("version").and_then(Value::as_u64)
            && version != u64::from(FORMAT_VERSION)
        {
            return Err(DocumentError::Version(u32::try_from(version).unwrap_or(u32::MAX)));
        }
        let expected = checksum(&value);
        let document: Self = serde_json::from_value(value).map_err(malformed)?;
        if document.checksum != expected {
            return Err(DocumentError::Checksum { found: document.checksum, expected });
        }
        document.validate()?;
        Ok(document)
    }

    /// Sorts the members, sets the checksum and returns the document: the last step of every writer.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.members.sort_by(|a, b| a.name.cmp(&b.name));
        self.checksum = checksum(&self.to_value());
        self
    }

    /// The document as readable JSON, with its checksum as it stands.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", self.to_value())
    }

    fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The rules that every document keeps, whoever wrote it.
    pub fn validate(&self) -> Result<(), DocumentError> {
        if self.version != FORMAT_VERSION {
            return Err(DocumentError::Version(self.version));
        }
        if self.hash != HashRule::default() {
            return Err(DocumentError::Hash);
        }
        self.validate_members()
            .and_then(|()| self.validate_slots())
            .map_err(DocumentError::Inconsistent)
    }

    fn validate_members(&self) -> Result<(), String> {
        if self.epoch == 0 {
            return Err("epochs start at 1".into());
        }
        if self.members.is_empty() || self.members.len() > MAX_MEMBERS {
            return Err(format!("{} members; 1 to {MAX_MEMBERS} are allowed", self.members.len()));
        }
        let (mut names, mut uids) = (HashSet::new(), HashSet::new());
        for member in &self.members {
            let Member { name, uid, host, ports: _, state: _ } = member;
            if name.is_empty() || uid.0.is_empty() || host.is_empty() {
                return Err(format!("member `{name}` lacks a name, uid or host"));
            }
            if !names.insert(name) || !uids.insert(uid) {
                return Err(format!("member `{name}` ({uid}) appears twice"));
            }
        }
        Ok(())
    }

    fn validate_slots(&self) -> Result<(), String> {
        let mut next = 0_u16;
        for SlotRange { range: (first, last), owner } in &self.slots {
            if *first != next || last < first || *last >= SLOTS {
                return Err(format!("slot range {first}-{last} where one from {next} was due"));
            }
            match self.member(owner) {
                None => {
                    return Err(format!(
                        "slots {first}-{last} belong to `{owner}`, which is no member"
                    ));
                }
                Some(m) if m.state == MemberState::Leaving => {
                    return Err(format!(
                        "slots {first}-{last} belong to `{owner}`, which is leaving"
                    ));
                }
                Some(_) => next = last + 1,
            }
        }
        if next == SLOTS {
            Ok(())
        } else {
            Err(format!("slots {next}-{} have no owner", SLOTS - 1))
        }
    }

    /// The member of that name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.name == name)
    }

    /// The member that is this incarnation.
    pub fn incarnation(&self, uid: &Incarnation) -> Option<&Member> {
        self.members.iter().find(|m| m.uid == *uid)
    }

    /// The slots that the member of that name should own.
    pub fn intended(&self, name: &str) -> SlotSet {
        let ranges = self.slots.iter().filter(|slots| slots.owner == name);
        SlotSet::from_ranges(ranges.map(|slots| slots.range.0..=slots.range.1))
    }
}

/// `sha256:` and the digest of the canonical JSON of `value` without its `checksum` field.
fn checksum(value: &Value) -> String {
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut() {
        map.remove("checksum");
    }
    let digest = Sha256::digest(canonical::to_string(&value));
    digest.iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
}

/// Writes an owner per slot as the shortest list of ranges.
pub fn slot_ranges<'a>(owner: impl Fn(u16) -> &'a str) -> Vec<SlotRange> {
    let mut ranges: Vec<SlotRange> = Vec::new();
    for slot in 0..SLOTS {
        let name = owner(slot);
        match ranges.last_mut() {
            Some(last) if last.owner == name => last.range.1 = slot,
            _ => ranges.push(SlotRange { range: (slot, slot), owner: name.to_owned() }),
        }
    }
    ranges
}
