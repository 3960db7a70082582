//! Reads one element of a reply: a scalar, or the header of an aggregate.

use crate::frame::FrameError;
use crate::line::{LineEnd, LineSearch};
use crate::number::parse_i64;

/// No element is shorter than this (`_`, CR, LF): so many elements need so many bytes.
const MIN_ELEMENT_BYTES: usize = 3;

/// One element; byte slices point into the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Element<'a> {
    Simple(&'a [u8]),
    Error(&'a [u8]),
    Integer(i64),
    Null,
    Bulk(&'a [u8]),
    Verbatim { format: &'a [u8], text: &'a [u8] },
    Double(f64),
    Boolean(bool),
    BigNumber(&'a str),
    Aggregate(Aggregate, usize),
}

/// The kinds of aggregates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Array,
    Map,
    Set,
    Push,
    /// Stands before an element and says something about it.
    Attribute,
}

/// Reads the element that starts at `start`; returns it with its end, or `None` while it is
/// incomplete. A map's header counts its keys and values, not its pairs.
///
/// What cannot fit into `max_bytes` of input is refused before it arrives.
pub(crate) fn read<'a>(
    input: &'a [u8],
    start: usize,
    line: &mut LineSearch,
    max_bytes: usize,
) -> Result<Option<(Element<'a>, usize)>, FrameError> {
    let Some(&kind) = input.get(start) else {
        return Ok(None);
    };
    let reader = reader(kind)?;
    let text_start = start + 1;
    let max_line_bytes = max_bytes.saturating_sub(text_start + 2);
    let text_end = match line.crlf(input, text_start, max_line_bytes) {
        LineEnd::At(end) => end,
        LineEnd::Missing => return Ok(None),
        LineEnd::TooLong => return Err(FrameError::TooBig),
        LineEnd::Broken => return Err(FrameError::BrokenLine),
    };
    let text = &input[text_start..text_end];
    let end = text_end + 2;
    if end > max_bytes {
        return Err(FrameError::TooBig);
    }
    match reader {
        Reader::Line(parse) => {
            parse(text).map(|element| Some((element, end))).ok_or(FrameError::InvalidScalar)
        }
        Reader::Blob(parse) => match length(text, kind == b'$')? {
            None => Ok(Some((Element::Null, end))),
            Some(bytes) => blob(input, end, bytes, max_bytes, parse),
        },
        Reader::Aggregate(aggregate, elements_each) => match length(text, kind == b'*')? {
            None => Ok(Some((Element::Null, end))),
            Some(count) => {
                let elements = count.saturating_mul(elements_each);
                if elements > (max_bytes - end) / MIN_ELEMENT_BYTES {
                    return Err(FrameError::TooBig);
                }
                Ok(Some((Element::Aggregate(aggregate, elements), end)))
            }
        },
    }
}

/// Makes an element of its bytes, if they are one.
type Parse = fn(&[u8]) -> Option<Element<'_>>;

/// How the rest of an element is read, after the byte that names its type.
enum Reader {
    Line(Parse),
    Blob(Parse),
    Aggregate(Aggregate, usize),
}

fn reader(kind: u8) -> Result<Reader, FrameError> {
    Ok(match kind {
        b'+' => Reader::Line(|text| Some(Element::Simple(text))),
        b'-' => Reader::Line(|text| Some(Element::Error(text))),
        b':' => Reader::Line(|text| parse_i64(text).map(Element::Integer)),
        b'_' => Reader::Line(|text| text.is_empty().then_some(Element::Null)),
        b',' => Reader::Line(double),
        b'#' => Reader::Line(boolean),
        b'(' => Reader::Line(big_number),
        b'$' => Reader::Blob(|bytes| Some(Element::Bulk(bytes))),
        b'!' => Reader::Blob(|bytes| Some(Element::Error(bytes))),
        b'=' => Reader::Blob(verbatim),
        b'*' => Reader::Aggregate(Aggregate::Array, 1),
        b'~' => Reader::Aggregate(Aggregate::Set, 1),
        b'>' => Reader::Aggregate(Aggregate::Push, 1),
        b'%' => Reader::Aggregate(Aggregate::Map, 2),
        b'|' => Reader::Aggregate(Aggregate::Attribute, 2),
        b';' | b'.' => return Err(FrameError::Streamed),
        other => return Err(FrameError::UnknownType(other)),
    })
}

/// The length in a header; `None` is RESP2's null, which only some types have.
fn length(text: &[u8], nullable: bool) -> Result<Option<usize>, FrameError> {
    match text {
        b"?" => Err(FrameError::Streamed),
        b"-1" if nullable => Ok(None),
        _ => parse_i64(text)
            .and_then(|length| usize::try_from(length).ok())
            .map(Some)
            .ok_or(FrameError::InvalidLength),
    }
}

fn blob(
    input: &[u8],
    start: usize,
    bytes: usize,
    max_bytes: usize,
    parse: Parse,
) -> Result<Option<(Element<'_>, usize)>, FrameError> {
    let end = start.saturating_add(bytes);
    let after = end.saturating_add(2);
    if after > max_bytes {
        return Err(FrameError::TooBig);
    }
    match input.get(end..after) {
        None => Ok(None),
        Some(b"\r\n") => parse(&input[start..end])
            .map(|element| Some((element, after)))
            .ok_or(FrameError::InvalidScalar),
        Some(_) => Err(FrameError::BrokenLine),
    }
}

fn double(text: &[u8]) -> Option<Element<'_>> {
    str::from_utf8(text).ok()?.parse().ok().map(Element::Double)
}

fn boolean(text: &[u8]) -> Option<Element<'_>> {
    match text {
        b"t" => Some(Element::Boolean(true)),
        b"f" => Some(Element::Boolean(false)),
        _ => None,
    }
}

fn big_number(text: &[u8]) -> Option<Element<'_>> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| is_number).map(Element::BigNumber)
}

fn verbatim(bytes: &[u8]) -> Option<Element<'_>> {
    let (format, text) = bytes.split_at_checked(3)?;
    Some(Element::Verbatim { format, text: text.strip_prefix(b":")? })
}
