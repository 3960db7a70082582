use super::{COMMANDS, CommandSpec, lookup, write_entry};
use crate::output::Output;
use crate::reply::{Proto, ReplyWriter};
use crate::value::{Value, decode};

fn entry(name: &str, proto: Proto) -> Value {
    let mut out = Output::new(usize::MAX);
    write_entry(lookup(name.as_bytes()).unwrap(), &mut ReplyWriter::new(&mut out, proto));
    let (value, length) = decode(&out).unwrap().unwrap();
    assert_eq!(length, out.len());
    value
}

fn every_spec() -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.iter().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
}

/// A reply on one line: texts bare, `[]` arrays, `~[]` sets, `{}` maps.
fn render(value: &Value) -> String {
    let list = |values: &[Value]| values.iter().map(render).collect::<Vec<_>>().join(" ");
    match value {
        Value::Simple(text) => text.clone(),
        Value::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Array(values) => format!("[{}]", list(values)),
        Value::Set(values) => format!("~[{}]", list(values)),
        Value::Map(pairs) => {
            let pairs =
                pairs.iter().map(|(key, value)| format!("{}={}", render(key), render(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn the_table_is_sorted_and_every_name_is_lower_case() {
    assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name), "lookup is a binary search");
    for spec in every_spec() {
        assert_eq!(spec.name, spec.name.to_ascii_lowercase());
    }
}

#[test]
fn every_command_is_found_in_any_case_and_has_its_own_identity() {
    for spec in COMMANDS {
        assert_eq!(lookup(spec.name.as_bytes()), Some(spec));
        assert_eq!(lookup(spec.name.to_ascii_uppercase().as_bytes()), Some(spec));
        assert_eq!(format!("{:?}", spec.id).to_ascii_lowercase(), spec.name);
    }
}

#[test]
fn every_subcommand_is_found_in_any_case_at_its_container() {
    for container in COMMANDS {
        for subcommand in container.subcommands {
            let (prefix, name) = subcommand.name.split_once('|').unwrap();
            assert_eq!(prefix, container.name);
            assert_eq!(subcommand.id, container.id);
            assert_eq!(container.subcommand(name.as_bytes()), Some(subcommand));
            assert_eq!(container.subcommand(name.to_uppercase().as_bytes()), Some(subcommand));
        }
    }
    assert_eq!(lookup(b"client").unwrap().subcommand(b"gets"), None);
    assert_eq!(lookup(b"get").unwrap().subcommand(b""), None);
}

#[test]
fn unknown_names_are_not_found_however_long() {
    for name in ["", "ge", "gett", "get ", "client|id", &"x".repeat(16), &"x".repeat(17)] {
        assert_eq!(lookup(name.as_bytes()), None, "{name:?}");
    }
    assert_eq!(lookup(&[0xff; 1000]), None);
}

#[test]
fn arity_counts_the_name_and_negative_means_at_least() {
    let get = lookup(b"get").unwrap();
    assert_eq!([1, 2, 3].map(|argc| get.accepts(argc)), [false, true, false]);
    let mget = lookup(b"mget").unwrap();
    assert_eq!([1, 2, 3].map(|argc| mget.accepts(argc)), [false, true, true]);
}

#[test]
fn keys_are_where_the_range_says() {
    let keys = |name: &str, argc| -> Vec<usize> {
        lookup(name.as_bytes()).unwrap().key_positions(argc).collect()
    };
    assert_eq!(keys("get", 2), [1]);
    assert_eq!(keys("set", 5), [1]);
    assert_eq!(keys("mget", 4), [1, 2, 3]);
    assert_eq!(keys("mset", 5), [1, 3]);
    assert_eq!(keys("ping", 2), [0; 0]);
    assert_eq!(keys("get", 1), [0; 0], "no argument, no key");
    assert_eq!(keys("mget", 1), [0; 0]);
    assert_eq!(keys("get", 0), [0; 0]);
}

#[test]
fn keyed_commands_say_what_they_do_to_their_keys() {
    for spec in every_spec() {
        assert_eq!(spec.keys.first > 0, !spec.key_flags.is_empty(), "{}", spec.name);
        let writes = spec.has_flag("write");
        assert!(!(writes && spec.has_flag("readonly")), "{}", spec.name);
        if let Some(access) = spec.key_flags.first() {
            assert_eq!(writes, *access != "RO", "{}", spec.name);
        }
    }
}

/// The expected lines are what Redis 7.0.15 answers to `COMMAND INFO` after `HELLO 3`, ACL categories
/// in the order of the table (Redis prints them in the order of its bits).
#[test]
fn entries_are_those_of_redis() {
    for (name, expected) in [
        (
            "get",
            "[get 2 ~[readonly fast] 1 1 1 ~[@read @fast @string] ~[] ~[{flags=~[RO access] \
             begin_search={type=index spec={index=1}} \
             find_keys={type=range spec={lastkey=0 keystep=1 limit=0}}}] []]",
        ),
        (
            "mset",
            "[mset -3 ~[write denyoom] 1 -1 2 ~[@write @slow @string] \
             ~[request_policy:multi_shard response_policy:all_succeeded] ~[{flags=~[OW update] \
             begin_search={type=index spec={index=1}} \
             find_keys={type=range spec={lastkey=-1 keystep=2 limit=0}}}] []]",
        ),
        (
            "config",
            "[config -2 ~[] 0 0 0 ~[@slow] ~[] ~[] [[config|get -3 ~[admin noscript loading stale] \
             0 0 0 ~[@admin @dangerous @slow] ~[] ~[] []] \
             [config|help 2 ~[loading stale] 0 0 0 ~[@slow] ~[] ~[] []]]]",
        ),
    ] {
        assert_eq!(render(&entry(name, Proto::Resp3)), expected);
    }
}

#[test]
fn entries_in_resp2_are_the_same_without_maps_and_sets() {
    assert_eq!(
        render(&entry("get", Proto::Resp2)),
        "[get 2 [readonly fast] 1 1 1 [@read @fast @string] [] [[flags [RO access] \
         begin_search [type index spec [index 1]] \
         find_keys [type range spec [lastkey 0 keystep 1 limit 0]]]] []]"
    );
}

#[test]
fn every_entry_has_ten_fields() {
    for spec in COMMANDS {
        let Value::Array(fields) = entry(spec.name, Proto::Resp3) else { panic!("{}", spec.name) };
        assert_eq!(fields.len(), 10, "{}", spec.name);
        let Value::Array(subcommands) = &fields[9] else { panic!("{}", spec.name) };
        for subcommand in subcommands {
            assert!(matches!(subcommand, Value::Array(fields) if fields.len() == 10));
        }
    }
}
