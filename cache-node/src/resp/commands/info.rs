//! `INFO`: the fields that clients decide by and that exporters collect.

use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use super::server::owned_keys;
use crate::resp::dispatch::{Call, Outcome};
use crate::resp::error::CommandError;

/// The Redis version that we answer as. Clients refuse client-side caching below 7.4, and from 8 on they ask for the
/// cluster in another way.
pub(super) const REDIS_VERSION: &str = "7.4.0";

/// Appends the fields of a section.
type WriteFields = fn(&mut Section<'_, '_>);

/// The sections, in the order they are printed.
const SECTIONS: &[(&str, WriteFields)] = &[
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("Cluster", cluster),
    ("Keyspace", keyspace),
];

pub(super) fn info(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let args = call.args;
    let is_wanted = |name: &str| {
        args.len() == 1
            || args.iter().skip(1).any(|arg| {
                [name, "all", "default", "everything"]
                    .iter()
                    .any(|word| arg.eq_ignore_ascii_case(word.as_bytes()))
            })
    };
    let mut text = String::new();
    for (name, write) in SECTIONS.iter().filter(|(name, _)| is_wanted(name)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        let _ = write!(text, "# {name}\r\n");
        write(&mut Section { call, text: &mut text });
    }
    call.reply().verbatim("txt", &text);
    Ok(Outcome::Done)
}

struct Section<'a, 'b> {
    call: &'a Call<'b>,
    text: &'a mut String,
}

impl Section<'_, '_> {
    fn field(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.text, "{name}:{value}\r\n");
    }

    fn counter(&mut self, name: &str, counter: &AtomicU64) {
        self.field(name, counter.load(Ordering::Relaxed));
    }
}

fn server(section: &mut Section<'_, '_>) {
    let node = section.call.node();
    let uptime = node.clock.monotonic_ms() / 1000;
    section.field("redis_version", REDIS_VERSION);
    section.field("ringcache_version", env!("CARGO_PKG_VERSION"));
    section.field("redis_mode", "cluster");
    section.field("process_id", std::process::id());
    section.field("run_id", &node.node_id);
    section.field("tcp_port", node.args.resp_port);
    section.field("uptime_in_seconds", uptime);
    section.field("uptime_in_days", uptime / 86_400);
    section.field("availability_zone", "");
}

fn clients(section: &mut Section<'_, '_>) {
    let node = section.call.node();
    section.counter("connected_clients", &node.counters.connections);
    section.field("maxclients", node.args.max_clients);
}

fn memory(section: &mut Section<'_, '_>) {
    let stats = section.call.node().store.stats();
    section.field("used_memory", stats.used_bytes);
    section.field("maxmemory", stats.budget_bytes);
    section.field("maxmemory_policy", "allkeys-lru");
}

/// A node has nothing to load; ioredis and others ask before they use a connection.
fn persistence(section: &mut Section<'_, '_>) {
    section.field("loading", 0);
}

fn stats(section: &mut Section<'_, '_>) {
    let node = section.call.node();
    let stats = node.store.stats();
    section.counter("total_connections_received", &node.counters.connections_total);
    section.counter("total_commands_processed", &node.counters.commands);
    section.counter("rejected_connections", &node.counters.connections_rejected);
    section.field("expired_keys", stats.expired);
    section.field("evicted_keys", stats.evicted);
    section.field("keyspace_hits", stats.hits);
    section.field("keyspace_misses", stats.misses);
}

fn replication(section: &mut Section<'_, '_>) {
    section.field("role", "master");
    section.field("connected_slaves", 0);
    section.field("master_repl_offset", 0);
}

fn cluster(section: &mut Section<'_, '_>) {
    section.field("cluster_enabled", 1);
}

fn keyspace(section: &mut Section<'_, '_>) {
    let keys = owned_keys(section.call.node());
    if keys > 0 {
        // How many of them expire is not counted; exporters read the line only if it has the field.
        section.field("db0", format_args!("keys={keys},expires=0,avg_ttl=0"));
    }
}
