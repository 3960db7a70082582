//! Reading what was written: whole, in pieces, one after the other.

use proptest::prelude::*;
use ringcache_wire::frame::{FrameError, FrameScanner};
use ringcache_wire::reply::Proto;
use ringcache_wire::value::{MAX_REPLY_BYTES, Value, decode};

use crate::model::{any_reply, in_resp2, written};

/// The lengths of the replies that a connection delivers in `pieces`, and the error that ended it.
fn scan_all(pieces: &[&[u8]]) -> (Vec<usize>, Option<FrameError>) {
    let mut scanner = FrameScanner::new(MAX_REPLY_BYTES);
    let mut buffer = Vec::new();
    let mut lengths = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match scanner.scan(&buffer) {
                Err(error) => return (lengths, Some(error)),
                Ok(None) => break,
                Ok(Some(length)) => {
                    lengths.push(length);
                    buffer.drain(..length);
                }
            }
        }
    }
    (lengths, None)
}

/// The same, by decoding.
fn decode_all(mut input: &[u8]) -> (Vec<usize>, Option<FrameError>) {
    let mut lengths = Vec::new();
    loop {
        match decode(input) {
            Err(error) => return (lengths, Some(error)),
            Ok(None) => return (lengths, None),
            Ok(Some((_, length))) => {
                lengths.push(length);
                input = &input[length..];
            }
        }
    }
}

/// Replies one after the other, with tokens of the protocol thrown in between.
fn connection_bytes() -> impl Strategy<Value = Vec<u8>> {
    let tokens = vec![
        "*2\r\n",
        "*0\r\n",
        "*-1\r\n",
        "$-1\r\n",
        "$1\r\nx\r\n",
        "%1\r\n",
        "|1\r\n",
        "|0\r\n",
        "+a\r\n",
        "-b\r\n",
        ":1\r\n",
        "_\r\n",
        "#t\r\n",
        ",1.5\r\n",
        "(12\r\n",
        "=5\r\ntxt:x\r\n",
        "!1\r\ne\r\n",
        "$",
        "*",
        "1",
        "-",
        "x",
        "\r",
        "\n",
        "\r\n",
        "?",
        ">1\r\n",
        "~1\r\n",
    ];
    let tokens = prop::collection::vec(prop::sample::select(tokens), 0..10);
    let tokens = tokens.prop_map(|tokens| tokens.concat().into_bytes());
    let reply = any_reply().prop_map(|value| written(&value, Proto::Resp3));
    prop::collection::vec(prop_oneof![reply, tokens], 0..5).prop_map(|pieces| pieces.concat())
}

#[test]
fn attributes_belong_to_the_element_they_stand_before_and_are_left_out() {
    let input = b"|1\r\n+ttl\r\n:5\r\n*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n:2\r\n|0\r\n:3\r\n+next\r\n";
    let length = input.len() - b"+next\r\n".len();
    let value = Value::Array(vec![Value::Integer(2), Value::Integer(3)]);
    assert_eq!(decode(input), Ok(Some((value, length))));
    assert_eq!(scan_all(&[input]), (vec![length, 7], None));
}

#[test]
fn bytes_that_are_no_text_are_replaced_in_texts_and_kept_in_bulk_strings() {
    assert_eq!(decode(b"-ERR \xff\r\n"), Ok(Some((Value::Error("ERR \u{fffd}".into()), 8))));
    assert_eq!(decode(b"$1\r\n\xff\r\n"), Ok(Some((Value::Bulk(vec![0xff]), 7))));
}

proptest! {
    #[test]
    fn a_written_reply_reads_back(value in any_reply()) {
        let resp3 = written(&value, Proto::Resp3);
        prop_assert_eq!(decode(&resp3), Ok(Some((value.clone(), resp3.len()))));
        let resp2 = written(&value, Proto::Resp2);
        prop_assert_eq!(decode(&resp2), Ok(Some((in_resp2(&value), resp2.len()))));
    }

    #[test]
    fn no_part_of_a_reply_is_a_reply(value in any_reply()) {
        let bytes = written(&value, Proto::Resp3);
        for end in 0..bytes.len() {
            prop_assert_eq!(decode(&bytes[..end]), Ok(None), "{} bytes", end);
        }
    }

    #[test]
    fn the_scanner_finds_what_the_decoder_reads(input in connection_bytes()) {
        prop_assert_eq!(scan_all(&[&input]), decode_all(&input));
    }

    #[test]
    fn any_cut_into_two_pieces_changes_nothing(input in connection_bytes()) {
        let whole = scan_all(&[&input]);
        for cut in 0..=input.len() {
            let (head, tail) = input.split_at(cut);
            prop_assert_eq!(&scan_all(&[head, tail]), &whole, "cut at {}", cut);
        }
    }

    #[test]
    fn byte_by_byte_changes_nothing(input in connection_bytes()) {
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(scan_all(&bytes), scan_all(&[&input]));
    }
}
