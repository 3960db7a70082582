//! The subcommands of `client`, `cluster`, `command` and `config`.

use super::commands::{CONNECTION, command};
use super::{Command, CommandSpec};

const ANYTIME: &[&str] = &["noscript", "loading", "stale"];
const ADMIN: &[&str] = &["admin", "noscript", "loading", "stale"];
const HELP: &[&str] = &["loading", "stale"];
const UNSETTLED: &[&str] = &["nondeterministic_output"];
const UNORDERED: &[&str] = &["nondeterministic_output_order"];

pub(super) const CLIENT: &[CommandSpec] = &[
    client("client|caching", 3, ANYTIME),
    client("client|capa", -3, ANYTIME),
    client("client|getname", 2, ANYTIME),
    client("client|getredir", 2, ANYTIME),
    client("client|help", 2, HELP),
    client("client|id", 2, ANYTIME),
    client("client|info", 2, ANYTIME).tips(UNSETTLED),
    client("client|kill", -3, ADMIN),
    client("client|list", -2, ADMIN).tips(UNSETTLED),
    client("client|maint_notifications", -3, ANYTIME),
    client("client|no-evict", 3, ADMIN),
    client("client|no-touch", 3, ANYTIME),
    client("client|reply", 3, ANYTIME),
    client("client|setinfo", 4, ANYTIME),
    client("client|setname", 3, ANYTIME),
    client("client|tracking", -3, ANYTIME),
    client("client|trackinginfo", 2, ANYTIME),
];

pub(super) const CLUSTER: &[CommandSpec] = &[
    cluster("cluster|countkeysinslot", 3),
    cluster("cluster|getkeysinslot", 4).tips(UNSETTLED),
    command(Command::Cluster, "cluster|help", 2, HELP, &[]),
    cluster("cluster|info", 2).tips(UNSETTLED),
    cluster("cluster|keyslot", 3),
    cluster("cluster|myid", 2),
    cluster("cluster|nodes", 2).tips(UNSETTLED),
    cluster("cluster|shards", 2).tips(UNSETTLED),
    cluster("cluster|slots", 2).tips(UNSETTLED),
];

pub(super) const COMMAND: &[CommandSpec] = &[
    introspection("command|count", 2),
    introspection("command|docs", -2).tips(UNORDERED),
    introspection("command|getkeys", -3),
    introspection("command|help", 2),
    introspection("command|info", -2).tips(UNORDERED),
    introspection("command|list", -2).tips(UNORDERED),
];

pub(super) const CONFIG: &[CommandSpec] = &[
    command(Command::Config, "config|get", -3, ADMIN, &[]),
    command(Command::Config, "config|help", 2, HELP, &[]),
];

const fn client(name: &'static str, arity: i32, flags: &'static [&'static str]) -> CommandSpec {
    command(Command::Client, name, arity, flags, CONNECTION)
}

const fn cluster(name: &'static str, arity: i32) -> CommandSpec {
    command(Command::Cluster, name, arity, &["stale"], &[])
}

const fn introspection(name: &'static str, arity: i32) -> CommandSpec {
    command(Command::Command, name, arity, &["loading", "stale"], CONNECTION)
}
