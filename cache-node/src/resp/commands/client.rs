//! `CLIENT`: what a client says about itself, and what it asks about the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringcache_wire::number::parse_i64;
use ringcache_wire::request::Args;

use super::help::help;
use super::{subcommand, tracking};
use crate::resp::client::Client;
use crate::resp::dispatch::{Call, Outcome};
use crate::resp::error::{CommandError, quote};
use crate::resp::session::{Replies, Session};

pub(super) fn client(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let subcommand = subcommand(call)?;
    let args = call.args;
    match subcommand.name {
        "client|caching" => tracking::caching(call.session, &args[2])?,
        // Nothing that a client announces there changes what it is sent.
        "client|capa" => {}
        "client|getname" => {
            let name = call.session.client.shown(|shown| shown.name.clone());
            if name.is_empty() {
                call.reply().null();
            } else {
                call.reply().bulk(name.as_bytes());
            }
            return Ok(Outcome::Done);
        }
        "client|getredir" => {
            let redirection = tracking::redirection(call.session);
            call.reply().integer(redirection);
            return Ok(Outcome::Done);
        }
        "client|help" => return Ok(help(call)),
        "client|id" => {
            let id = call.session.client.id;
            call.reply().integer(id.cast_signed());
            return Ok(Outcome::Done);
        }
        "client|info" => {
            let line = call.session.client.line(call.node().clock.monotonic_ms());
            call.reply().verbatim("txt", &line);
            return Ok(Outcome::Done);
        }
        "client|kill" => return kill(call),
        "client|list" => return list(call),
        "client|no-evict" => {
            let is_on = on_or_off(&args[2])?;
            call.session.client.shown(|shown| shown.no_evict = is_on);
        }
        "client|no-touch" => {
            let is_on = on_or_off(&args[2])?;
            call.session.no_touch = is_on;
            call.session.client.shown(|shown| shown.no_touch = is_on);
        }
        "client|reply" => return reply(call),
        "client|setinfo" => set_info(call.session, args)?,
        "client|setname" => set_name(call.session, &args[2])?,
        "client|tracking" => tracking::tracking(call.session, args)?,
        "client|trackinginfo" => {
            tracking::info(call);
            return Ok(Outcome::Done);
        }
        _ => {
            let name = subcommand.name.replace('|', " ").to_uppercase();
            return Err(CommandError::Quoting(format!("ERR {name} is not supported")));
        }
    }
    call.reply().simple("OK");
    Ok(Outcome::Done)
}

fn on_or_off(word: &[u8]) -> Result<bool, CommandError> {
    match word {
        word if word.eq_ignore_ascii_case(b"ON") => Ok(true),
        word if word.eq_ignore_ascii_case(b"OFF") => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

fn reply(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let args = call.args;
    let mode = &args[2];
    if mode.eq_ignore_ascii_case(b"SKIP") {
        if call.session.replies == Replies::On {
            call.session.replies = Replies::SkipNext;
        }
    } else if on_or_off(mode)? {
        call.session.replies = Replies::On;
        call.reply().simple("OK");
    } else {
        call.session.replies = Replies::Off;
    }
    Ok(Outcome::Done)
}

/// Filters of one `CLIENT KILL`: there are six kinds.
const MAX_FILTERS: usize = 16;
/// Longest name or library name: beyond, `CLIENT LIST` would be as large as clients like.
const MAX_NAME_BYTES: usize = 256;

/// Text for `CLIENT LIST`, where spaces and line ends separate.
fn word(text: &[u8]) -> Option<&str> {
    let is_printed = text.len() <= MAX_NAME_BYTES && text.iter().all(u8::is_ascii_graphic);
    str::from_utf8(text).ok().filter(|_| is_printed)
}

pub(super) fn set_name(session: &Session, name: &[u8]) -> Result<(), CommandError> {
    let name = word(name).ok_or(CommandError::Other(
        "ERR Client names cannot contain spaces, newlines or special characters.",
    ))?;
    session.client.shown(|shown| name.clone_into(&mut shown.name));
    Ok(())
}

fn set_info(session: &Session, args: Args<'_>) -> Result<(), CommandError> {
    let (option, text) = (&args[2], word(&args[3]));
    let lower_case = String::from_utf8_lossy(option).to_ascii_lowercase();
    if !matches!(lower_case.as_str(), "lib-name" | "lib-ver") {
        let option = quote(option);
        return Err(CommandError::Quoting(format!("ERR Unrecognized option '{option}'")));
    }
    let Some(text) = text else {
        return Err(CommandError::Quoting(format!(
            "ERR {lower_case} cannot contain spaces, newlines or special characters."
        )));
    };
    session.client.shown(|shown| {
        let field =
            if lower_case == "lib-name" { &mut shown.lib_name } else { &mut shown.lib_version };
        text.clone_into(field);
    });
    Ok(())
}

/// What `TYPE` selects. Nodes that forward requests are what Redis calls masters.
fn is_of_type(client: &Client, word: &[u8]) -> Result<bool, CommandError> {
    match word {
        word if word.eq_ignore_ascii_case(b"normal") => Ok(!client.is_peer),
        word if word.eq_ignore_ascii_case(b"master") => Ok(client.is_peer),
        word if [&b"replica"[..], b"slave", b"pubsub"]
            .iter()
            .any(|none| word.eq_ignore_ascii_case(none)) =>
        {
            Ok(false)
        }
        word => {
            let word = quote(word);
            Err(CommandError::Quoting(format!("ERR Unknown client type '{word}'")))
        }
    }
}

/// `CLIENT LIST [TYPE type] [ID id ...]`.
fn list(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let args = call.args;
    let mut clients = call.worker.shared.clients.all();
    match args.get(2) {
        None => {}
        Some(option) if option.eq_ignore_ascii_case(b"TYPE") && args.len() == 4 => {
            is_of_type(&call.session.client, &args[3])?;
            clients.retain(|client| is_of_type(client, &args[3]).unwrap_or_default());
        }
        Some(option) if option.eq_ignore_ascii_case(b"ID") && args.len() > 3 => {
            let ids = args
                .iter()
                .skip(3)
                .map(|id| parse_i64(id).and_then(|id| u64::try_from(id).ok()))
                .collect::<Option<BTreeSet<u64>>>()
                .ok_or(CommandError::Other("ERR Invalid client ID"))?;
            clients.retain(|client| ids.contains(&client.id));
        }
        Some(_) => return Err(CommandError::Syntax),
    }
    let now_ms = call.node().clock.monotonic_ms();
    let lines: String = clients.iter().map(|client| client.line(now_ms)).collect();
    call.reply().verbatim("txt", &lines);
    Ok(Outcome::Done)
}

/// `CLIENT KILL addr`, or with filters that all have to match.
fn kill(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let args = call.args;
    let mut clients = call.worker.shared.clients.all();
    if args.len() == 3 {
        clients.retain(|client| is_text(client.addr, &args[2]));
        if clients.is_empty() {
            return Err(CommandError::Other("ERR No such client"));
        }
        kill_all(&clients);
        call.reply().simple("OK");
        return Ok(Outcome::Done);
    }
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    // Each filter looks at every client.
    if args.len() > 2 + 2 * MAX_FILTERS {
        return Err(CommandError::Other("ERR at most 16 filters are allowed"));
    }
    let me = call.session.client.id;
    let now_ms = call.node().clock.monotonic_ms();
    let mut skips_me = true;
    for position in (2..args.len()).step_by(2) {
        let (filter, text) = (&args[position], &args[position + 1]);
        let is = |word: &str| filter.eq_ignore_ascii_case(word.as_bytes());
        if is("ID") {
            let id = parse_i64(text).filter(|id| *id > 0);
            let id = id.ok_or(CommandError::Other("ERR client-id should be greater than 0"))?;
            clients.retain(|client| client.id == id as u64);
        } else if is("ADDR") {
            clients.retain(|client| is_text(client.addr, text));
        } else if is("LADDR") {
            clients.retain(|client| is_text(client.laddr, text));
        } else if is("TYPE") {
            is_of_type(&call.session.client, text)?;
            clients.retain(|client| is_of_type(client, text).unwrap_or_default());
        } else if is("MAXAGE") {
            let age = parse_i64(text).filter(|age| *age > 0);
            let age = age.ok_or(CommandError::Other("ERR maxage should be greater than 0"))?;
            clients.retain(|client| client.age(now_ms) >= age as u64);
        } else if is("SKIPME") && text.eq_ignore_ascii_case(b"no") {
            skips_me = false;
        } else if !(is("SKIPME") && text.eq_ignore_ascii_case(b"yes")) {
            return Err(CommandError::Syntax);
        }
    }
    clients.retain(|client| !skips_me || client.id != me);
    kill_all(&clients);
    call.reply_count(clients.len());
    Ok(Outcome::Done)
}

fn kill_all(clients: &[Arc<Client>]) {
    for client in clients {
        client.kill();
    }
}

fn is_text(addr: std::net::SocketAddr, text: &[u8]) -> bool {
    addr.to_string().as_bytes() == text
}
