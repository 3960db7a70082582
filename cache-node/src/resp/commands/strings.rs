//! Reading and writing values.

use ringcache_store::{Entry, MAX_VALUE_BYTES};

use super::time_to_live::Unit;
use crate::resp::dispatch::Keyed;
use crate::resp::error::CommandError;
use crate::ttl::default_deadline;

impl Keyed<'_, '_> {
    /// Looks a key up for a command that reads it.
    pub(super) fn read(&mut self, key: &[u8]) -> Option<Entry<'_>> {
        if self.no_touch { self.slot.peek(key, self.now) } else { self.slot.get(key, self.now) }
    }

    /// Replies with the value of a key.
    fn reply_value(&mut self, key: &[u8]) {
        let Keyed { slot, reply, now, no_touch, .. } = self;
        let entry = if *no_touch { slot.peek(key, *now) } else { slot.get(key, *now) };
        match entry {
            Some(entry) => reply.bulk(entry.value),
            None => reply.null(),
        }
    }

    /// Writes a value with the cluster's default time to live.
    pub(super) fn write(&mut self, key: &[u8], value: &[u8]) {
        let settings = **self.node.settings.load();
        self.slot.set(key, value, default_deadline(settings, key, self.now), self.now);
    }
}

/// A value beyond the limit is refused before anything is changed.
pub(super) fn check_value(value: &[u8]) -> Result<(), CommandError> {
    if value.len() > MAX_VALUE_BYTES { Err(CommandError::ValueTooLong) } else { Ok(()) }
}

pub(super) fn get(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    call.reply_value(&args[1]);
    Ok(())
}

pub(super) fn mget(call: &mut Keyed<'_, '_>, key: &[u8]) {
    call.reply_value(key);
}

pub(super) fn mset(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Arity("mset"));
    }
    let pairs = || args.iter().skip(1).step_by(2).zip(args.iter().skip(2).step_by(2));
    for (_, value) in pairs() {
        check_value(value)?;
    }
    for (key, value) in pairs() {
        call.write(key, value);
    }
    call.reply.simple("OK");
    Ok(())
}

pub(super) fn setnx(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    check_value(&args[2])?;
    let absent = call.slot.peek(&args[1], call.now).is_none();
    if absent {
        call.write(&args[1], &args[2]);
    }
    call.reply.integer(absent.into());
    Ok(())
}

pub(super) fn setex(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    set_with(call, Unit::EX, "setex")
}

pub(super) fn psetex(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    set_with(call, Unit::PX, "psetex")
}

fn set_with(
    call: &mut Keyed<'_, '_>,
    unit: Unit,
    command: &'static str,
) -> Result<(), CommandError> {
    let args = call.args;
    let deadline = unit.deadline(&args[2], call.now, command)?;
    check_value(&args[3])?;
    call.slot.set(&args[1], &args[3], Some(deadline), call.now);
    call.reply.simple("OK");
    Ok(())
}

pub(super) fn getset(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    check_value(&args[2])?;
    call.reply_value(&args[1]);
    call.write(&args[1], &args[2]);
    Ok(())
}

pub(super) fn getdel(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    call.reply_value(&args[1]);
    call.slot.remove(&args[1], call.now);
    Ok(())
}

pub(super) fn getex(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    let deadline = match (args.get(2), args.get(3), args.len()) {
        (None, _, _) => None,
        (Some(option), None, _) if option.eq_ignore_ascii_case(b"PERSIST") => Some(None),
        (Some(option), Some(number), 4) => {
            let units =
                [("EX", Unit::EX), ("PX", Unit::PX), ("EXAT", Unit::EXAT), ("PXAT", Unit::PXAT)];
            let (_, unit) = units
                .into_iter()
                .find(|(word, _)| option.eq_ignore_ascii_case(word.as_bytes()))
                .ok_or(CommandError::Syntax)?;
            Some(Some(unit.deadline(number, call.now, "getex")?))
        }
        _ => return Err(CommandError::Syntax),
    };
    call.reply_value(&args[1]);
    if let Some(deadline) = deadline {
        call.slot.set_deadline(&args[1], deadline, call.now);
    }
    Ok(())
}

pub(super) fn strlen(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    let length = call.read(&args[1]).map_or(0, |entry| entry.value.len());
    call.reply_count(length);
    Ok(())
}
