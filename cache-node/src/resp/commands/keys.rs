//! Whole keys: removing them, asking whether they are there.

use crate::resp::dispatch::Keyed;
use crate::resp::error::CommandError;

pub(super) fn del(call: &mut Keyed<'_, '_>, key: &[u8]) -> bool {
    call.slot.remove(key, call.now)
}

pub(super) fn exists(call: &mut Keyed<'_, '_>, key: &[u8]) -> bool {
    call.slot.peek(key, call.now).is_some()
}

pub(super) fn touch(call: &mut Keyed<'_, '_>, key: &[u8]) -> bool {
    call.slot.get(key, call.now).is_some()
}

/// Every value is a string.
pub(super) fn type_(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    let exists = call.slot.peek(&args[1], call.now).is_some();
    call.reply.simple(if exists { "string" } else { "none" });
    Ok(())
}
