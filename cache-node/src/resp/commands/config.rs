//! `CONFIG GET`: what clients and exporters ask a Redis for, answered with what holds here.

use ringcache_wire::request::Args;

use super::help::help;
use super::{glob, subcommand};
use crate::node::Node;
use crate::resp::dispatch::{Call, Outcome};
use crate::resp::error::CommandError;

/// Patterns of one `CONFIG GET`, and their bytes together: each is matched against every parameter.
const MAX_PATTERNS: usize = 1024;
const MAX_BYTES: usize = 32 << 10;

pub(super) fn config(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    if subcommand(call)?.name == "config|help" {
        return Ok(help(call));
    }
    let patterns = patterns(call.args)?;
    let mut parameters = parameters(call.node());
    parameters
        .retain(|(name, _)| patterns.iter().any(|pattern| glob::matches(pattern, name.as_bytes())));
    let mut reply = call.reply();
    reply.map(parameters.len());
    for (name, value) in &parameters {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    Ok(Outcome::Done)
}

/// The patterns in the lower case of the parameters' names.
fn patterns(args: Args<'_>) -> Result<Vec<Vec<u8>>, CommandError> {
    let patterns = || args.iter().skip(2);
    if patterns().len() > MAX_PATTERNS {
        let text = format!("ERR more than {MAX_PATTERNS} patterns at a time");
        return Err(CommandError::Quoting(text));
    }
    if patterns().map(<[u8]>::len).sum::<usize>() > MAX_BYTES {
        let text = format!("ERR patterns are longer than {MAX_BYTES} bytes together");
        return Err(CommandError::Quoting(text));
    }
    patterns().map(|pattern| glob::checked(pattern).map(<[u8]>::to_ascii_lowercase)).collect()
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
