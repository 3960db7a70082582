//! Any reply, and how it is written.

use proptest::prelude::*;
use ringcache_wire::output::Output;
use ringcache_wire::reply::{Proto, ReplyWriter};
use ringcache_wire::value::Value;

/// Any reply that a node can write in RESP3, nested four deep. Map keys and set members are distinct
/// bulk strings, because the other implementation keeps them in hash tables.
pub(crate) fn any_reply() -> impl Strategy<Value = Value> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    let text = "[ -~]{0,12}";
    let scalar = prop_oneof![
        text.prop_map(Value::Simple),
        text.prop_map(|text| Value::Error(format!("ERR {text}"))),
        any::<i64>().prop_map(Value::Integer),
        bytes().prop_map(Value::Bulk),
        Just(Value::Null),
        any::<f64>()
            .prop_filter("nan equals nothing", |number| !number.is_nan())
            .prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        text.prop_map(|text| Value::Verbatim { format: "txt".to_owned(), text }),
    ];
    scalar.prop_recursive(4, 32, 4, move |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            list().prop_map(Value::Array),
            prop::collection::btree_set(bytes(), 0..4)
                .prop_map(|members| Value::Set(members.into_iter().map(Value::Bulk).collect())),
            prop::collection::btree_map(bytes(), inner.clone(), 0..4).prop_map(|pairs| {
                let pair = |(key, value)| (Value::Bulk(key), value);
                Value::Map(pairs.into_iter().map(pair).collect())
            }),
        ]
    })
}

/// `value` as bytes, through the same writer that a node uses.
pub(crate) fn written(value: &Value, proto: Proto) -> Vec<u8> {
    let mut out = Output::new(usize::MAX);
    write(value, &mut ReplyWriter::new(&mut out, proto));
    out.to_vec()
}

fn write(value: &Value, reply: &mut ReplyWriter<'_>) {
    match value {
        Value::Simple(text) => reply.simple(text),
        Value::Error(text) => reply.error(text),
        Value::Integer(number) => reply.integer(*number),
        Value::Bulk(bytes) => reply.bulk(bytes),
        Value::Null => reply.null(),
        Value::Double(number) => reply.double(*number),
        Value::Boolean(truth) => reply.boolean(*truth),
        Value::Verbatim { format, text } => reply.verbatim(format, text),
        Value::BigNumber(digits) => reply.raw(format!("({digits}\r\n").as_bytes()),
        Value::Array(values) => {
            reply.array(values.len());
            write_all(values, reply);
        }
        Value::Set(values) => {
            reply.set(values.len());
            write_all(values, reply);
        }
        Value::Push(values) => {
            reply.push(values.len());
            write_all(values, reply);
        }
        Value::Map(pairs) => {
            reply.map(pairs.len());
            for (key, value) in pairs {
                write(key, reply);
                write(value, reply);
            }
        }
    }
}

fn write_all(values: &[Value], reply: &mut ReplyWriter<'_>) {
    for value in values {
        write(value, reply);
    }
}

/// What is left of `value` for a client that speaks RESP2.
pub(crate) fn in_resp2(value: &Value) -> Value {
    let list = |values: &[Value]| Value::Array(values.iter().map(in_resp2).collect());
    match value {
        Value::Double(number) => {
            // Only the writer decides how digits look; that they read back is checked elsewhere.
            let text = written(&Value::Double(*number), Proto::Resp3);
            Value::Bulk(text[1..text.len() - 2].to_vec())
        }
        Value::Boolean(truth) => Value::Integer(i64::from(*truth)),
        Value::Verbatim { text, .. } => Value::Bulk(text.clone().into_bytes()),
        Value::Array(values) | Value::Set(values) | Value::Push(values) => list(values),
        Value::Map(pairs) => {
            Value::Array(pairs.iter().flat_map(|(k, v)| [in_resp2(k), in_resp2(v)]).collect())
        }
        other => other.clone(),
    }
}
