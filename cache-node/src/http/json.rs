//! The bodies of requests. Values are kept as text: their digits, escapes and depth are their writer's business.

use std::fmt;

use ringcache_store::MAX_VALUE_BYTES;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::batch::MAX_KEYS;
use super::problem::Problem;

/// The longest time to live that can be given: a year.
pub(super) const MAX_TTL_SECONDS: u32 = 365 * 24 * 60 * 60;

/// What `PUT` writes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Compact JSON.
    pub(super) value: Vec<u8>,
    pub(super) ttl_seconds: Option<u32>,
}

/// What `batch-get` asks for.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) keys: Vec<String>,
    pub(super) encoding: Option<KeyEncoding>,
}

/// How the keys of a batch are spelled other than as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeyEncoding {
    Percent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PutBody<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    ttl_seconds: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BatchBody {
    keys: Keys,
    #[serde(default)]
    key_encoding: Option<KeyEncoding>,
}

/// The keys of a batch; more than [`MAX_KEYS`] are counted but not kept.
struct Keys {
    kept: Vec<String>,
    count: usize,
}

/// Parses the body of `PUT /cache/{key}`.
pub(super) fn written(body: &[u8]) -> Result<Written, Problem> {
    let PutBody { value, ttl_seconds } = object(body)?;
    let ttl_seconds = ttl_seconds.map(|ttl| {
        let ttl = ttl.get().parse().ok().filter(|ttl| (1..=MAX_TTL_SECONDS).contains(ttl));
        ttl.ok_or_else(|| {
            let rule = format!("`ttlSeconds` must be a whole number from 1 to {MAX_TTL_SECONDS}");
            Problem::InvalidBody(format!("{rule}; leave it out for the default"))
        })
    });
    let ttl_seconds = ttl_seconds.transpose()?;
    let value = compact(value.get());
    if value.len() > MAX_VALUE_BYTES {
        return Err(Problem::ValueTooLarge(value.len()));
    }
    Ok(Written { value, ttl_seconds })
}

/// Parses the body of `POST /cache/batch-get`.
pub(super) fn batch(body: &[u8]) -> Result<Batch, Problem> {
    let BatchBody { keys, key_encoding } = object(body)?;
    if keys.count > MAX_KEYS {
        return Err(Problem::TooManyKeys(keys.count));
    }
    Ok(Batch { keys: keys.kept, encoding: key_encoding })
}

/// Parses a JSON object; tells what is no JSON at all from what has the wrong content. Never recurses: `RawValue` is
/// skipped over, not descended into.
fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let text: &RawValue =
        serde_json::from_slice(body).map_err(|error| Problem::InvalidJson(error.to_string()))?;
    if !text.get().starts_with('{') {
        return Err(Problem::InvalidBody("the body must be a JSON object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| Problem::InvalidBody(error.to_string()))
}

/// Drops the white space between tokens; everything else stays as it was written.
fn compact(json: &str) -> Vec<u8> {
    let mut compact = Vec::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        compact.push(byte);
    }
    compact
}

/// `null` for a field that may be left out is a mistake of its own, not the same as leaving it out.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Keys, A::Error> {
                let mut keys = Keys { kept: Vec::new(), count: 0 };
                while let Some(key) = seq.next_element::<String>()? {
                    keys.count += 1;
                    if keys.count <= MAX_KEYS {
                        keys.kept.push(key);
                    }
                }
                Ok(keys)
            }
        }
        from.deserialize_seq(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value_of(body: &str) -> String {
        String::from_utf8(written(body.as_bytes()).unwrap().value).unwrap()
    }

    #[test]
    fn white_space_goes_and_everything_else_stays() {
        let body =
            "\n{ \"value\" : { \"a b\" : [ 1.50e+007 , -0 ,\t\"x \\\" y\\\\\" , null ] } }\r\n";
        assert_eq!(value_of(body), r#"{"a b":[1.50e+007,-0,"x \" y\\",null]}"#);
    }

    #[test]
    fn a_value_100_000_levels_deep_is_kept() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(value_of(&format!(r#"{{"value":{deep}}}"#)), deep);
    }

    proptest! {
        /// The slow twin: parsing into a tree and writing it compactly. Replay a failure with the seed that proptest prints.
        #[test]
        fn compacting_equals_parsing_and_writing(text in ".{0,40}", number in any::<i64>()) {
            let tree = serde_json::json!({"value": {"t": [text, number, {}, []], "n": null}});
            let pretty = serde_json::to_string_pretty(&tree).unwrap();
            prop_assert_eq!(value_of(&pretty), tree["value"].to_string());
        }
    }
}
