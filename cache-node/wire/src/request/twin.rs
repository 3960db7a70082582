//! A slow and obvious request parser: recursive, copying, starting over each time.

use super::{Limits, ProtocolError};
use crate::number::parse_i64;

/// A request's arguments and its length; `None` while it is incomplete.
pub(super) type Outcome = Result<Option<(Vec<Vec<u8>>, usize)>, ProtocolError>;

pub(super) fn parse(input: &[u8], limits: Limits) -> Outcome {
    match input.first() {
        None => Ok(None),
        Some(b'*') => multibulk(input, limits),
        Some(_) => inline(input, limits),
    }
}

fn multibulk(input: &[u8], limits: Limits) -> Outcome {
    use ProtocolError::{InvalidMultibulkLength, TooBigMultibulkCount};
    let Some(text) = count_line(&input[1..], TooBigMultibulkCount, InvalidMultibulkLength)? else {
        return Ok(None);
    };
    let count = parse_i64(text).ok_or(InvalidMultibulkLength)?;
    if count.max(0) as usize > limits.max_args {
        return Err(InvalidMultibulkLength);
    }
    bulks(input, 1 + text.len() + 2, count, Vec::new(), limits)
}

fn bulks(
    input: &[u8],
    start: usize,
    missing: i64,
    mut args: Vec<Vec<u8>>,
    limits: Limits,
) -> Outcome {
    use ProtocolError::{ExpectedBulk, InvalidBulkLength, MissingBulkEnd, TooBigBulkCount};
    if missing <= 0 {
        return Ok(Some((args, start)));
    }
    let rest = &input[start..];
    match rest.first() {
        None => return Ok(None),
        Some(b'$') => {}
        Some(&other) => return Err(ExpectedBulk(other)),
    }
    let Some(text) = count_line(&rest[1..], TooBigBulkCount, InvalidBulkLength)? else {
        return Ok(None);
    };
    let length = parse_i64(text).ok_or(InvalidBulkLength)?;
    if length < 0 || length as usize > limits.max_bulk_bytes {
        return Err(InvalidBulkLength);
    }
    let body_start = 1 + text.len() + 2;
    let body_end = body_start + length as usize;
    let end = start + body_end + 2;
    if end > limits.max_request_bytes {
        return Err(ProtocolError::TooBigRequest);
    }
    if input.len() < end {
        return Ok(None);
    }
    if &rest[body_end..body_end + 2] != b"\r\n" {
        return Err(MissingBulkEnd);
    }
    args.push(rest[body_start..body_end].to_vec());
    bulks(input, end, missing - 1, args, limits)
}

/// The text before CRLF, which may have 32 bytes.
fn count_line(
    rest: &[u8],
    too_long: ProtocolError,
    broken: ProtocolError,
) -> Result<Option<&[u8]>, ProtocolError> {
    for (index, byte) in rest.iter().enumerate() {
        if index > 32 {
            return Err(too_long);
        }
        match (byte, rest.get(index + 1)) {
            (b'\r', None) => return Ok(None),
            (b'\r', Some(b'\n')) => return Ok(Some(&rest[..index])),
            (b'\r' | b'\n', _) => return Err(broken),
            _ if index == 32 => return Err(too_long),
            _ => {}
        }
    }
    Ok(None)
}

fn inline(input: &[u8], limits: Limits) -> Outcome {
    let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
        let too_big = input.len() > limits.max_inline_bytes + 1;
        return if too_big { Err(ProtocolError::TooBigInline) } else { Ok(None) };
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    if line.len() > limits.max_inline_bytes {
        return Err(ProtocolError::TooBigInline);
    }
    let args = sds_split_args(line).ok_or(ProtocolError::UnbalancedQuotes)?;
    let first = args.first().map(|word| word.to_ascii_lowercase());
    if matches!(first.as_deref(), Some(b"post" | b"host:")) {
        return Err(ProtocolError::CrossProtocol);
    }
    Ok(Some((args, end + 1)))
}

/// `sdssplitargs` of Redis, character by character; 0 is the end of the line as in C, so lines with a
/// NUL are not for this twin.
fn sds_split_args(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let at = |position: usize| line.get(position).copied().unwrap_or(0);
    let is_space = |byte: u8| b" \t\n\r\x0b\x0c".contains(&byte);
    let mut p = 0;
    let mut args = Vec::new();
    loop {
        while at(p) != 0 && is_space(at(p)) {
            p += 1;
        }
        if at(p) == 0 {
            return Some(args);
        }
        let (mut in_quotes, mut in_single_quotes, mut done) = (false, false, false);
        let mut current = Vec::new();
        while !done {
            let c = at(p);
            if in_quotes {
                let hex = std::str::from_utf8(line.get(p + 2..p + 4).unwrap_or_default());
                let hex = hex.ok().filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
                let hex = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                match (c, at(p + 1), hex) {
                    (b'\\', b'x', Some(byte)) => {
                        current.push(byte);
                        p += 3;
                    }
                    (b'\\', escaped @ 1.., _) => {
                        p += 1;
                        current.push(match escaped {
                            b'n' => b'\n',
                            b'r' => b'\r',
                            b't' => b'\t',
                            b'b' => 8,
                            b'a' => 7,
                            other => other,
                        });
                    }
                    (b'"', next, _) if next != 0 && !is_space(next) => return None,
                    (b'"', ..) => done = true,
                    (0, ..) => return None,
                    _ => current.push(c),
                }
            } else if in_single_quotes {
                match (c, at(p + 1)) {
                    (b'\\', b'\'') => {
                        p += 1;
                        current.push(b'\'');
                    }
                    (b'\'', next) if next != 0 && !is_space(next) => return None,
                    (b'\'', _) => done = true,
                    (0, _) => return None,
                    _ => current.push(c),
                }
            } else {
                match c {
                    b' ' | b'\n' | b'\r' | b'\t' | 0 => done = true,
                    b'"' => in_quotes = true,
                    b'\'' => in_single_quotes = true,
                    _ => current.push(c),
                }
            }
            if at(p) != 0 {
                p += 1;
            }
        }
        args.push(current);
    }
}
