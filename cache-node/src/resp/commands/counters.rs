//! Counting: values that are numbers. A key's time to live stays; a new key gets the cluster's default.

use ringcache_wire::number::parse_i64;

use super::decimal;
use crate::resp::dispatch::Keyed;
use crate::resp::error::CommandError;

pub(super) fn incr(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    add(call, 1)
}

pub(super) fn decr(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    add(call, -1)
}

pub(super) fn incrby(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let by = parse_i64(&call.args[2]).ok_or(CommandError::NotAnInteger)?;
    add(call, by)
}

pub(super) fn decrby(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let by = parse_i64(&call.args[2]).ok_or(CommandError::NotAnInteger)?;
    add(call, by.checked_neg().ok_or(CommandError::DecrementOverflow)?)
}

fn add(call: &mut Keyed<'_, '_>, by: i64) -> Result<(), CommandError> {
    let args = call.args;
    let current = match call.slot.peek(&args[1], call.now) {
        None => 0,
        Some(entry) => parse_i64(entry.value).ok_or(CommandError::NotAnInteger)?,
    };
    let sum = current.checked_add(by).ok_or(CommandError::Overflow)?;
    call.rewrite(&args[1], sum.to_string().as_bytes());
    call.reply.integer(sum);
    Ok(())
}

pub(super) fn incrbyfloat(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    let current = match call.slot.peek(&args[1], call.now) {
        None => b"0",
        Some(entry) => entry.value,
    };
    let sum = decimal::add(current, &args[2])?;
    call.rewrite(&args[1], sum.as_bytes());
    call.reply.bulk(sum.as_bytes());
    Ok(())
}

impl Keyed<'_, '_> {
    /// Writes a value and keeps the time to live that the key has.
    fn rewrite(&mut self, key: &[u8], value: &[u8]) {
        match self.slot.peek(key, self.now).map(|entry| entry.deadline) {
            Some(deadline) => self.slot.set(key, value, deadline, self.now),
            None => self.write(key, value),
        }
    }
}
