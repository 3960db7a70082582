//! `CLIENT TRACKING` and what belongs to it. Errors are those of Redis where it has the case.

use ringcache_wire::reply::Proto;
use ringcache_wire::request::Args;

use crate::resp::dispatch::Call;
use crate::resp::error::CommandError;
use crate::resp::session::Session;
use crate::resp::tracking::{Mode, Tracking};

/// `CLIENT TRACKING ON|OFF [OPTIN] [OPTOUT] [NOLOOP]`. The other options of Redis are refused, not ignored.
pub(super) fn tracking(session: &mut Session, args: Args<'_>) -> Result<(), CommandError> {
    let asked = options(args)?;
    let is = |word: &str| args[2].eq_ignore_ascii_case(word.as_bytes());
    if is("OFF") {
        session.set_tracking(None);
        return Ok(());
    }
    if !is("ON") {
        return Err(CommandError::Syntax);
    }
    if session.proto == Proto::Resp2 {
        return Err(CommandError::Other(
            "ERR CLIENT TRACKING needs RESP3 (HELLO 3): REDIRECT is not supported",
        ));
    }
    let switches = session.tracking.is_some_and(|now| {
        matches!((now.mode, asked.mode), (Mode::OptIn, Mode::OptOut) | (Mode::OptOut, Mode::OptIn))
    });
    if switches {
        return Err(CommandError::Other(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
             re-enabling it with a different mode.",
        ));
    }
    session.set_tracking(Some(asked));
    Ok(())
}

fn options(args: Args<'_>) -> Result<Tracking, CommandError> {
    let (mut opt_in, mut opt_out, mut noloop) = (false, false, false);
    for option in args.iter().skip(3) {
        let is = |word: &str| option.eq_ignore_ascii_case(word.as_bytes());
        if is("OPTIN") {
            opt_in = true;
        } else if is("OPTOUT") {
            opt_out = true;
        } else if is("NOLOOP") {
            noloop = true;
        } else if is("BCAST") || is("PREFIX") || is("REDIRECT") {
            return Err(CommandError::Other(
                "ERR BCAST, PREFIX and REDIRECT are not supported: CLIENT TRACKING takes OPTIN, OPTOUT and NOLOOP",
            ));
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let mode = match (opt_in, opt_out) {
        (true, true) => {
            return Err(CommandError::Other(
                "ERR You can't specify both OPTIN mode and OPTOUT mode",
            ));
        }
        (true, false) => Mode::OptIn,
        (false, true) => Mode::OptOut,
        (false, false) => Mode::All,
    };
    Ok(Tracking { mode, caching: false, noloop })
}

/// `CLIENT CACHING YES|NO`.
pub(super) fn caching(session: &mut Session, word: &[u8]) -> Result<(), CommandError> {
    let Some(tracking) = &mut session.tracking else {
        return Err(CommandError::Other(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
             OPTOUT mode enabled",
        ));
    };
    let (mode, refusal) = match word {
        word if word.eq_ignore_ascii_case(b"YES") => (
            Mode::OptIn,
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
        ),
        word if word.eq_ignore_ascii_case(b"NO") => (
            Mode::OptOut,
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
        ),
        _ => return Err(CommandError::Syntax),
    };
    if tracking.mode != mode {
        return Err(CommandError::Other(refusal));
    }
    tracking.caching = true;
    Ok(())
}

/// The connection that pushes are redirected to, always none: 0, or -1 if there is no tracking.
pub(super) fn redirection(session: &Session) -> i64 {
    if session.tracking.is_some() { 0 } else { -1 }
}

/// `CLIENT TRACKINGINFO`.
pub(super) fn info(call: &mut Call<'_>) {
    let redirection = redirection(call.session);
    let mut flags = Vec::new();
    match call.session.tracking {
        None => flags.push("off"),
        Some(tracking) => {
            flags.push("on");
            match (tracking.mode, tracking.caching) {
                (Mode::All, _) => {}
                (Mode::OptIn, false) => flags.push("optin"),
                (Mode::OptIn, true) => flags.extend(["optin", "caching-yes"]),
                (Mode::OptOut, false) => flags.push("optout"),
                (Mode::OptOut, true) => flags.extend(["optout", "caching-no"]),
            }
            if tracking.noloop {
                flags.push("noloop");
            }
        }
    }
    let mut reply = call.reply();
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    for flag in flags {
        reply.bulk(flag.as_bytes());
    }
    reply.bulk(b"redirect");
    reply.integer(redirection);
    reply.bulk(b"prefixes");
    reply.array(0);
}
