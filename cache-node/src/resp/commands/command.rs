//! `COMMAND`: the table of commands, by which clients find the keys in requests.

use ringcache_wire::reply::ReplyWriter;
use ringcache_wire::request::Args;
use ringcache_wire::table::{COMMANDS, Command, CommandSpec, lookup, write_entry};

use super::help::help;
use super::{glob, subcommand};
use crate::resp::dispatch::{Call, Outcome};
use crate::resp::error::CommandError;

/// Names of one `COMMAND INFO` or `COMMAND DOCS`: more than Redis has commands, and few enough to answer at once.
const MAX_NAMES: usize = 1024;

pub(super) fn command(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let args = call.args;
    if args.len() == 1 {
        info(call, COMMANDS.iter().map(Some));
        return Ok(Outcome::Done);
    }
    match subcommand(call)?.name {
        "command|count" => call.reply_count(COMMANDS.len()),
        "command|docs" if args.len() == 2 => docs(&mut call.reply(), COMMANDS.iter()),
        "command|docs" | "command|info" if args.len() > 2 + MAX_NAMES => {
            return Err(CommandError::Quoting(format!(
                "ERR more than {MAX_NAMES} command names at a time"
            )));
        }
        "command|docs" => docs(&mut call.reply(), args.iter().skip(2).filter_map(lookup)),
        "command|getkeys" => get_keys(call)?,
        "command|help" => return Ok(help(call)),
        "command|info" if args.len() == 2 => info(call, COMMANDS.iter().map(Some)),
        "command|info" => info(call, args.iter().skip(2).map(lookup)),
        _ => list(call)?,
    }
    Ok(Outcome::Done)
}

fn info(call: &mut Call<'_>, specs: impl ExactSizeIterator<Item = Option<&'static CommandSpec>>) {
    let mut reply = call.reply();
    reply.array(specs.len());
    for spec in specs {
        match spec {
            Some(spec) => write_entry(spec, &mut reply),
            None => reply.null_array(),
        }
    }
}

fn docs<'a>(reply: &mut ReplyWriter<'_>, specs: impl Iterator<Item = &'a CommandSpec> + Clone) {
    reply.map(specs.clone().count());
    for spec in specs {
        reply.bulk(spec.name.as_bytes());
        reply.map(if spec.subcommands.is_empty() { 2 } else { 3 });
        reply.bulk(b"summary");
        reply.bulk(summary(spec).as_bytes());
        reply.bulk(b"group");
        reply.bulk(group(spec).as_bytes());
        if !spec.subcommands.is_empty() {
            reply.bulk(b"subcommands");
            docs(reply, spec.subcommands.iter());
        }
    }
}

/// Redis documents its commands; what is worth saying here is that this one means the same.
fn summary(spec: &CommandSpec) -> String {
    format!("As {} of Redis.", spec.name.replace('|', " ").to_uppercase())
}

/// Redis' group, which is the ACL category but for a few.
fn group(spec: &CommandSpec) -> &'static str {
    match spec.id {
        Command::Cluster | Command::Asking | Command::Readonly | Command::Readwrite => "cluster",
        Command::Command
        | Command::Config
        | Command::Info
        | Command::Time
        | Command::Dbsize
        | Command::Flushall
        | Command::Flushdb => "server",
        Command::Client => "connection",
        _ => match spec.group.first().and_then(|category| category.strip_prefix('@')) {
            Some("keyspace") | None => "generic",
            Some("transaction") => "transactions",
            Some(group) => group,
        },
    }
}

fn get_keys(call: &mut Call<'_>) -> Result<(), CommandError> {
    let args = call.args;
    let spec = lookup(&args[2]).ok_or(CommandError::Other("ERR Invalid command specified"))?;
    if spec.keys.first == 0 {
        return Err(CommandError::Other("ERR The command has no key arguments"));
    }
    if !spec.accepts(args.len() - 2) {
        return Err(CommandError::Other("ERR Invalid number of arguments specified for command"));
    }
    let positions = spec.key_positions(args.len() - 2);
    let mut reply = call.reply();
    reply.array(positions.len());
    for position in positions {
        reply.bulk(&args[position + 2]);
    }
    Ok(())
}

/// `COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]`.
fn list(call: &mut Call<'_>) -> Result<(), CommandError> {
    let selects = filter(call.args)?;
    let names: Vec<&str> =
        COMMANDS.iter().filter(|spec| selects(spec)).map(|spec| spec.name).collect();
    let mut reply = call.reply();
    reply.array(names.len());
    for name in names {
        reply.bulk(name.as_bytes());
    }
    Ok(())
}

type Filter<'a> = Box<dyn Fn(&CommandSpec) -> bool + 'a>;

fn filter(args: Args<'_>) -> Result<Filter<'_>, CommandError> {
    let (Some(by), Some(kind), Some(text), 5) = (args.get(2), args.get(3), args.get(4), args.len())
    else {
        return if args.len() == 2 { Ok(Box::new(|_| true)) } else { Err(CommandError::Syntax) };
    };
    if !by.eq_ignore_ascii_case(b"FILTERBY") {
        return Err(CommandError::Syntax);
    }
    match kind {
        kind if kind.eq_ignore_ascii_case(b"MODULE") => Ok(Box::new(|_| false)),
        kind if kind.eq_ignore_ascii_case(b"ACLCAT") => Ok(Box::new(move |spec| {
            spec.acl_categories().any(|category| {
                category.trim_start_matches('@').as_bytes().eq_ignore_ascii_case(text)
            })
        })),
        kind if kind.eq_ignore_ascii_case(b"PATTERN") => {
            let pattern = glob::checked(text)?;
            Ok(Box::new(move |spec| glob::matches(pattern, spec.name.as_bytes())))
        }
        _ => Err(CommandError::Syntax),
    }
}
