use proptest::prelude::*;

use super::twin;
use super::{Limits, Parsed, ProtocolError, RequestParser};
use crate::encode_command;

const SMALL: Limits = Limits {
    max_args: 8,
    max_bulk_bytes: 64,
    max_inline_bytes: 48,
    max_request_bytes: 256,
    free_args: 3,
};

type Requests = Vec<Vec<Vec<u8>>>;

/// Everything one connection reads: the requests, and the error that ended it, if one did.
fn read_all(pieces: &[&[u8]], limits: Limits) -> (Requests, Option<ProtocolError>) {
    let mut parser = RequestParser::new(limits);
    let mut buffer = Vec::new();
    let mut requests = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match parser.parse(&buffer) {
                Err(error) => return (requests, Some(error)),
                Ok(Parsed::Incomplete { need }) => {
                    assert!(need > 0, "an incomplete request needs something");
                    break;
                }
                Ok(Parsed::Crowded { bytes }) => parser.grant(bytes),
                Ok(Parsed::Request { consumed }) => {
                    requests.push(parser.args(&buffer).iter().map(<[u8]>::to_vec).collect());
                    buffer.drain(..consumed);
                }
            }
        }
    }
    (requests, None)
}

fn read_all_by_twin(mut input: &[u8], limits: Limits) -> (Requests, Option<ProtocolError>) {
    let mut requests = Vec::new();
    loop {
        match twin::parse(input, limits) {
            Err(error) => return (requests, Some(error)),
            Ok(None) => return (requests, None),
            Ok(Some((args, consumed))) => {
                requests.push(args);
                input = &input[consumed..];
            }
        }
    }
}

fn parse_one(input: &[u8], limits: Limits) -> Result<Option<Vec<Vec<u8>>>, ProtocolError> {
    let (mut requests, error) = read_all(&[input], limits);
    match error {
        Some(error) => Err(error),
        None if requests.is_empty() => Ok(None),
        None => Ok(Some(requests.remove(0))),
    }
}

fn check_inline(line: &str, expected: Result<&[&[u8]], ProtocolError>) {
    let found = parse_one(format!("{line}\r\n").as_bytes(), Limits::default());
    let expected = expected.map(|args| Some(args.iter().map(|arg| arg.to_vec()).collect()));
    assert_eq!(found, expected, "{line:?}");
}

#[test]
fn a_multibulk_request_is_ranges_of_the_input() {
    let input = b"*2\r\n$3\r\nGET\r\n$5\r\nk\r\n\0x\r\nPING\r\n";
    let mut parser = RequestParser::new(Limits::default());
    assert_eq!(parser.parse(input), Ok(Parsed::Request { consumed: 24 }));
    let args = parser.args(input);
    assert_eq!(args.len(), 2);
    assert_eq!(&args[0], b"GET");
    assert_eq!(args.get(1), Some(b"k\r\n\0x".as_slice()));
    assert_eq!(args.get(2), None);
    assert_eq!(args[1].as_ptr(), input[17..].as_ptr(), "not copied");
}

#[test]
fn an_incomplete_bulk_says_how_much_is_missing() {
    let mut parser = RequestParser::new(Limits::default());
    let input = b"*1\r\n$1000\r\nabc";
    assert_eq!(parser.parse(input), Ok(Parsed::Incomplete { need: 999 }));
}

#[test]
fn empty_requests_are_consumed_and_have_no_arguments() {
    let (requests, error) = read_all(&[b"*0\r\n*-1\r\n\r\n\n   \r\nPING\r\n"], Limits::default());
    assert_eq!(error, None);
    assert_eq!(requests.len(), 6);
    assert!(requests[..5].iter().all(Vec::is_empty), "{requests:?}");
    assert_eq!(requests[5], [b"PING"]);
}

#[test]
fn inline_requests_follow_the_quoting_rules_of_redis() {
    check_inline("PING", Ok(&[b"PING"]));
    check_inline("  set\tk  v ", Ok(&[b"set", b"k", b"v"]));
    check_inline(r#"set "a b" 'c d'"#, Ok(&[b"set", b"a b", b"c d"]));
    check_inline(r#""\x00\xfF\n\r\t\b\a\"\\\q""#, Ok(&[b"\x00\xff\n\r\t\x08\x07\"\\q"]));
    check_inline(r#""\x4" "\xzz""#, Ok(&[b"x4", b"xzz"]));
    check_inline(r"'\x41\n\'' x", Ok(&[br"\x41\n'", b"x"]));
    check_inline(r"a\x41\n", Ok(&[br"a\x41\n"]));
    check_inline(r#"set "" ''"#, Ok(&[b"set", b"", b""]));
    check_inline(r#""""#, Ok(&[b""]));
    check_inline(r#"foo"bar" baz"#, Ok(&[b"foobar", b"baz"]));
    check_inline("a\u{0b}b \u{0b}c", Ok(&[b"a\x0bb", b"c"]));
    check_inline("a\0b", Ok(&[b"a\0b"]));
    for line in [r#""a"b"#, r#""a"#, "'a", r#""a\""#, r"'a\'", r#"""""#] {
        check_inline(line, Err(ProtocolError::UnbalancedQuotes));
    }
}

#[test]
fn http_requests_are_refused_at_their_first_telling_word() {
    check_inline("POST / HTTP/1.1", Err(ProtocolError::CrossProtocol));
    check_inline("host: localhost", Err(ProtocolError::CrossProtocol));
    check_inline("GET / HTTP/1.1", Ok(&[b"GET", b"/", b"HTTP/1.1"]));
    check_inline("POSTS", Ok(&[b"POSTS"]));
}

#[test]
fn hostile_requests_get_the_error_that_redis_gives() {
    use ProtocolError::{
        ExpectedBulk, InvalidBulkLength, InvalidMultibulkLength, MissingBulkEnd, TooBigBulkCount,
        TooBigMultibulkCount,
    };
    let long = "1".repeat(33);
    for (input, error) in [
        ("*1000000000\r\n", InvalidMultibulkLength),
        ("*99999999999999999999\r\n", InvalidMultibulkLength),
        ("*x\r\n", InvalidMultibulkLength),
        ("*\r\n", InvalidMultibulkLength),
        ("*1\n", InvalidMultibulkLength),
        ("*1\r$", InvalidMultibulkLength),
        ("*+1\r\n", InvalidMultibulkLength),
        ("*1\r\n*1\r\n", ExpectedBulk(b'*')),
        ("*1\r\n:1\r\n", ExpectedBulk(b':')),
        ("*1\r\n\0", ExpectedBulk(0)),
        ("*1\r\n$18446744073709551615\r\nx", InvalidBulkLength),
        ("*1\r\n$9223372036854775807\r\nx", InvalidBulkLength),
        ("*1\r\n$5abc\r\nhello\r\n", InvalidBulkLength),
        ("*1\r\n$-1\r\n", InvalidBulkLength),
        ("*1\r\n$\r\n", InvalidBulkLength),
        ("*1\r\n$01\r\n", InvalidBulkLength),
        ("*1\r\n$1\nx", InvalidBulkLength),
        ("*1\r\n$1\r\nxy\r", MissingBulkEnd),
        ("*1\r\n$1\r\nx\n\n", MissingBulkEnd),
        (&format!("*{long}"), TooBigMultibulkCount),
        (&format!("*1\r\n${long}"), TooBigBulkCount),
    ] {
        assert_eq!(parse_one(input.as_bytes(), Limits::default()), Err(error), "{input:?}");
    }
}

#[test]
fn errors_read_as_in_redis() {
    assert_eq!(ProtocolError::ExpectedBulk(b'*').to_string(), "expected '$', got '*'");
    assert_eq!(ProtocolError::ExpectedBulk(b'\r').to_string(), r"expected '$', got '\r'");
    assert_eq!(ProtocolError::InvalidBulkLength.to_string(), "invalid bulk length");
    assert_eq!(ProtocolError::InvalidMultibulkLength.to_string(), "invalid multibulk length");
    assert_eq!(ProtocolError::TooBigInline.to_string(), "too big inline request");
    assert_eq!(ProtocolError::UnbalancedQuotes.to_string(), "unbalanced quotes in request");
}

#[test]
fn what_is_at_a_limit_passes_and_one_above_does_not() {
    let command = |args: usize, bytes: usize| {
        let mut out = Vec::new();
        encode_command(&mut out, &vec![vec![b'x'; bytes].as_slice(); args]);
        out
    };
    let check = |input: &[u8], limits, error| {
        let found = parse_one(input, limits);
        assert_eq!(found.as_ref().err(), error, "{}", input.escape_ascii());
        assert!(found != Ok(None), "{}", input.escape_ascii());
    };
    check(&command(8, 1), SMALL, None);
    check(&command(9, 1), SMALL, Some(&ProtocolError::InvalidMultibulkLength));
    check(&command(1, 64), SMALL, None);
    check(&command(1, 65), SMALL, Some(&ProtocolError::InvalidBulkLength));
    let exact = command(3, 64);
    check(&exact, Limits { max_request_bytes: exact.len(), ..SMALL }, None);
    check(
        &exact,
        Limits { max_request_bytes: exact.len() - 1, ..SMALL },
        Some(&ProtocolError::TooBigRequest),
    );
    for end in ["\n", "\r\n"] {
        let line = |bytes: usize| format!("{}{end}", "x".repeat(bytes)).into_bytes();
        check(&line(48), SMALL, None);
        check(&line(49), SMALL, Some(&ProtocolError::TooBigInline));
    }
    check(&[b'x'; 50], SMALL, Some(&ProtocolError::TooBigInline));
}

#[test]
fn a_large_bulk_byte_by_byte_costs_one_look_at_each_byte_of_its_headers() {
    let value = vec![b'\r'; 1 << 20];
    let mut input = Vec::new();
    encode_command(&mut input, &[b"SET", b"key", &value]);
    let mut parser = RequestParser::new(Limits::default());
    for end in 0..input.len() {
        assert!(matches!(parser.parse(&input[..end]), Ok(Parsed::Incomplete { .. })));
    }
    assert_eq!(parser.parse(&input), Ok(Parsed::Request { consumed: input.len() }));
    assert_eq!(&parser.args(&input)[2], value);
    // `*3`, `$3`, `$3`, `$1048576`; each CR once more when its LF has come.
    assert!(parser.line.examined <= 40, "{} bytes examined", parser.line.examined);
}

#[test]
fn an_inline_request_byte_by_byte_is_examined_once() {
    let input = [vec![b'x'; 60_000], b"\r\n".to_vec()].concat();
    let mut parser = RequestParser::new(Limits::default());
    for end in 0..input.len() {
        assert!(matches!(parser.parse(&input[..end]), Ok(Parsed::Incomplete { .. })));
    }
    assert_eq!(parser.parse(&input), Ok(Parsed::Request { consumed: input.len() }));
    assert_eq!(parser.line.examined, input.len());
}

#[test]
fn announced_counts_allocate_nothing_and_huge_requests_leave_nothing_behind() {
    let mut parser = RequestParser::new(Limits::default());
    let announced = b"*1048576\r\n$8388608\r\n";
    assert!(matches!(parser.parse(announced), Ok(Parsed::Incomplete { .. })));
    assert_eq!(parser.args.capacity(), 0);

    let mut parser = RequestParser::new(Limits::default());
    let mut many = Vec::new();
    encode_command(&mut many, &vec![b"".as_slice(); 100_000]);
    assert_eq!(parser.parse(&many), Ok(Parsed::Request { consumed: many.len() }));
    assert_eq!(parser.args(&many).len(), 100_000);
    assert!(matches!(parser.parse(b""), Ok(Parsed::Incomplete { need: 1 })));
    assert!(parser.args.capacity() <= 2 * super::KEPT_ARGS, "{}", parser.args.capacity());

    let quoted = format!("\"{}\"\n", "x".repeat(60_000));
    assert!(matches!(parser.parse(quoted.as_bytes()), Ok(Parsed::Request { .. })));
    assert!(matches!(parser.parse(b""), Ok(Parsed::Incomplete { need: 1 })));
    assert!(parser.scratch.capacity() <= 2 * super::KEPT_SCRATCH_BYTES);
}

/// Pieces of requests, whole, broken and hostile, in any order.
fn connection_bytes() -> impl Strategy<Value = Vec<u8>> {
    let command = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 0..10);
    let command = command.prop_map(|args| {
        let mut out = Vec::new();
        encode_command(&mut out, &args.iter().map(Vec::as_slice).collect::<Vec<_>>());
        out
    });
    let words =
        vec!["set", "\"a b\"", "'c'", "\\x41", "\"\\x41\"", "\"", "'", "\\", " ", "\x0b", "POST"];
    let inline = prop::collection::vec(prop::sample::select(words), 0..8);
    let inline = inline.prop_map(|words| [words.concat().as_bytes(), b"\r\n"].concat());
    let tokens =
        vec!["*", "$", "1", "2", "0", "-", "\r\n", "\r", "\n", "x", "9999999999", "$1\r\nx\r\n"];
    let tokens = prop::collection::vec(prop::sample::select(tokens), 0..12);
    let tokens = tokens.prop_map(|tokens| tokens.concat().into_bytes());
    let piece = prop_oneof![4 => command, 3 => inline, 2 => tokens];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    // Eight times `PROPTEST_CASES`: a case takes microseconds.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases * 8,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_parser_agrees_with_its_obvious_twin(input in connection_bytes()) {
        // In an inline request the twin ends at a NUL, as C does.
        let input: Vec<u8> = input.into_iter().filter(|&byte| byte != 0).collect();
        prop_assert_eq!(read_all(&[&input], SMALL), read_all_by_twin(&input, SMALL));
    }

    #[test]
    fn any_cut_into_two_pieces_changes_nothing(input in connection_bytes()) {
        let whole = read_all(&[&input], SMALL);
        for cut in 0..=input.len() {
            let (head, tail) = input.split_at(cut);
            prop_assert_eq!(&read_all(&[head, tail], SMALL), &whole, "cut at {}", cut);
        }
    }

    #[test]
    fn byte_by_byte_changes_nothing(input in connection_bytes()) {
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(read_all(&bytes, SMALL), read_all(&[&input], SMALL));
    }

    #[test]
    fn an_encoded_command_parses_back(
        args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20)
    ) {
        let mut out = Vec::new();
        encode_command(&mut out, &args.iter().map(Vec::as_slice).collect::<Vec<_>>());
        prop_assert_eq!(parse_one(&out, Limits::default()), Ok(Some(args)));
    }

    #[test]
    fn what_is_needed_never_exceeds_what_is_missing(
        args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..8)
    ) {
        let mut out = Vec::new();
        encode_command(&mut out, &args.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let mut parser = RequestParser::new(Limits::default());
        for end in 0..out.len() {
            match parser.parse(&out[..end]) {
                Ok(Parsed::Incomplete { need }) => prop_assert!(need <= out.len() - end),
                other => prop_assert!(false, "{:?} at {}", other, end),
            }
        }
    }
}

#[test]
fn arguments_take_no_more_memory_than_was_granted() {
    let limits = Limits { free_args: 4, ..Limits::default() };
    let input = [&b"*1000\r\n"[..], &b"$1\r\nx\r\n".repeat(1000)].concat();
    let (mut parser, mut granted) = (RequestParser::new(limits), 4 * 16);
    loop {
        match parser.parse(&input).unwrap() {
            Parsed::Crowded { bytes } => {
                assert!(parser.held_bytes() <= granted && granted < bytes && bytes <= 16_000);
                parser.grant(bytes);
                granted = bytes;
            }
            parsed => {
                assert_eq!(parsed, Parsed::Request { consumed: input.len() });
                break;
            }
        }
    }
    assert_eq!((parser.args(&input).len(), parser.held_bytes()), (1000, 16_000));
    let at_the_limit = b"*4\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n";
    let mut parser = RequestParser::new(limits);
    assert!(matches!(parser.parse(at_the_limit), Ok(Parsed::Request { .. })));
    assert!(matches!(RequestParser::new(limits).parse(&[b' '; 9]), Ok(Parsed::Incomplete { .. })));
    let words = b"a b c d e f\r\n";
    assert!(matches!(RequestParser::new(limits).parse(words), Ok(Parsed::Crowded { .. })));
}
