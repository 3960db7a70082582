//! The bytes of a reply mean the same to another implementation, `redis-protocol`.

use proptest::prelude::*;
use redis_protocol::resp2::{self, types::OwnedFrame as Frame2};
use redis_protocol::resp3::{self, types::OwnedFrame as Frame3};
use ringcache_wire::reply::Proto;
use ringcache_wire::value::{Value, decode};

use crate::model::{any_reply, written};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn from_resp2(frame: Frame2) -> Value {
    match frame {
        Frame2::SimpleString(bytes) => Value::Simple(text(&bytes)),
        Frame2::Error(message) => Value::Error(message),
        Frame2::Integer(number) => Value::Integer(number),
        Frame2::BulkString(bytes) => Value::Bulk(bytes),
        Frame2::Array(frames) => Value::Array(frames.into_iter().map(from_resp2).collect()),
        Frame2::Null => Value::Null,
    }
}

fn from_resp3(frame: Frame3) -> Value {
    match frame {
        Frame3::SimpleString { data, .. } => Value::Simple(text(&data)),
        Frame3::SimpleError { data, .. } => Value::Error(data),
        Frame3::BlobError { data, .. } => Value::Error(text(&data)),
        Frame3::Number { data, .. } => Value::Integer(data),
        Frame3::BlobString { data, .. } => Value::Bulk(data),
        Frame3::Null => Value::Null,
        Frame3::Double { data, .. } => Value::Double(data),
        Frame3::Boolean { data, .. } => Value::Boolean(data),
        Frame3::BigNumber { data, .. } => Value::BigNumber(text(&data)),
        Frame3::VerbatimString { data, .. } => {
            Value::Verbatim { format: "txt".to_owned(), text: text(&data) }
        }
        Frame3::Array { data, .. } => Value::Array(data.into_iter().map(from_resp3).collect()),
        Frame3::Push { data, .. } => Value::Push(data.into_iter().map(from_resp3).collect()),
        Frame3::Set { data, .. } => {
            let mut members: Vec<Value> = data.into_iter().map(from_resp3).collect();
            members.sort_by(|a, b| bulk(a).cmp(&bulk(b)));
            Value::Set(members)
        }
        Frame3::Map { data, .. } => {
            let pairs = data.into_iter().map(|(key, value)| (from_resp3(key), from_resp3(value)));
            let mut pairs: Vec<(Value, Value)> = pairs.collect();
            pairs.sort_by(|(a, _), (b, _)| bulk(a).cmp(&bulk(b)));
            Value::Map(pairs)
        }
        // Equals nothing that is expected.
        other => Value::Error(format!("{other:?}")),
    }
}

/// Map keys and set members of the model are bulk strings in ascending order.
fn bulk(value: &Value) -> Option<&[u8]> {
    if let Value::Bulk(bytes) = value { Some(bytes) } else { None }
}

#[test]
fn types_that_a_node_never_writes_read_the_same_too() {
    for bytes in
        ["(-12345678901234567890123\r\n", "!8\r\nERR a\r\nb\r\n", ">2\r\n+a\r\n:1\r\n", ",-inf\r\n"]
    {
        let theirs = resp3::decode::complete::decode(bytes.as_bytes()).unwrap().unwrap();
        let ours = decode(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!(ours, (from_resp3(theirs.0), theirs.1), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn a_resp3_reply_reads_the_same_with_another_implementation(value in any_reply()) {
        let bytes = written(&value, Proto::Resp3);
        let (frame, length) = resp3::decode::complete::decode(&bytes).unwrap().unwrap();
        prop_assert_eq!(length, bytes.len());
        prop_assert_eq!(decode(&bytes), Ok(Some((from_resp3(frame), length))));
    }

    #[test]
    fn a_resp2_reply_reads_the_same_with_another_implementation(value in any_reply()) {
        let bytes = written(&value, Proto::Resp2);
        let (frame, length) = resp2::decode::decode(&bytes).unwrap().unwrap();
        prop_assert_eq!(length, bytes.len());
        prop_assert_eq!(decode(&bytes), Ok(Some((from_resp2(frame), length))));
    }
}
