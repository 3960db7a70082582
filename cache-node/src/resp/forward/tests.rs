//! What is sent arrives, at the limits too, and nonsense is refused.

use ringcache_wire::encode_command;
use ringcache_wire::request::{Parsed, ProtocolError, RequestParser};

use super::*;
use crate::account::Account;
use crate::clock::Clock;

fn lease() -> Lease {
    Account::new(0, Clock::start()).open(false).lease()
}

fn bytes<'a>(words: &[&'a str]) -> Vec<&'a [u8]> {
    words.iter().map(|word| word.as_bytes()).collect()
}

fn words(args: Args<'_>) -> Vec<String> {
    args.iter().map(|arg| String::from_utf8(arg.to_vec()).unwrap()).collect()
}

fn arrive<R>(sent: &[u8], look: impl FnOnce(Result<Forwarded<'_>, Refused>) -> R) -> R {
    let mut parser = RequestParser::new(limits());
    parser.parse(sent).unwrap();
    look(unwrap(parser.args(sent), lease))
}

#[test]
fn a_request_arrives_as_it_was_sent() {
    arrive(&wrap(bytes(&["GET", "k"]).into_iter(), None).unwrap(), |forwarded| {
        let forwarded = forwarded.unwrap();
        assert_eq!(words(forwarded.request), ["GET", "k"]);
        assert!(forwarded.transaction.is_none());
    });
}

#[test]
fn a_transaction_arrives_whole() {
    let mut transaction = Transaction::new(lease());
    for command in [&["SET", "k", "3"][..], &["GET", "k"]] {
        let spec = lookup(command[0].as_bytes()).unwrap();
        transaction.push(spec, bytes(command).into_iter()).unwrap();
    }
    let request = wrap(bytes(&["EXEC"]).into_iter(), Some(&transaction)).unwrap();
    arrive(&request, |forwarded| {
        let forwarded = forwarded.unwrap();
        assert_eq!(words(forwarded.request), ["EXEC"]);
        let transaction = forwarded.transaction.unwrap();
        let commands: Vec<_> = transaction.commands().map(|(_, args)| words(args)).collect();
        assert_eq!(commands, [vec!["SET", "k", "3"], vec!["GET", "k"]]);
    });
}

#[test]
fn what_no_node_sends_is_refused() {
    for broken in [
        &["GET", "k"][..],
        &["RC.FWD"],
        &["RC.FWD", "EXEC", "3", "GET", "k"],
        &["RC.FWD", "EXEC", "-1", "GET", "k"],
        &["RC.FWD", "EXEC", "0", "GET", "k"],
        &["RC.FWD", "EXEC", "1", "GET"],
    ] {
        let mut sent = Vec::new();
        encode_command(&mut sent, &bytes(broken));
        arrive(&sent, |refused| {
            assert_eq!(refused.unwrap_err(), Refused::Malformed, "{broken:?}");
        });
    }
}

/// What a parser says to a request, and how many arguments it has; a forwarded one is announced if it is large.
fn parsed(limits: Limits, request: &[u8]) -> Result<usize, ProtocolError> {
    let request = request
        .get(Announcement::BYTES..)
        .filter(|_| request.starts_with(b"RC."))
        .unwrap_or(request);
    let mut parser = RequestParser::new(Limits { free_args: usize::MAX, ..limits });
    parser.parse(request).map(|_| parser.args(request).len())
}

#[test]
fn a_request_at_a_clients_limits_can_be_forwarded_and_one_above_is_refused_to_the_client() {
    let of_clients = connection::limits(MAX_MESSAGE_BYTES);
    let most = of_clients.max_args;
    let many = |count: usize| {
        let mut request = Vec::new();
        encode_command(&mut request, &vec![&b""[..]; count]);
        request
    };
    assert_eq!(parsed(of_clients, &many(most)), Ok(most));
    assert!(parsed(of_clients, &many(most + 1)).is_err());
    let empty = std::iter::repeat_n(&b""[..], most);
    assert_eq!(parsed(limits(), &wrap(empty, None).unwrap()), Ok(most + 1));

    // Values of 8 MiB, and one that fills up the rest.
    let large = vec![b'v'; of_clients.max_bulk_bytes];
    let args = |last: usize| [&b"MSET"[..], &large, &large, &large, &large[..last]];
    let full = |last: usize| {
        let mut request = Vec::new();
        encode_command(&mut request, &args(last));
        request
    };
    let last = large.len() - (full(large.len()).len() - of_clients.max_request_bytes);
    assert_eq!(full(last).len(), of_clients.max_request_bytes);
    assert_eq!(parsed(of_clients, &full(last)), Ok(5));
    assert!(parsed(of_clients, &full(last + 1)).is_err());
    assert_eq!(parsed(limits(), &wrap(args(last).into_iter(), None).unwrap()), Ok(6));
}

#[test]
fn a_transaction_with_as_many_arguments_as_a_request_can_be_forwarded_and_one_more_cannot() {
    let most = connection::MAX_ARGS;
    let spec = lookup(b"DEL").unwrap();
    let account = Account::new(64 << 30, Clock::start());
    let mut transaction = Transaction::new(account.open(false).lease());
    for _ in 0..MAX_QUEUED {
        transaction.push(spec, std::iter::repeat_n(&b""[..], most / MAX_QUEUED)).unwrap();
    }
    let exec = || bytes(&["EXEC"]).into_iter();
    let request = wrap(exec(), Some(&transaction)).unwrap();
    assert_eq!(parsed(limits(), &request), Ok(limits().max_args));
    transaction.push(spec, bytes(&["PING"]).into_iter()).unwrap();
    assert!(wrap(exec(), Some(&transaction)).is_err());
}

#[test]
fn what_a_node_says_instead_of_a_reply_arrives_as_it_was_said() {
    let ask = Answer::Ask(BusAddress { host: "::1".into(), port: 7 }, 64);
    for answer in [Answer::Wait(0), Answer::Wait(64), Answer::NoMemory, ask] {
        assert_eq!(Answer::read(format!("-{}\r\n", answer.text()).into()), answer);
    }
    for reply in ["-ERR RC.WAIT 0\r\n", "$9\r\nRC.WAIT 0\r\n", "-RC.ASK 1 h\r\n", "+RC.WAIT 0\r\n"]
    {
        assert_eq!(Answer::read(reply.into()), Answer::Reply(reply.into()));
    }
}

#[test]
fn what_is_left_of_a_flush_is_read_and_nonsense_is_not() {
    assert_eq!(left_of_flush(b"+OK\r\n"), Some(SlotSet::new()));
    let left = SlotSet::from_ranges([1..=2, 9..=9]);
    assert_eq!(left_of_flush(b"*4\r\n:1\r\n:2\r\n:9\r\n:9\r\n"), Some(left));
    for broken in ["-ERR no\r\n", "*1\r\n:1\r\n", "*2\r\n:2\r\n:1\r\n", "*2\r\n:0\r\n:16384\r\n"] {
        assert_eq!(left_of_flush(broken.as_bytes()), None, "{broken}");
    }
}

#[test]
fn a_large_request_is_announced_with_its_size_and_a_small_one_is_not() {
    let large = vec![b'v'; LARGE];
    let request = wrap([&b"SET"[..], b"k", &large].into_iter(), None).unwrap();
    let mut parser = RequestParser::new(limits());
    let parsed = parser.parse(&request).unwrap();
    assert_eq!(parsed, Parsed::Request { consumed: Announcement::BYTES });
    let size = Announcement { bytes: request.len() - Announcement::BYTES, args: 4 };
    assert_eq!(Announcement::read(parser.args(&request)), Some(size));

    let header = "*4\r\n$6\r\nRC.FWD\r\n$3\r\nSET\r\n$1\r\nk\r\n$65488\r\n\r\n".len();
    let small = &large[..LARGE - header];
    let request = wrap([&b"SET"[..], b"k", small].into_iter(), None).unwrap();
    assert_eq!((request.len(), &request[..4]), (LARGE, &b"*4\r\n"[..]));
}
