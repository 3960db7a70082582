//! `SET` and its options.

use ringcache_store::Millis;
use ringcache_wire::request::Args;

use super::strings::check_value;
use super::time_to_live::Unit;
use crate::resp::dispatch::Keyed;
use crate::resp::error::CommandError;

/// What a key must be for `SET` to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Always,
    IfAbsent,
    IfPresent,
}

/// What becomes of the key's time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deadline {
    Default,
    Keep,
    At(Millis),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Options {
    condition: Condition,
    deadline: Deadline,
    get: bool,
}

pub(super) fn set(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    let (key, value) = (&args[1], &args[2]);
    let options = parse(args, call.now)?;
    check_value(value)?;
    if options
        == (Options { condition: Condition::Always, deadline: Deadline::Default, get: false })
    {
        call.write(key, value);
        call.reply.simple("OK");
        return Ok(());
    }
    let Keyed { slot, reply, now, .. } = call;
    let existing = if options.get { slot.get(key, *now) } else { slot.peek(key, *now) };
    if options.get {
        match &existing {
            Some(entry) => reply.bulk(entry.value),
            None => reply.null(),
        }
    }
    let (exists, kept) = (existing.is_some(), existing.and_then(|entry| entry.deadline));
    let writes = match options.condition {
        Condition::Always => true,
        Condition::IfAbsent => !exists,
        Condition::IfPresent => exists,
    };
    if writes {
        match options.deadline {
            Deadline::At(deadline) => slot.set(key, value, Some(deadline), *now),
            Deadline::Keep if exists => slot.set(key, value, kept, *now),
            Deadline::Keep | Deadline::Default => call.write(key, value),
        }
    }
    match (options.get, writes) {
        (true, _) => {}
        (false, true) => call.reply.simple("OK"),
        (false, false) => call.reply.null(),
    }
    Ok(())
}

fn parse(args: Args<'_>, now: Millis) -> Result<Options, CommandError> {
    let mut options =
        Options { condition: Condition::Always, deadline: Deadline::Default, get: false };
    let mut position = 3;
    while let Some(option) = args.get(position) {
        let is = |word: &str| option.eq_ignore_ascii_case(word.as_bytes());
        let units =
            [("EX", Unit::EX), ("PX", Unit::PX), ("EXAT", Unit::EXAT), ("PXAT", Unit::PXAT)];
        if is("GET") {
            options.get = true;
        } else if is("NX") && options.condition != Condition::IfPresent {
            options.condition = Condition::IfAbsent;
        } else if is("XX") && options.condition != Condition::IfAbsent {
            options.condition = Condition::IfPresent;
        } else if options.deadline != Deadline::Default {
            return Err(CommandError::Syntax);
        } else if is("KEEPTTL") {
            options.deadline = Deadline::Keep;
        } else if let Some((_, unit)) = units.into_iter().find(|(word, _)| is(word)) {
            position += 1;
            let number = args.get(position).ok_or(CommandError::Syntax)?;
            options.deadline = Deadline::At(unit.deadline(number, now, "set")?);
        } else {
            return Err(CommandError::Syntax);
        }
        position += 1;
    }
    Ok(options)
}
