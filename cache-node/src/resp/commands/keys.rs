//! Whole keys: removing them, asking whether they are there.

use crate::resp::dispatch::Keyed;
use crate::resp::error::CommandError;

pub(super) fn del(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    count(call, |call, key| call.slot.remove(key, call.now))
}

pub(super) fn exists(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    count(call, |call, key| call.slot.peek(key, call.now).is_some())
}

pub(super) fn touch(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    count(call, |call, key| call.slot.get(key, call.now).is_some())
}

/// Every value is a string.
pub(super) fn type_(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    let exists = call.slot.peek(&args[1], call.now).is_some();
    call.reply.simple(if exists { "string" } else { "none" });
    Ok(())
}

/// Replies with the number of keys, as often as they are named, for which `is_counted` says so.
fn count(
    call: &mut Keyed<'_, '_>,
    mut is_counted: impl FnMut(&mut Keyed<'_, '_>, &[u8]) -> bool,
) -> Result<(), CommandError> {
    let args = call.args;
    let counted = args.iter().skip(1).filter(|key| is_counted(call, key)).count();
    call.reply_count(counted);
    Ok(())
}
