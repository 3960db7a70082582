//! Times to live: setting, asking, removing them.

use ringcache_store::Millis;

use super::time_to_live::Unit;
use crate::resp::dispatch::Keyed;
use crate::resp::error::{CommandError, quote};

pub(super) fn expire(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    set(call, Unit::EX, "expire")
}

pub(super) fn pexpire(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    set(call, Unit::PX, "pexpire")
}

pub(super) fn expireat(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    set(call, Unit::EXAT, "expireat")
}

pub(super) fn pexpireat(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    set(call, Unit::PXAT, "pexpireat")
}

/// When a deadline may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// `NX`: only where there is none.
    Absent,
    /// `XX`: only where there is one.
    Present,
    /// `GT`: only by a later one.
    Later,
    /// `LT`: only by an earlier one.
    Earlier,
}

/// The conditions at the end of a request; all of them have to hold.
fn conditions(call: &Keyed<'_, '_>) -> Result<Vec<Condition>, CommandError> {
    use Condition::{Absent, Earlier, Later, Present};
    let words = [("NX", Absent), ("XX", Present), ("GT", Later), ("LT", Earlier)];
    let mut conditions = Vec::new();
    for option in call.args.iter().skip(3) {
        let known = words.iter().find(|(word, _)| option.eq_ignore_ascii_case(word.as_bytes()));
        let (_, condition) = known.ok_or_else(|| {
            let option = quote(option);
            CommandError::Quoting(format!("ERR Unsupported option {option}"))
        })?;
        conditions.push(*condition);
    }
    if conditions.contains(&Absent) && conditions.iter().any(|condition| *condition != Absent) {
        return Err(CommandError::Other(
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        ));
    }
    if conditions.contains(&Later) && conditions.contains(&Earlier) {
        return Err(CommandError::Other(
            "ERR GT and LT options at the same time are not compatible",
        ));
    }
    Ok(conditions)
}

impl Condition {
    /// Whether `old` may be replaced by `new`. No deadline is later than any.
    fn allows(self, old: Option<Millis>, new: i64) -> bool {
        let old_ms = old.map(|old| i64::try_from(old).unwrap_or(i64::MAX));
        match self {
            Self::Absent => old.is_none(),
            Self::Present => old.is_some(),
            Self::Later => old_ms.is_some_and(|old| new > old),
            Self::Earlier => old_ms.is_none_or(|old| new < old),
        }
    }
}

fn set(call: &mut Keyed<'_, '_>, unit: Unit, command: &'static str) -> Result<(), CommandError> {
    let args = call.args;
    let conditions = conditions(call)?;
    let new = unit.point(&args[2], call.now, command)?;
    let old = call.slot.peek(&args[1], call.now).map(|entry| entry.deadline);
    // A deadline before 1970 is over as well.
    let deadline = Some(u64::try_from(new).unwrap_or(0));
    let is_set = old
        .is_some_and(|old| conditions.iter().all(|condition| condition.allows(old, new)))
        && call.slot.set_deadline(&args[1], deadline, call.now);
    call.reply.integer(is_set.into());
    Ok(())
}

pub(super) fn persist(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    let args = call.args;
    let had_deadline =
        call.slot.peek(&args[1], call.now).is_some_and(|entry| entry.deadline.is_some());
    if had_deadline {
        call.slot.set_deadline(&args[1], None, call.now);
    }
    call.reply.integer(had_deadline.into());
    Ok(())
}

pub(super) fn ttl(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    show(call, |deadline, now| rounded_seconds(deadline - now))
}

pub(super) fn pttl(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    show(call, |deadline, now| deadline - now)
}

pub(super) fn expiretime(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    show(call, |deadline, _| rounded_seconds(deadline))
}

pub(super) fn pexpiretime(call: &mut Keyed<'_, '_>) -> Result<(), CommandError> {
    show(call, |deadline, _| deadline)
}

fn rounded_seconds(ms: Millis) -> Millis {
    (ms + 500) / 1000
}

/// Replies with what a deadline looks like, -1 if the key has none, -2 if there is no such key.
fn show(
    call: &mut Keyed<'_, '_>,
    shown: impl Fn(Millis, Millis) -> Millis,
) -> Result<(), CommandError> {
    let args = call.args;
    let now = call.now;
    let number = match call.slot.peek(&args[1], now).map(|entry| entry.deadline) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline)) => i64::try_from(shown(deadline, now)).unwrap_or(i64::MAX),
    };
    call.reply.integer(number);
    Ok(())
}
