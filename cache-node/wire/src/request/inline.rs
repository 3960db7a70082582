//! Splits an inline request into arguments by Redis' quoting rules (`sdssplitargs`).
//!
//! `"…"` knows `\n \r \t \b \a`, `\xHH` and `\` before any other byte for that byte; `'…'` knows only
//! `\'`. A closing quote ends the argument. A NUL is a byte like any other: Redis, which ends the
//! line there, silently drops the rest.

use std::ops::Range;

use memchr::memchr2;

use super::ProtocolError;

/// Appends the arguments of `line` to `args`: ranges of `line` if it has no quotes, else ranges of
/// `scratch`, which receives the unquoted bytes.
pub(super) fn split(
    line: &[u8],
    args: &mut Vec<Range<usize>>,
    scratch: &mut Vec<u8>,
) -> Result<(), ProtocolError> {
    if memchr2(b'"', b'\'', line).is_some() {
        return split_quoted(line, args, scratch);
    }
    let mut position = 0;
    while let Some(start) = skip_spaces(line, position) {
        let length = line[start..].iter().position(|&byte| ends_word(byte));
        position = length.map_or(line.len(), |length| start + length);
        args.push(start..position);
    }
    Ok(())
}

fn split_quoted(
    line: &[u8],
    args: &mut Vec<Range<usize>>,
    scratch: &mut Vec<u8>,
) -> Result<(), ProtocolError> {
    let mut position = 0;
    while let Some(start) = skip_spaces(line, position) {
        let arg_start = scratch.len();
        position = start;
        loop {
            match line.get(position) {
                None => break,
                Some(&byte) if ends_word(byte) => break,
                Some(&quote @ (b'"' | b'\'')) => {
                    position = unquote(line, position + 1, quote, scratch)?;
                    break;
                }
                Some(&byte) => {
                    scratch.push(byte);
                    position += 1;
                }
            }
        }
        args.push(arg_start..scratch.len());
    }
    Ok(())
}

/// Appends what stands between `position` and the closing `quote`; returns the position after it.
fn unquote(
    line: &[u8],
    mut position: usize,
    quote: u8,
    scratch: &mut Vec<u8>,
) -> Result<usize, ProtocolError> {
    loop {
        let rest = line.get(position..).unwrap_or_default();
        let (byte, length) = match (quote, rest) {
            (_, []) => return Err(ProtocolError::UnbalancedQuotes),
            (b'"', [b'\\', b'x', high, low, ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex_digit(*high) << 4 | hex_digit(*low), 4)
            }
            (b'"', [b'\\', escaped, ..]) => (unescape(*escaped), 2),
            (b'\'', [b'\\', b'\'', ..]) => (b'\'', 2),
            (_, [byte, next, ..]) if *byte == quote && !is_space(*next) => {
                return Err(ProtocolError::UnbalancedQuotes);
            }
            (_, [byte, ..]) if *byte == quote => return Ok(position + 1),
            (_, [byte, ..]) => (*byte, 1),
        };
        scratch.push(byte);
        position += length;
    }
}

fn skip_spaces(line: &[u8], position: usize) -> Option<usize> {
    let rest = line.get(position..)?;
    rest.iter().position(|&byte| !is_space(byte)).map(|spaces| position + spaces)
}

/// C's `isspace`, which has the vertical tab that Rust's `is_ascii_whitespace` leaves out.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// What ends an argument outside of quotes: as in Redis, no vertical tab and no form feed.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
