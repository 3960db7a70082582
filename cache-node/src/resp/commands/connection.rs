//! Opening, probing and closing a connection.

use ringcache_wire::number::parse_i64;
use ringcache_wire::reply::Proto;

use super::client::set_name;
use super::info::REDIS_VERSION;
use crate::resp::client::proto_number;
use crate::resp::dispatch::{Call, Outcome};
use crate::resp::error::{CommandError, quote};
use crate::resp::session::Replies;

pub(super) fn ping(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let args = call.args;
    match (args.get(1), args.len()) {
        (None, _) => call.reply().simple("PONG"),
        (Some(text), 2) => call.reply().bulk(text),
        _ => return Err(CommandError::Arity("ping")),
    }
    Ok(Outcome::Done)
}

pub(super) fn echo(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let args = call.args;
    call.reply().bulk(&args[1]);
    Ok(Outcome::Done)
}

pub(super) fn quit(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    call.reply().simple("OK");
    Ok(Outcome::Close)
}

pub(super) fn reset(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let session = &mut *call.session;
    session.end_transaction();
    session.replies = Replies::On;
    session.no_touch = false;
    session.set_tracking(None);
    session.set_proto(Proto::Resp2);
    session.client.shown(|shown| {
        shown.name.clear();
        shown.no_touch = false;
        shown.no_evict = false;
        shown.readonly = false;
    });
    call.reply().simple("RESET");
    Ok(Outcome::Done)
}

pub(super) fn select(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    match parse_i64(&call.args[1]).ok_or(CommandError::NotAnInteger)? {
        0 => {
            call.reply().simple("OK");
            Ok(Outcome::Done)
        }
        _ => Err(CommandError::Other("ERR SELECT is not allowed in cluster mode")),
    }
}

/// There are no passwords: as in Redis without any, the default user's is not asked for.
pub(super) fn auth(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    match call.args.len() {
        2 => Err(CommandError::Other(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        )),
        3 => {
            check_user(&call.args[1])?;
            call.reply().simple("OK");
            Ok(Outcome::Done)
        }
        _ => Err(CommandError::Syntax),
    }
}

fn check_user(user: &[u8]) -> Result<(), CommandError> {
    if user == b"default" {
        Ok(())
    } else {
        Err(CommandError::Other("WRONGPASS invalid username-password pair or user is disabled."))
    }
}

/// `HELLO [protover [AUTH username password] [SETNAME clientname]]`.
pub(super) fn hello(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let args = call.args;
    let mut proto = call.session.proto;
    if let Some(version) = args.get(1) {
        proto = match parse_i64(version) {
            Some(2) => Proto::Resp2,
            Some(3) => Proto::Resp3,
            Some(_) => {
                return Err(CommandError::Other("NOPROTO unsupported protocol version"));
            }
            None => {
                return Err(CommandError::Other(
                    "ERR Protocol version is not an integer or out of range",
                ));
            }
        };
    }
    let mut position = 2;
    let mut name = None;
    while let Some(option) = args.get(position) {
        match (args.get(position + 1), args.get(position + 2)) {
            (Some(user), Some(_)) if option.eq_ignore_ascii_case(b"AUTH") => {
                check_user(user)?;
                position += 3;
            }
            (Some(text), _) if option.eq_ignore_ascii_case(b"SETNAME") => {
                name = Some(text);
                position += 2;
            }
            _ => {
                let option = quote(option);
                let text = format!("ERR Syntax error in HELLO option '{option}'");
                return Err(CommandError::Quoting(text));
            }
        }
    }
    if let Some(name) = name {
        set_name(call.session, name)?;
    }
    call.session.set_proto(proto);
    let id = call.session.client.id;
    let mut reply = call.reply();
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.integer(proto_number(proto));
    reply.bulk(b"id");
    reply.integer(id.cast_signed());
    reply.bulk(b"mode");
    reply.bulk(b"cluster");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(Outcome::Done)
}
