//! The commands, one family a file, and which function runs which.

#![expect(
    clippy::unnecessary_wraps,
    reason = "commands are called through one function type; not every one can fail"
)]

mod client;
mod cluster;
mod command;
mod config;
mod connection;
mod counters;
mod decimal;
mod expiry;
pub(super) mod flush;
mod glob;
mod help;
mod info;
mod keys;
mod scan;
mod server;
mod set;
mod slice;
mod strings;
mod time_to_live;
mod tracking;
pub(super) mod transaction;
mod watch;

use ringcache_wire::table::{Command, CommandSpec};

use super::dispatch::{Call, Keyed, Outcome};
use super::error::{CommandError, quote};
use super::parts::Each;
pub(super) use glob::MAX_PATTERN_BYTES;

/// Runs a command for keys of one slot, which is locked meanwhile. What it wrote before an error is taken back.
pub(super) type KeyedFn = fn(&mut Keyed<'_, '_>) -> Result<(), CommandError>;
/// Runs any other command.
pub(super) type PlainFn = fn(&mut Call<'_>) -> Result<Outcome, CommandError>;

/// How a command runs.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// On one slot.
    Keyed(KeyedFn),
    /// On each of its keys alike, in parts.
    Each(Each),
    /// On the connection, the node, or several slots.
    Plain(PlainFn),
}

/// The function that runs a command. The compiler checks that every command of the table has one.
pub(super) fn handler(command: Command) -> Handler {
    use Handler::{Keyed, Plain};
    const fn count(is_counted: fn(&mut super::dispatch::Keyed<'_, '_>, &[u8]) -> bool) -> Handler {
        Handler::Each(Each::Count(is_counted))
    }
    match command {
        Command::Get => Keyed(strings::get),
        Command::Set => Keyed(set::set),
        Command::Mget => Handler::Each(Each::Reply(strings::mget)),
        Command::Mset => Keyed(strings::mset),
        Command::Getdel => Keyed(strings::getdel),
        Command::Getex => Keyed(strings::getex),
        Command::Getset => Keyed(strings::getset),
        Command::Psetex => Keyed(strings::psetex),
        Command::Setex => Keyed(strings::setex),
        Command::Setnx => Keyed(strings::setnx),
        Command::Strlen => Keyed(strings::strlen),
        Command::Decr => Keyed(counters::decr),
        Command::Decrby => Keyed(counters::decrby),
        Command::Incr => Keyed(counters::incr),
        Command::Incrby => Keyed(counters::incrby),
        Command::Incrbyfloat => Keyed(counters::incrbyfloat),
        Command::Del | Command::Unlink => count(keys::del),
        Command::Exists => count(keys::exists),
        Command::Touch => count(keys::touch),
        Command::Type => Keyed(keys::type_),
        Command::Expire => Keyed(expiry::expire),
        Command::Expireat => Keyed(expiry::expireat),
        Command::Pexpire => Keyed(expiry::pexpire),
        Command::Pexpireat => Keyed(expiry::pexpireat),
        Command::Expiretime => Keyed(expiry::expiretime),
        Command::Pexpiretime => Keyed(expiry::pexpiretime),
        Command::Ttl => Keyed(expiry::ttl),
        Command::Pttl => Keyed(expiry::pttl),
        Command::Persist => Keyed(expiry::persist),
        Command::Asking | Command::Readonly | Command::Readwrite => Plain(cluster::mode),
        Command::Auth => Plain(connection::auth),
        Command::Client => Plain(client::client),
        Command::Cluster => Plain(cluster::cluster),
        Command::Command => Plain(command::command),
        Command::Config => Plain(config::config),
        Command::Dbsize => Plain(server::dbsize),
        Command::Discard => Plain(transaction::discard),
        Command::Echo => Plain(connection::echo),
        Command::Exec => Plain(transaction::exec),
        Command::Flushall | Command::Flushdb => Plain(flush::flush),
        Command::Hello => Plain(connection::hello),
        Command::Info => Plain(info::info),
        Command::Multi => Plain(transaction::multi),
        Command::Ping => Plain(connection::ping),
        Command::Quit => Plain(connection::quit),
        Command::Reset => Plain(connection::reset),
        Command::Scan => Plain(scan::scan),
        Command::Select => Plain(connection::select),
        Command::Time => Plain(server::time),
        Command::Unwatch => Plain(watch::unwatch),
        Command::Watch => Plain(watch::watch),
    }
}

/// The subcommand that a request for a container such as `CLIENT` names, with as many arguments as it must have.
fn subcommand(call: &mut Call<'_>) -> Result<&'static CommandSpec, CommandError> {
    let name = &call.args[1];
    let Some(subcommand) = call.spec.subcommand(name) else {
        let name = quote(name);
        let container = call.spec.name.to_uppercase();
        return Err(CommandError::Quoting(format!(
            "ERR unknown subcommand '{name}'. Try {container} HELP."
        )));
    };
    if !subcommand.accepts(call.args.len()) {
        return Err(CommandError::Arity(subcommand.name));
    }
    call.session.last_command = subcommand.name;
    Ok(subcommand)
}
