//! Bytes that no honest server sends get an error, at once and for little memory.

use ringcache_wire::frame::{FrameError, FrameScanner, MAX_DEPTH};
use ringcache_wire::value::{MAX_REPLY_BYTES, decode};

/// What scanner and decoder say about `input`: the same, always.
fn check(input: &[u8], expected: Result<Option<usize>, FrameError>) {
    let shown = input[..input.len().min(60)].escape_ascii().to_string();
    let scanned = FrameScanner::new(MAX_REPLY_BYTES).scan(input);
    assert_eq!(scanned, expected, "{shown}");
    let decoded = decode(input).map(|reply| reply.map(|(_, length)| length));
    assert_eq!(decoded, expected, "{shown}");
}

#[test]
fn broken_replies_are_refused() {
    use FrameError::{BrokenLine, InvalidLength, InvalidScalar, Streamed, TooBig, UnknownType};
    for (input, error) in [
        ("$18446744073709551615\r\nx", InvalidLength),
        ("$9223372036854775807\r\nx", TooBig),
        ("$5abc\r\nhello\r\n", InvalidLength),
        ("$-2\r\n", InvalidLength),
        ("$\r\n", InvalidLength),
        ("=-1\r\n", InvalidLength),
        ("%-1\r\n", InvalidLength),
        ("*1000000000\r\n", TooBig),
        ("%9223372036854775807\r\n", TooBig),
        ("$1\r\nxy\r", BrokenLine),
        ("+a\rb", BrokenLine),
        ("+a\n", BrokenLine),
        (":\r\n", InvalidScalar),
        (":1.5\r\n", InvalidScalar),
        (":9223372036854775808\r\n", InvalidScalar),
        ("_x\r\n", InvalidScalar),
        ("#true\r\n", InvalidScalar),
        (",one\r\n", InvalidScalar),
        ("(-\r\n", InvalidScalar),
        ("(1x\r\n", InvalidScalar),
        ("=3\r\ntxt\r\n", InvalidScalar),
        ("=4\r\ntxt-\r\n", InvalidScalar),
        ("$?\r\n", Streamed),
        ("*?\r\n", Streamed),
        (";4\r\n", Streamed),
        (".\r\n", Streamed),
        ("PING\r\n", UnknownType(b'P')),
        ("\0", UnknownType(0)),
        ("*1\r\nx", UnknownType(b'x')),
    ] {
        check(input.as_bytes(), Err(error));
    }
}

#[test]
fn nesting_at_the_limit_passes_and_one_level_more_does_not() {
    for header in ["*1\r\n", "%1\r\n:1\r\n", "~1\r\n", ">1\r\n", "|1\r\n:1\r\n"] {
        let nested = |levels: usize| [header.repeat(levels), "*0\r\n".to_owned()].concat();
        let at_limit = FrameScanner::new(MAX_REPLY_BYTES).scan(nested(MAX_DEPTH).as_bytes());
        assert!(at_limit.is_ok(), "{header:?}: {at_limit:?}");
        check(nested(MAX_DEPTH).as_bytes(), at_limit);
        check(nested(MAX_DEPTH + 1).as_bytes(), Err(FrameError::TooDeep));
    }
}

#[test]
fn a_million_levels_are_refused_without_overflowing_the_stack() {
    check("*1\r\n".repeat(1_000_000).as_bytes(), Err(FrameError::TooDeep));
    check("|1\r\n".repeat(1_000_000).as_bytes(), Err(FrameError::TooDeep));
}

#[test]
fn endless_attributes_stop_at_the_size_limit() {
    let input = "|0\r\n".repeat(1000);
    let mut scanner = FrameScanner::new(input.len() - 1);
    assert_eq!(scanner.scan(input.as_bytes()), Err(FrameError::TooBig));
}

#[test]
fn a_reply_at_the_size_limit_passes_and_one_byte_more_does_not() {
    for reply in ["+abc\r\n", "$3\r\nabc\r\n", "*2\r\n:1\r\n:2\r\n", "_\r\n", "*-1\r\n"] {
        let scan = |max_bytes| FrameScanner::new(max_bytes).scan(reply.as_bytes());
        assert_eq!(scan(reply.len()), Ok(Some(reply.len())), "{reply:?}");
        assert_eq!(scan(reply.len() - 1), Err(FrameError::TooBig), "{reply:?}");
    }
}

#[test]
fn what_cannot_fit_is_refused_at_its_header() {
    let scan = |header: &str| FrameScanner::new(100).scan(header.as_bytes());
    assert_eq!(scan("$93\r\n"), Ok(None));
    assert_eq!(scan("$94\r\n"), Err(FrameError::TooBig));
    assert_eq!(scan("*31\r\n"), Ok(None));
    assert_eq!(scan("*32\r\n"), Err(FrameError::TooBig));
    assert_eq!(scan("%15\r\n"), Ok(None));
    assert_eq!(scan("%16\r\n"), Err(FrameError::TooBig));
    assert_eq!(scan(&format!("+{}", "x".repeat(97))), Ok(None));
    assert_eq!(scan(&format!("+{}", "x".repeat(98))), Err(FrameError::TooBig));
}
