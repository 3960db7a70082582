//! `SCAN`: walks the keys of the slots that this node owns, without keeping state between calls.
//!
//! A cursor is a position in a slot in its lower [`SCAN_POSITION_BITS`] bits and the slot above; 0 is beginning and end.

use ringcache_ring::SLOTS;
use ringcache_store::SCAN_POSITION_BITS;
use ringcache_wire::number::parse_i64;
use ringcache_wire::reply::ReplyWriter;
use ringcache_wire::request::Args;

use super::glob;
use super::slice::Slice;
use crate::resp::dispatch::{Call, Outcome};
use crate::resp::error::CommandError;

const DEFAULT_COUNT: usize = 10;
/// Keys looked at in one call, whatever the client asks for: it holds up the other clients of its thread.
const MAX_COUNT: usize = 10_000;
/// A call ends early when its pattern may have taken so many steps, some milliseconds: with a pattern of 1000 bytes over keys
/// of 1000 bytes, a single key takes up to a million.
const MAX_STEPS: usize = 4_000_000;
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
    let proto = call.session.proto;
    let first = (cursor >> SCAN_POSITION_BITS) as u16;
    let mut after = Some(cursor & ((1 << SCAN_POSITION_BITS) - 1)).filter(|after| *after > 0);
    let mark = call.out.len();
    let (mut keys, mut looked_at, mut steps) = (0, 0, 0);
    let mut slot = first;
    let next = loop {
        if slot >= SLOTS {
            break 0;
        }
        let here = u64::from(slot) << SCAN_POSITION_BITS;
        if looked_at >= count || steps > MAX_STEPS || slot - first >= MAX_SLOTS {
            break here | after.unwrap_or(0);
        }
        let asked = count - looked_at;
        let Some(slice) = Slice::of(call.node(), slot, after, asked, call.now) else {
            // Skipping a slot between two owners would skip keys that are there all the time.
            call.out.truncate(mark);
            return Ok(Outcome::Wait(slot));
        };
        let mut last = after;
        for (position, key) in slice.keys() {
            // A cursor cannot point between two keys of one position.
            if steps > MAX_STEPS && last.is_some_and(|last| last < position) {
                break;
            }
            last = Some(position);
            steps += pattern.map_or(1, |pattern| pattern.len() * key.len());
            if has_type && pattern.is_none_or(|pattern| glob::matches(pattern, key)) {
                keys += 1;
                ReplyWriter::new(call.out, proto).bulk(key);
            }
        }
        looked_at += slice.passed;
        after = if steps > MAX_STEPS { last } else { slice.next };
        slot += u16::from(after.is_none());
    };
    // Only now is it known what stands before the keys.
    let end = call.out.len();
    let mut reply = call.reply();
    reply.array(2);
    reply.bulk(next.to_string().as_bytes());
    reply.array(keys);
    call.out.bring_forward(end, mark);
    Ok(Outcome::Done)
}

fn parse(args: Args<'_>) -> Result<Options<'_>, CommandError> {
    let mut options = Options { pattern: None, count: DEFAULT_COUNT, has_type: true };
    for position in (2..args.len()).step_by(2) {
        let option = args.get(position).unwrap_or_default();
        let value = args.get(position + 1).ok_or(CommandError::Syntax)?;
        if option.eq_ignore_ascii_case(b"MATCH") {
            options.pattern = Some(glob::checked(value)?);
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

const _: () = assert!(SCAN_POSITION_BITS + SLOTS.trailing_zeros() < 53);
