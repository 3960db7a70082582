//! `CONFIG GET`: what clients and exporters ask a Redis for, answered with what holds here.

use super::{glob, subcommand};
use crate::node::Node;
use crate::resp::dispatch::{Call, Outcome};
use crate::resp::error::CommandError;

pub(super) fn config(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    subcommand(call)?;
    let args = call.args;
    let mut parameters = parameters(call.node());
    parameters.retain(|(name, _)| {
        args.iter()
            .skip(2)
            .any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
    });
    let mut reply = call.reply();
    reply.map(parameters.len());
    for (name, value) in &parameters {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    Ok(Outcome::Done)
}

fn parameters(node: &Node) -> Vec<(&'static str, String)> {
    vec![
        ("appendonly", "no".into()),
        ("bind", node.args.bind.to_string()),
        ("cluster-enabled", "yes".into()),
        ("cluster-require-full-coverage", "yes".into()),
        ("databases", "1".into()),
        ("maxclients", node.args.max_clients.to_string()),
        ("maxmemory", node.store.stats().budget_bytes.to_string()),
        ("maxmemory-policy", "allkeys-lru".into()),
        ("port", node.args.resp_port.to_string()),
        ("save", String::new()),
        ("timeout", "0".into()),
    ]
}
