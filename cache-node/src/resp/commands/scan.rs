//! `SCAN`: walks the keys of the slots that this node owns, without keeping state between calls.
//!
//! A cursor is a slot in the upper 14 bits and a position in it in the lower 50; 0 is beginning and end.

use ringcache_ring::SLOTS;
use ringcache_store::{Access, SlotGuard};
use ringcache_wire::number::parse_i64;
use ringcache_wire::reply::ReplyWriter;
use ringcache_wire::request::Args;

use super::glob;
use crate::resp::dispatch::{Call, Outcome};
use crate::resp::error::CommandError;

const POSITION_BITS: u32 = 50;
const DEFAULT_COUNT: usize = 10;
/// Keys looked at in one call, whatever the client asks for: it holds up the other clients of its thread.
const MAX_COUNT: usize = 10_000;
/// Slots passed in one call, most of them perhaps empty or another node's.
const MAX_SLOTS: u16 = 2048;

struct Options<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    /// False if a type is asked for that no value has.
    has_type: bool,
}

pub(super) fn scan(call: &mut Call<'_>) -> Result<Outcome, CommandError> {
    let args = call.args;
    let cursor = str::from_utf8(&args[1]).ok().and_then(|cursor| cursor.parse::<u64>().ok());
    let cursor = cursor.ok_or(CommandError::InvalidCursor)?;
    let Options { pattern, count, has_type } = parse(args)?;
    let (mut found, mut keys, mut looked_at) = (Vec::new(), 0, 0);
    let proto = call.session.proto;
    let mut visit = |key: &[u8]| {
        looked_at += 1;
        if has_type && pattern.is_none_or(|pattern| glob::matches(pattern, key)) {
            keys += 1;
            ReplyWriter::new(&mut found, proto).bulk(key);
        }
        looked_at
    };
    let first = (cursor >> POSITION_BITS) as u16;
    let mut after = Some(cursor & ((1 << POSITION_BITS) - 1)).filter(|position| *position > 0);
    let mut next = 0;
    let mut left = count;
    for slot in first..SLOTS {
        let start = u64::from(slot) << POSITION_BITS;
        if left == 0 || slot - first >= MAX_SLOTS {
            next = start;
            break;
        }
        let guard = call.node().store.lock(slot);
        match guard.access() {
            Access::Open => {}
            // Skipping it would skip keys that are there all the time.
            Access::Parked => return Ok(Outcome::Wait(slot)),
            Access::Closed | Access::Away => continue,
        }
        let position = scan_slot(&guard, after.take(), left, call.now, &mut |key| {
            left = count.saturating_sub(visit(key));
        });
        if let Some(position) = position {
            next = start | position;
            break;
        }
    }
    let mut reply = call.reply();
    reply.array(2);
    reply.bulk(next.to_string().as_bytes());
    reply.array(keys);
    reply.raw(&found);
    Ok(Outcome::Done)
}

fn scan_slot(
    guard: &SlotGuard<'_>,
    after: Option<u64>,
    count: usize,
    now: u64,
    visit: &mut dyn FnMut(&[u8]),
) -> Option<u64> {
    if guard.is_empty() { None } else { guard.scan(after, count, now, visit) }
}

fn parse(args: Args<'_>) -> Result<Options<'_>, CommandError> {
    let mut options = Options { pattern: None, count: DEFAULT_COUNT, has_type: true };
    for position in (2..args.len()).step_by(2) {
        let option = args.get(position).unwrap_or_default();
        let value = args.get(position + 1).ok_or(CommandError::Syntax)?;
        if option.eq_ignore_ascii_case(b"MATCH") {
            options.pattern = Some(value);
        } else if option.eq_ignore_ascii_case(b"COUNT") {
            let count = parse_i64(value).ok_or(CommandError::NotAnInteger)?;
            let count = usize::try_from(count).ok().filter(|count| *count > 0);
            options.count = count.ok_or(CommandError::Syntax)?.min(MAX_COUNT);
        } else if option.eq_ignore_ascii_case(b"TYPE") {
            options.has_type = value.eq_ignore_ascii_case(b"string");
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(options)
}
