use super::{Output, Proto, ReplyWriter};

/// What `write` writes in RESP2 and in RESP3.
fn check(write: impl Fn(&mut ReplyWriter<'_>), resp2: &str, resp3: &str) {
    for (proto, expected) in [(Proto::Resp2, resp2), (Proto::Resp3, resp3)] {
        let mut out = Output::new(expected.len());
        write(&mut ReplyWriter::new(&mut out, proto));
        assert_eq!(String::from_utf8_lossy(&out), expected, "{proto:?}");
        assert!(!out.is_full());
    }
}

#[test]
fn scalars_of_resp2_are_the_same_in_resp3() {
    check(|reply| reply.simple("OK"), "+OK\r\n", "+OK\r\n");
    check(|reply| reply.error("ERR no"), "-ERR no\r\n", "-ERR no\r\n");
    check(
        |reply| reply.integer(i64::MIN),
        ":-9223372036854775808\r\n",
        ":-9223372036854775808\r\n",
    );
    check(|reply| reply.bulk(b"a\r\nb"), "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n");
    check(|reply| reply.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n");
    check(|reply| reply.array(3), "*3\r\n", "*3\r\n");
    check(|reply| reply.raw(b":1\r\n"), ":1\r\n", ":1\r\n");
}

#[test]
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "The method itself is not general enough: its writer has one lifetime."
)]
fn each_protocol_has_its_own_nulls_and_aggregates() {
    check(|reply| reply.null(), "$-1\r\n", "_\r\n");
    check(|reply| reply.null_array(), "*-1\r\n", "_\r\n");
    check(|reply| reply.map(7), "*14\r\n", "%7\r\n");
    check(|reply| reply.set(2), "*2\r\n", "~2\r\n");
    check(|reply| reply.push(2), "*2\r\n", ">2\r\n");
    check(|reply| reply.boolean(true), ":1\r\n", "#t\r\n");
    check(|reply| reply.boolean(false), ":0\r\n", "#f\r\n");
    check(|reply| reply.verbatim("txt", "a\nb"), "$3\r\na\nb\r\n", "=7\r\ntxt:a\nb\r\n");
}

#[test]
fn doubles_are_written_in_the_fewest_digits() {
    check(|reply| reply.double(0.0), "$1\r\n0\r\n", ",0\r\n");
    check(|reply| reply.double(-1.5), "$4\r\n-1.5\r\n", ",-1.5\r\n");
    check(|reply| reply.double(f64::INFINITY), "$3\r\ninf\r\n", ",inf\r\n");
    check(|reply| reply.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    check(|reply| reply.double(f64::NAN), "$3\r\nnan\r\n", ",nan\r\n");
    check(|reply| reply.double(1e300), "$5\r\n1e300\r\n", ",1e300\r\n");
    let longest = -1.234_567_890_123_456_7e-300;
    check(
        |reply| reply.double(longest),
        "$24\r\n-1.2345678901234568e-300\r\n",
        ",-1.2345678901234568e-300\r\n",
    );
    check(|reply| reply.double(f64::from_bits(1)), "$6\r\n5e-324\r\n", ",5e-324\r\n");
}

#[test]
fn a_line_end_in_an_error_cannot_forge_another_reply() {
    let forged = "ERR unknown command 'x\r\n+OK\r\n'";
    let line = "-ERR unknown command 'x  +OK  '\r\n";
    check(|reply| reply.error(forged), line, line);
    check(|reply| reply.simple("a\nb"), "+a b\r\n", "+a b\r\n");
}
