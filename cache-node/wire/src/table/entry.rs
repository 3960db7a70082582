//! Writes a command's entry in the reply to `COMMAND` and `COMMAND INFO`.

use super::CommandSpec;
use crate::reply::ReplyWriter;

/// Writes the ten fields of `spec`: name, arity, flags, first key, last key, step, ACL categories,
/// tips, key specifications, subcommands.
///
/// Clients route by them: redis-py refuses a table without key positions and fails on entries that
/// stop after the sixth field.
pub fn write_entry(spec: &CommandSpec, reply: &mut ReplyWriter<'_>) {
    write_fields(spec, reply);
    reply.array(spec.subcommands.len());
    for subcommand in spec.subcommands {
        write_fields(subcommand, reply);
        reply.array(0);
    }
}

/// All fields but the last, which for a subcommand is always empty.
fn write_fields(spec: &CommandSpec, reply: &mut ReplyWriter<'_>) {
    reply.array(10);
    reply.bulk(spec.name.as_bytes());
    reply.integer(spec.arity.into());
    write_words(spec.flags, reply);
    reply.integer(spec.keys.first.into());
    reply.integer(spec.keys.last.into());
    reply.integer(spec.keys.step.into());
    let categories = spec.acl_categories();
    reply.set(categories.clone().count());
    for category in categories {
        reply.simple(category);
    }
    reply.set(spec.tips.len());
    for tip in spec.tips {
        reply.bulk(tip.as_bytes());
    }
    write_key_specification(spec, reply);
}

fn write_words(words: &[&str], reply: &mut ReplyWriter<'_>) {
    reply.set(words.len());
    for word in words {
        reply.simple(word);
    }
}

/// The key range once more, in the form that Redis 7 added: where to begin, then how to go on. Here
/// the last key is counted from the first one.
fn write_key_specification(spec: &CommandSpec, reply: &mut ReplyWriter<'_>) {
    let keys = spec.keys;
    if keys.first == 0 {
        reply.set(0);
        return;
    }
    reply.set(1);
    reply.map(3);
    reply.bulk(b"flags");
    write_words(spec.key_flags, reply);
    let last = if keys.last < 0 { keys.last } else { keys.last - keys.first };
    write_search(reply, "begin_search", "index", &[("index", keys.first)]);
    let range = [("lastkey", last), ("keystep", keys.step), ("limit", 0)];
    write_search(reply, "find_keys", "range", &range);
}

fn write_search(reply: &mut ReplyWriter<'_>, search: &str, kind: &str, parameters: &[(&str, i32)]) {
    reply.bulk(search.as_bytes());
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(parameters.len());
    for &(name, value) in parameters {
        reply.bulk(name.as_bytes());
        reply.integer(value.into());
    }
}
