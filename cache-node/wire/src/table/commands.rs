//! The table itself, sorted by name.

use super::{Command, CommandSpec, KeyRange, subcommands};

const NO_KEYS: KeyRange = KeyRange { first: 0, last: 0, step: 0 };
const ONE_KEY: KeyRange = KeyRange { first: 1, last: 1, step: 1 };
const ALL_KEYS: KeyRange = KeyRange { first: 1, last: -1, step: 1 };
const EVERY_SECOND: KeyRange = KeyRange { first: 1, last: -1, step: 2 };

const READ: &[&str] = &["readonly"];
const READ_FAST: &[&str] = &["readonly", "fast"];
const WRITE: &[&str] = &["write"];
const WRITE_FAST: &[&str] = &["write", "fast"];
const STORE: &[&str] = &["write", "denyoom"];
const STORE_FAST: &[&str] = &["write", "denyoom", "fast"];
const FAST: &[&str] = &["fast"];
const ANYTIME: &[&str] = &["loading", "stale"];
const ANYTIME_FAST: &[&str] = &["loading", "stale", "fast"];
const BEFORE_AUTH: &[&str] = &["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"];
const IN_TRANSACTION: &[&str] = &["noscript", "loading", "stale", "fast", "allow_busy"];
const EXECUTE: &[&str] = &["noscript", "loading", "stale", "skip_slowlog"];

const STRING: &[&str] = &["@string"];
const KEYSPACE: &[&str] = &["@keyspace"];
const FLUSH: &[&str] = &["@keyspace", "@dangerous"];
pub(super) const CONNECTION: &[&str] = &["@connection"];
const TRANSACTION: &[&str] = &["@transaction"];
const DANGEROUS: &[&str] = &["@dangerous"];

const RO: &[&str] = &["RO"];
const RO_ACCESS: &[&str] = &["RO", "access"];
const RW_UPDATE: &[&str] = &["RW", "update"];
const RW_ACCESS_UPDATE: &[&str] = &["RW", "access", "update"];
const RW_ACCESS_DELETE: &[&str] = &["RW", "access", "delete"];
const RW_OPTIONS: &[&str] = &["RW", "access", "update", "variable_flags"];
const OW_INSERT: &[&str] = &["OW", "insert"];
const OW_UPDATE: &[&str] = &["OW", "update"];
const RM_DELETE: &[&str] = &["RM", "delete"];

const EACH_SHARD: &[&str] = &["request_policy:multi_shard"];
const EACH_SHARD_SUM: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];
const EACH_SHARD_OK: &[&str] = &["request_policy:multi_shard", "response_policy:all_succeeded"];
const ALL_SHARDS_SUM: &[&str] = &["request_policy:all_shards", "response_policy:agg_sum"];
const ALL_SHARDS_OK: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const UNSETTLED: &[&str] = &["nondeterministic_output"];
const UNORDERED: &[&str] = &["nondeterministic_output_order"];
const SCAN: &[&str] = &["nondeterministic_output", "request_policy:special"];
const INFO: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

/// Every command a node serves.
pub const COMMANDS: &[CommandSpec] = &[
    command(Command::Asking, "asking", 1, FAST, CONNECTION),
    command(Command::Auth, "auth", -2, BEFORE_AUTH, CONNECTION),
    command(Command::Client, "client", -2, &[], &[]).subcommands(subcommands::CLIENT),
    command(Command::Cluster, "cluster", -2, &[], &[]).subcommands(subcommands::CLUSTER),
    command(Command::Command, "command", -1, ANYTIME, CONNECTION)
        .tips(UNORDERED)
        .subcommands(subcommands::COMMAND),
    command(Command::Config, "config", -2, &[], &[]).subcommands(subcommands::CONFIG),
    command(Command::Dbsize, "dbsize", 1, READ_FAST, KEYSPACE).tips(ALL_SHARDS_SUM),
    command(Command::Decr, "decr", 2, STORE_FAST, STRING).keys(ONE_KEY, RW_ACCESS_UPDATE),
    command(Command::Decrby, "decrby", 3, STORE_FAST, STRING).keys(ONE_KEY, RW_ACCESS_UPDATE),
    command(Command::Del, "del", -2, WRITE, KEYSPACE)
        .keys(ALL_KEYS, RM_DELETE)
        .tips(EACH_SHARD_SUM),
    command(Command::Discard, "discard", 1, IN_TRANSACTION, TRANSACTION),
    command(Command::Echo, "echo", 2, ANYTIME_FAST, CONNECTION),
    command(Command::Exec, "exec", 1, EXECUTE, TRANSACTION),
    command(Command::Exists, "exists", -2, READ_FAST, KEYSPACE)
        .keys(ALL_KEYS, RO)
        .tips(EACH_SHARD_SUM),
    command(Command::Expire, "expire", -3, WRITE_FAST, KEYSPACE).keys(ONE_KEY, RW_UPDATE),
    command(Command::Expireat, "expireat", -3, WRITE_FAST, KEYSPACE).keys(ONE_KEY, RW_UPDATE),
    command(Command::Expiretime, "expiretime", 2, READ_FAST, KEYSPACE).keys(ONE_KEY, RO_ACCESS),
    command(Command::Flushall, "flushall", -1, WRITE, FLUSH).tips(ALL_SHARDS_OK),
    command(Command::Flushdb, "flushdb", -1, WRITE, FLUSH).tips(ALL_SHARDS_OK),
    command(Command::Get, "get", 2, READ_FAST, STRING).keys(ONE_KEY, RO_ACCESS),
    command(Command::Getdel, "getdel", 2, WRITE_FAST, STRING).keys(ONE_KEY, RW_ACCESS_DELETE),
    command(Command::Getex, "getex", -2, WRITE_FAST, STRING).keys(ONE_KEY, RW_ACCESS_UPDATE),
    command(Command::Getset, "getset", 3, STORE_FAST, STRING).keys(ONE_KEY, RW_ACCESS_UPDATE),
    command(Command::Hello, "hello", -1, BEFORE_AUTH, CONNECTION),
    command(Command::Incr, "incr", 2, STORE_FAST, STRING).keys(ONE_KEY, RW_ACCESS_UPDATE),
    command(Command::Incrby, "incrby", 3, STORE_FAST, STRING).keys(ONE_KEY, RW_ACCESS_UPDATE),
    command(Command::Incrbyfloat, "incrbyfloat", 3, STORE_FAST, STRING)
        .keys(ONE_KEY, RW_ACCESS_UPDATE),
    command(Command::Info, "info", -1, ANYTIME, DANGEROUS).tips(INFO),
    command(Command::Mget, "mget", -2, READ_FAST, STRING)
        .keys(ALL_KEYS, RO_ACCESS)
        .tips(EACH_SHARD),
    command(Command::Mset, "mset", -3, STORE, STRING)
        .keys(EVERY_SECOND, OW_UPDATE)
        .tips(EACH_SHARD_OK),
    command(Command::Multi, "multi", 1, IN_TRANSACTION, TRANSACTION),
    command(Command::Persist, "persist", 2, WRITE_FAST, KEYSPACE).keys(ONE_KEY, RW_UPDATE),
    command(Command::Pexpire, "pexpire", -3, WRITE_FAST, KEYSPACE).keys(ONE_KEY, RW_UPDATE),
    command(Command::Pexpireat, "pexpireat", -3, WRITE_FAST, KEYSPACE).keys(ONE_KEY, RW_UPDATE),
    command(Command::Pexpiretime, "pexpiretime", 2, READ_FAST, KEYSPACE).keys(ONE_KEY, RO_ACCESS),
    command(Command::Ping, "ping", -1, FAST, CONNECTION).tips(ALL_SHARDS_OK),
    command(Command::Psetex, "psetex", 4, STORE, STRING).keys(ONE_KEY, OW_UPDATE),
    command(Command::Pttl, "pttl", 2, READ_FAST, KEYSPACE).keys(ONE_KEY, RO_ACCESS).tips(UNSETTLED),
    command(Command::Quit, "quit", -1, BEFORE_AUTH, CONNECTION),
    command(Command::Readonly, "readonly", 1, ANYTIME_FAST, CONNECTION),
    command(Command::Readwrite, "readwrite", 1, ANYTIME_FAST, CONNECTION),
    command(Command::Reset, "reset", 1, BEFORE_AUTH, CONNECTION),
    command(Command::Scan, "scan", -2, READ, KEYSPACE).tips(SCAN),
    command(Command::Select, "select", 2, ANYTIME_FAST, CONNECTION),
    command(Command::Set, "set", -3, STORE, STRING).keys(ONE_KEY, RW_OPTIONS),
    command(Command::Setex, "setex", 4, STORE, STRING).keys(ONE_KEY, OW_UPDATE),
    command(Command::Setnx, "setnx", 3, STORE_FAST, STRING).keys(ONE_KEY, OW_INSERT),
    command(Command::Strlen, "strlen", 2, READ_FAST, STRING).keys(ONE_KEY, RO),
    command(Command::Time, "time", 1, ANYTIME_FAST, &[]).tips(UNSETTLED),
    command(Command::Touch, "touch", -2, READ_FAST, KEYSPACE)
        .keys(ALL_KEYS, RO)
        .tips(EACH_SHARD_SUM),
    command(Command::Ttl, "ttl", 2, READ_FAST, KEYSPACE).keys(ONE_KEY, RO_ACCESS).tips(UNSETTLED),
    command(Command::Type, "type", 2, READ_FAST, KEYSPACE).keys(ONE_KEY, RO),
    command(Command::Unlink, "unlink", -2, WRITE_FAST, KEYSPACE)
        .keys(ALL_KEYS, RM_DELETE)
        .tips(EACH_SHARD_SUM),
    command(Command::Unwatch, "unwatch", 1, IN_TRANSACTION, TRANSACTION),
    command(Command::Watch, "watch", -2, IN_TRANSACTION, TRANSACTION).keys(ALL_KEYS, RO),
];

/// A command without keys, tips and subcommands.
pub(super) const fn command(
    id: Command,
    name: &'static str,
    arity: i32,
    flags: &'static [&'static str],
    group: &'static [&'static str],
) -> CommandSpec {
    CommandSpec {
        id,
        name,
        arity,
        flags,
        keys: NO_KEYS,
        key_flags: &[],
        group,
        tips: &[],
        subcommands: &[],
    }
}

impl CommandSpec {
    const fn keys(self, keys: KeyRange, key_flags: &'static [&'static str]) -> Self {
        Self { keys, key_flags, ..self }
    }

    pub(super) const fn tips(self, tips: &'static [&'static str]) -> Self {
        Self { tips, ..self }
    }

    const fn subcommands(self, subcommands: &'static [CommandSpec]) -> Self {
        Self { subcommands, ..self }
    }
}
