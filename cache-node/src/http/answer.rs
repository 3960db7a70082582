//! Answers for entries: their JSON and their cache headers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use ringcache_store::Millis;
use serde::Serialize;
use serde_json::value::RawValue;

use super::expiry::seconds_left;
use super::hash::fnv1a;
use super::{Answer, base64, key};
use crate::account::Lease;

/// An entry as it was found.
pub(super) struct Found {
    pub(super) value: Vec<u8>,
    pub(super) deadline: Option<Millis>,
    /// When it was found.
    pub(super) now: Millis,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryJson<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encoding: Option<&'static str>,
    value: ValueJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_encoding: Option<&'static str>,
    ttl_seconds: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ValueJson<'a> {
    Json(&'a RawValue),
    Text(&'a str),
    Bytes(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PutJson<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encoding: Option<&'static str>,
    ttl_seconds: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeletedJson<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encoding: Option<&'static str>,
    deleted: bool,
}

/// Holds the memory of an answer until its last byte is with the kernel.
struct Leased {
    body: Vec<u8>,
    _lease: Option<Lease>,
}

impl AsRef<[u8]> for Leased {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Found {
    /// The entry as JSON, its key spelled as `key`. A value that is no JSON is shown as a string: as it is if it is text,
    /// in Base64 if not.
    pub(super) fn to_json(&self, key: &str, key_encoding: Option<&'static str>) -> Vec<u8> {
        let (value, value_encoding) = match serde_json::from_slice::<&RawValue>(&self.value) {
            Ok(json) => (ValueJson::Json(json), None),
            Err(_) => match std::str::from_utf8(&self.value) {
                Ok(text) => (ValueJson::Text(text), None),
                Err(_) => (ValueJson::Bytes(base64::encode(&self.value)), Some("base64")),
            },
        };
        let ttl_seconds = seconds_left(self.deadline, self.now);
        json(&EntryJson { key, key_encoding, value, value_encoding, ttl_seconds })
    }

    /// `Cache-Control`: whole seconds only, so that no cache in front of this one shows the entry past its deadline.
    pub(super) fn cache_control(&self) -> String {
        match self.deadline {
            Some(deadline) => format!("max-age={}", deadline.saturating_sub(self.now) / 1000),
            None => "no-cache".to_owned(),
        }
    }

    /// `ETag`: names the value, not its time to live.
    pub(super) fn etag(&self) -> String {
        format!("\"{:032x}\"", fnv1a(&self.value))
    }
}

/// Whether `If-None-Match` names the tag (RFC 9110 §13.1.2: compared weakly).
pub(super) fn names_tag(if_none_match: &str, etag: &str) -> bool {
    let mut tags = if_none_match.split(',').map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// The answer to a read that found the entry; without a body if the client has the value already.
pub(super) fn found(entry: &Found, body: Option<Vec<u8>>, lease: Lease) -> Answer {
    let mut answer = match body {
        Some(body) => with_body(body, Some(lease)),
        None => not_modified(),
    };
    let headers = answer.headers_mut();
    let mut set = |name: HeaderName, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    set(ETAG, entry.etag());
    set(CACHE_CONTROL, entry.cache_control());
    set(AGE, "0".to_owned());
    answer
}

/// The answer to `PUT`.
pub(super) fn put(key: &[u8], ttl_seconds: Option<u64>) -> Answer {
    let (key, key_encoding) = key::shown(key);
    with_body(json(&PutJson { key: &key, key_encoding, ttl_seconds }), None)
}

/// The answer to `DELETE`.
pub(super) fn deleted(key: &[u8], deleted: bool) -> Answer {
    let (key, key_encoding) = key::shown(key);
    with_body(json(&DeletedJson { key: &key, key_encoding, deleted }), None)
}

fn not_modified() -> Answer {
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    answer
}

/// 200 with a body and no headers yet.
pub(super) fn bare(body: Vec<u8>, lease: Option<Lease>) -> Answer {
    Response::new(Full::new(Bytes::from_owner(Leased { body, _lease: lease })))
}

/// 200 with JSON.
pub(super) fn with_body(body: Vec<u8>, lease: Option<Lease>) -> Answer {
    let mut answer = bare(body, lease);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Nothing here can fail to serialize: strings, numbers, and text that was parsed as JSON before.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::names_tag;

    #[test]
    fn if_none_match_is_a_list_compared_weakly() {
        for matching in ["\"a\"", "*", "\"x\", \"a\"", "W/\"a\"", "\"x\",W/\"a\" "] {
            assert!(names_tag(matching, "\"a\""), "{matching}");
        }
        for other in ["", "a", "\"b\"", "\"a", "W/a"] {
            assert!(!names_tag(other, "\"a\""), "{other}");
        }
    }
}
