//! What a single request may cost the others: bounded error lines, steps and arguments.

use std::slice::from_ref;

use ringcache_wire::table::COMMANDS;

use super::{Client, Server};

/// The longest error line, its code and line end included.
const MAX_ERROR_LINE: usize = 512;

/// Sends the words and returns the reply; nothing if the connection was closed.
fn reply_to(client: &mut Client, words: &[Vec<u8>]) -> String {
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    client.ask_words(&words)
}

#[test]
fn no_error_line_is_long_whatever_the_arguments() {
    let server = Server::start();
    let long_text = b"x\r\n\xff ".repeat(500);
    let every = COMMANDS.iter().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands));
    let mut requests: Vec<Vec<Vec<u8>>> = vec![vec![long_text.clone(); 3]];
    for spec in every {
        let name: Vec<Vec<u8>> =
            spec.name.split('|').map(|word| word.as_bytes().to_vec()).collect();
        for args in 0..5_usize {
            for long in 0..1_usize << args {
                let pick = |arg: usize| {
                    if long >> arg & 1 == 1 { long_text.clone() } else { b"10".to_vec() }
                };
                requests.push(name.iter().cloned().chain((0..args).map(pick)).collect());
            }
        }
    }
    for before in [&[][..], &["MULTI"]] {
        for request in &requests {
            // A connection of its own: some commands close it or change what it is told.
            let mut client = server.connect();
            for command in before {
                client.ask(command);
            }
            let reply = reply_to(&mut client, request);
            if let Some(error) = reply.strip_prefix('-') {
                let lines = error.trim_end_matches("\r\n");
                assert!(reply.len() <= MAX_ERROR_LINE, "{} bytes: {reply:.600}", reply.len());
                assert!(!lines.contains(['\r', '\n']), "{lines}");
            }
        }
    }
}

#[test]
fn an_error_quotes_a_text_to_its_limit_and_shows_what_cannot_be_printed() {
    let server = Server::start();
    let mut client = server.connect();
    let quoted = |option: &[u8], shown: &str| {
        let mut client = server.connect();
        let reply = client.ask_words(&[b"EXPIRE", b"k", b"10", option]);
        assert_eq!(reply, format!("-ERR Unsupported option {shown}\r\n"));
    };
    quoted(b"NOPE", "NOPE");
    quoted(b"a\r\nb\x00", r"a\r\nb\u{0}");
    quoted(&[b'x'; 128], &"x".repeat(128));
    quoted(&[b'x'; 129], &"x".repeat(128));
    quoted(&[0; 129], &r"\u{0}".repeat(128 / 5));
    client.check(&[("PING", "+PONG\r\n")]);
}

/// Before a transaction runs there is memory for so many bytes of each reply that is no value.
const RESERVED: usize = 256;

#[test]
fn no_error_within_a_transaction_is_longer_than_what_was_reserved_for_it() {
    let server = Server::start();
    let long_text = b"x\r\n\xff ".repeat(500);
    let mut seen = 0;
    for spec in COMMANDS {
        for args in 0..6_usize {
            for long in 0..1_usize << args {
                let pick = |arg: usize| {
                    if long >> arg & 1 == 1 { long_text.clone() } else { b"10".to_vec() }
                };
                let name = spec.name.as_bytes().to_vec();
                let request: Vec<_> = std::iter::once(name).chain((0..args).map(pick)).collect();
                let mut client = server.connect();
                client.ask("MULTI");
                if reply_to(&mut client, &request) != "+QUEUED\r\n" {
                    continue;
                }
                let reply = client.ask("EXEC");
                if let Some(error) = reply.strip_prefix("*1\r\n").filter(|r| r.starts_with('-')) {
                    seen += 1;
                    assert!(error.len() <= RESERVED, "{} bytes: {error:.600}", error.len());
                }
            }
        }
    }
    assert!(seen > 50, "{seen} errors");
}

/// Matching takes time in proportion to the pattern's length, for every text that it is matched against.
#[test]
fn patterns_are_taken_up_to_their_limits_and_not_beyond() {
    let server = Server::start();
    let mut client = server.connect();
    let mut ask = |words: &[&[u8]], patterns: &[Vec<u8>]| {
        let patterns = patterns.iter().map(Vec::as_slice);
        client.ask_words(&words.iter().copied().chain(patterns).collect::<Vec<_>>())
    };
    let (longest, longer) = (vec![b'*'; 1024], vec![b'*'; 1025]);
    let too_long = "-ERR pattern is longer than 1024 bytes\r\n";
    let list: &[&[u8]] = &[b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN"];
    let config: &[&[u8]] = &[b"CONFIG", b"GET"];
    for (command, begins) in [(list, "*"), (config, "*22\r\n")] {
        assert!(ask(command, from_ref(&longest)).starts_with(begins));
        assert_eq!(ask(command, from_ref(&longer)), too_long);
    }
    assert_eq!(ask(config, &[b"none".to_vec(), longer]), too_long);
    assert!(ask(config, &vec![b"PO*".to_vec(); 1024]).starts_with("*2\r\n$4\r\nport\r\n"));
    let too_many = "-ERR more than 1024 patterns at a time\r\n";
    assert_eq!(ask(config, &vec![b"PO*".to_vec(); 1025]), too_many);
    let mut most = vec![longest; 32];
    assert!(ask(config, &most).starts_with("*22\r\n"));
    most.push(b"x".to_vec());
    let too_long = "-ERR patterns are longer than 32768 bytes together\r\n";
    assert_eq!(ask(config, &most), too_long);
}
