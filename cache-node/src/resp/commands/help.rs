//! `CLIENT HELP` and the like: which subcommands there are.

use crate::resp::dispatch::{Call, Outcome};

/// Replies with a line for each subcommand: its name, and as many arguments as it takes.
pub(super) fn help(call: &mut Call<'_>) -> Outcome {
    let container = call.spec;
    let mut reply = call.reply();
    reply.array(container.subcommands.len() + 1);
    let name = container.name.to_uppercase();
    reply.simple(&format!("{name} <subcommand> [<arg> ...]. Subcommands are:"));
    for subcommand in container.subcommands {
        let (_, name) = subcommand.name.split_once('|').unwrap_or_default();
        // The container and the subcommand count as arguments.
        let arguments = (subcommand.arity.unsigned_abs() as usize).saturating_sub(2);
        let more = if subcommand.arity < 0 { " [<arg> ...]" } else { "" };
        reply.simple(&format!("{}{}{more}", name.to_uppercase(), " <arg>".repeat(arguments)));
    }
    Outcome::Done
}
