//! Many keys at once: each looked up at its owner, the answers put together in the order of the request.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::join_all;
use hyper::body::Body;
use hyper::{Method, StatusCode};
use ringcache_ring::key_slot;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::entry::{Read, Turn, read};
use super::json::{self, KeyEncoding};
use super::problem::Problem;
use super::{Answer, Api, FIRST_ROOM, MAX_ANSWER_BYTES, Relayed, answer, key, peers};
use crate::account::Lease;
use crate::counters::count;
use crate::routes::Peer;

/// Keys of one request.
pub(super) const MAX_KEYS: usize = 1000;
/// JSON of all entries that one request finds, in bytes: what is left of the largest answer when the missing keys, escaped,
/// are told as well.
pub(super) const MAX_BATCH_BYTES: usize = MAX_ANSWER_BYTES - (2 << 20);

/// A key as the client spelled it, and what it means.
struct Key {
    text: String,
    bytes: Vec<u8>,
}

/// A batch on its way. `None` in `entries`: not known yet.
struct Gathered<'a> {
    keys: &'a [Key],
    entries: Vec<Option<Entry>>,
    bytes: usize,
    lease: Lease,
    is_full_lease: bool,
}

enum Entry {
    Missing,
    /// Its JSON.
    Found(Box<[u8]>),
}

/// A peer's answer: its entries as they stand, in the order of its keys.
#[derive(Deserialize)]
struct PeerAnswer<'a> {
    #[serde(borrow)]
    entries: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct PeerEntry {
    key: String,
}

/// Keys of one owner, as indices of the batch.
type Groups = BTreeMap<String, (Peer, Vec<usize>)>;

impl Api {
    /// `body_lease` is the memory of the request's body.
    pub(super) async fn batch_get(
        &self,
        relayed: &Relayed,
        body_lease: Lease,
    ) -> Result<Answer, Problem> {
        let batch = json::batch(&relayed.body)?;
        let keys = batch.keys.into_iter().map(|text| decode(text, batch.encoding));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let patience = self.patience(relayed);
        let mut gathered = Gathered::new(&keys, body_lease);
        let mut open: Vec<usize> = (0..keys.len()).collect();
        loop {
            let (groups, mut waiting) = self.look_up(&mut gathered, relayed, &open).await?;
            let calls = groups.into_values().map(async |(peer, indices)| {
                let request = sub_request(relayed, &keys, &indices, batch.encoding);
                count(&self.node.counters.forwarded);
                (self.peers.call(&peer, &request).await, indices)
            });
            for (answer, indices) in join_all(calls).await {
                let is_merged = match answer {
                    Ok(answer) => self.merge(&mut gathered, relayed, answer, &indices).await?,
                    Err(_) => false,
                };
                if !is_merged {
                    waiting.extend(indices);
                }
            }
            let Some(first) = waiting.first() else { break };
            if self.node.clock.monotonic_ms() >= patience {
                return Err(Problem::Unavailable);
            }
            self.node.changed(key_slot(&keys[*first].bytes)).await;
            open = waiting;
        }
        Ok(gathered.into_answer(batch.encoding))
    }

    /// Looks up what this node owns. Gives the keys that other nodes own, and those that nobody serves now.
    async fn look_up(
        &self,
        gathered: &mut Gathered<'_>,
        relayed: &Relayed,
        open: &[usize],
    ) -> Result<(Groups, Vec<usize>), Problem> {
        let (mut groups, mut waiting) = (Groups::new(), Vec::new());
        for &index in open {
            let key = &gathered.keys[index];
            let slot = key_slot(&key.bytes);
            loop {
                let room = gathered.room();
                let turn = self
                    .turn(slot, relayed, &mut |guard, now| Ok(read(guard, &key.bytes, room, now)));
                match turn {
                    Turn::Done(Read::Absent) => gathered.entries[index] = Some(Entry::Missing),
                    Turn::Done(Read::Found(entry)) => {
                        let json = entry.to_json(&key.text, None);
                        if json.len() > room {
                            gathered.grow(relayed).await?;
                            continue;
                        }
                        gathered.put(index, &json);
                    }
                    Turn::Done(Read::TooLarge(_)) => {
                        gathered.grow(relayed).await?;
                        continue;
                    }
                    Turn::Wait | Turn::NoMemory => waiting.push(index),
                    Turn::Elsewhere(peer) => {
                        let group = groups.entry(peer.node_id.clone());
                        group.or_insert_with(|| (peer, Vec::new())).1.push(index);
                    }
                }
                break;
            }
        }
        Ok((groups, waiting))
    }

    /// Puts a peer's answer in; false if it has none and must be asked again.
    async fn merge(
        &self,
        gathered: &mut Gathered<'_>,
        relayed: &Relayed,
        answer: hyper::Response<hyper::body::Incoming>,
        indices: &[usize],
    ) -> Result<bool, Problem> {
        if answer.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Err(Problem::BatchTooLarge);
        }
        if answer.status() != StatusCode::OK {
            return Ok(false);
        }
        let bytes = answer.body().size_hint().exact().unwrap_or(MAX_ANSWER_BYTES as u64);
        // Read whole and then taken apart: for a moment it is there twice.
        if bytes.saturating_mul(2) > gathered.room() as u64 && !gathered.is_full_lease {
            gathered.grow(relayed).await?;
        }
        let Ok(Some(body)) = peers::read(answer.into_body(), MAX_ANSWER_BYTES).await else {
            return Ok(false);
        };
        gathered.put_all(indices, &body)
    }
}

impl<'a> Gathered<'a> {
    fn new(keys: &'a [Key], lease: Lease) -> Self {
        let entries = keys.iter().map(|_| None).collect();
        Self { keys, entries, bytes: 0, lease, is_full_lease: false }
    }

    /// Bytes of entries that may still be put in.
    fn room(&self) -> usize {
        let room = if self.is_full_lease { MAX_BATCH_BYTES } else { FIRST_ROOM };
        room.saturating_sub(self.bytes)
    }

    /// Makes room for the largest batch.
    async fn grow(&mut self, relayed: &Relayed) -> Result<(), Problem> {
        if self.is_full_lease {
            return Err(Problem::BatchTooLarge);
        }
        // Given back first: two requests that each hold a part and wait for more would wait for each other.
        self.lease.shrink_to(0);
        self.lease = relayed.lease(MAX_ANSWER_BYTES).await?;
        self.is_full_lease = true;
        Ok(())
    }

    fn put(&mut self, index: usize, json: &[u8]) {
        self.bytes += json.len();
        self.entries[index] = Some(Entry::Found(json.into()));
    }

    /// Puts in what a peer found; false if its answer cannot be understood.
    fn put_all(&mut self, indices: &[usize], body: &[u8]) -> Result<bool, Problem> {
        let Ok(PeerAnswer { entries }) = serde_json::from_slice(body) else { return Ok(false) };
        let mut found = entries.into_iter().peekable();
        for &index in indices {
            let text = &self.keys[index].text;
            let is_next = |json: &&RawValue| {
                serde_json::from_str(json.get()).is_ok_and(|PeerEntry { key }| key == *text)
            };
            match found.next_if(is_next) {
                Some(json) if json.get().len() > self.room() => return Err(Problem::BatchTooLarge),
                Some(json) => self.put(index, json.get().as_bytes()),
                None => self.entries[index] = Some(Entry::Missing),
            }
        }
        Ok(true)
    }

    fn into_answer(mut self, encoding: Option<KeyEncoding>) -> Answer {
        let mut body = Vec::with_capacity(self.bytes + 64);
        body.push(b'{');
        if encoding.is_some() {
            body.extend_from_slice(br#""keyEncoding":"percent","#);
        }
        body.extend_from_slice(br#""entries":["#);
        let mut missing = Vec::new();
        let mut is_first = true;
        for (key, entry) in self.keys.iter().zip(self.entries) {
            if let Some(Entry::Found(json)) = entry {
                if !is_first {
                    body.push(b',');
                }
                is_first = false;
                body.extend_from_slice(&json);
            } else {
                missing.push(key.text.as_str());
            }
        }
        body.extend_from_slice(br#"],"missing":"#);
        body.extend_from_slice(&serde_json::to_vec(&missing).unwrap_or_default());
        body.push(b'}');
        self.lease.shrink_to(body.capacity());
        answer::with_body(body, Some(self.lease))
    }
}

fn decode(text: String, encoding: Option<KeyEncoding>) -> Result<Key, Problem> {
    let bytes = match encoding {
        Some(KeyEncoding::Percent) => key::decode(&text)?,
        None => text.clone().into_bytes(),
    };
    key::check(&bytes)?;
    Ok(Key { text, bytes })
}

/// The same request for some of the keys.
fn sub_request(
    relayed: &Relayed,
    keys: &[Key],
    indices: &[usize],
    encoding: Option<KeyEncoding>,
) -> Relayed {
    let keys: Vec<&str> = indices.iter().map(|index| keys[*index].text.as_str()).collect();
    let mut body = serde_json::json!({ "keys": keys });
    if encoding.is_some() {
        body["keyEncoding"] = "percent".into();
    }
    Relayed { method: Method::POST, body: Bytes::from(body.to_string()), ..relayed.clone() }
}
