//! The page about the Redis side: its commands are those of the table, its sessions run as they are printed, its errors are
//! those of the code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ringcache_wire::encode_command;
use ringcache_wire::table::{COMMANDS, CommandSpec};
use ringcache_wire::value::{Value, decode};

use super::Server;

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/redis.md"));

/// The first cells of the tables under this head, without the code marks.
fn rows(head: &str) -> Vec<String> {
    let head = format!("{head}\n| --- |");
    let tables = PAGE.split(&head).skip(1);
    let lines = tables.flat_map(|rest| rest.lines().skip(1).take_while(|line| !line.is_empty()));
    let cell = |line: &str| {
        let line = line.replace("\\|", "\u{1}");
        let cell = line.trim_start_matches("| ").split(" |").next().unwrap_or_default();
        cell.trim_matches('`').replace('\u{1}', "|")
    };
    lines.map(cell).collect()
}

/// Words that a request must have, and whether it may have more, read off a synopsis such as `SET key value [NX | XX]`.
fn arity(synopsis: &str) -> (usize, bool) {
    let (mut depth, mut required, mut is_open) = (0, 0, false);
    for word in synopsis.split(' ') {
        let opens = word.matches('[').count();
        depth += opens;
        is_open |= opens > 0 || word.contains('…');
        required += usize::from(depth == 0);
        depth -= word.matches(']').count();
    }
    assert_eq!(depth, 0, "{synopsis}");
    (required, is_open)
}

#[test]
fn the_page_has_every_command_with_as_many_arguments_as_it_takes() {
    let on_page: BTreeSet<(String, (usize, bool))> = rows("| command | differs from Redis |")
        .iter()
        .map(|synopsis| {
            let words: Vec<&str> = synopsis.split(' ').collect();
            let is_container = |spec: &&CommandSpec| spec.name.eq_ignore_ascii_case(words[0]);
            let spec = COMMANDS.iter().find(is_container).expect(synopsis);
            let has_subcommand = words.len() > 1 && !spec.subcommands.is_empty();
            let name = if has_subcommand { words[..2].join("|") } else { words[0].to_owned() };
            // `COMMAND` alone is a command whose arguments, if there are some, are a subcommand.
            let arity = if synopsis == "COMMAND" { (1, true) } else { arity(synopsis) };
            (name.to_lowercase(), arity)
        })
        .collect();
    let of_table = |spec: &CommandSpec| (spec.arity.unsigned_abs() as usize, spec.arity < 0);
    let served: BTreeSet<(String, (usize, bool))> = COMMANDS
        .iter()
        .filter(|spec| spec.subcommands.is_empty() || spec.accepts(1))
        .chain(COMMANDS.iter().flat_map(|spec| spec.subcommands))
        .map(|spec| (spec.name.to_owned(), of_table(spec)))
        .collect();
    assert_eq!(on_page, served);
}

/// A reply as redis-cli prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::Simple(text) => text.clone(),
        Value::Error(text) => format!("(error) {text}"),
        Value::Integer(number) => format!("(integer) {number}"),
        Value::Bulk(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Value::Null => "(nil)".into(),
        Value::Array(values) => {
            let numbered = (1..).zip(values).map(|(n, value)| format!("{n}) {}", shown(value)));
            numbered.collect::<Vec<_>>().join("\n")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_sessions_of_the_page_run_as_they_are_printed() {
    let server = Server::start();
    let sessions: Vec<&str> = PAGE.split("```redis\n").skip(1).collect();
    assert!(sessions.len() >= 2);
    for session in sessions {
        let mut client = server.connect();
        let (session, _) = session.split_once("\n```").unwrap();
        for exchange in session.split("> ").skip(1) {
            let (command, expected) = exchange.split_once('\n').unwrap();
            let mut request = Vec::new();
            let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            encode_command(&mut request, &words);
            client.send(&request);
            let (reply, _) = decode(&client.receive()).unwrap().unwrap();
            assert_eq!(shown(&reply).trim_end(), expected.trim_end(), "{command}");
        }
    }
}

#[test]
fn the_page_states_the_limits_that_are_kept() {
    let server = Server::start();
    let mut client = server.connect();
    let [key, value, many] = [1025, (1 << 20) + 1, 1 << 24].map(|bytes| vec![b'x'; bytes]);
    let keys: Vec<String> = (0..1025).map(|n| format!("{{t}}{n}")).collect();
    let watch: Vec<&[u8]> =
        [&b"WATCH"[..]].into_iter().chain(keys.iter().map(String::as_bytes)).collect();
    for request in [
        &[&b"GET"[..], &key][..],
        &[b"SET", b"k", &value],
        &[b"SCAN", b"0", b"MATCH", &key],
        &watch,
    ] {
        let reply = client.ask_words(request);
        let error = reply.trim_start_matches('-').trim_end();
        assert!(reply.starts_with('-') && PAGE.contains(&format!("`{error}`")), "{error}");
    }
    // Arguments, then bytes of one of them, then of an inline line, then of the whole.
    let mut inline = vec![b'x'; 64 << 10];
    inline.extend_from_slice(b"xx");
    let mut whole = format!("*3\r\n$3\r\nSET\r\n${}\r\n", 8 << 20).into_bytes();
    whole.extend_from_slice(&many[..8 << 20]);
    whole.extend_from_slice(format!("\r\n${}\r\n", 8 << 20).as_bytes());
    for request in [&b"*1048577\r\n"[..], b"*1\r\n$8388609\r\n", &inline, &whole] {
        let mut client = server.connect();
        client.send(request);
        let reply = String::from_utf8_lossy(&client.receive_all()).into_owned();
        let error = reply.trim_start_matches('-').trim_end();
        assert!(reply.starts_with('-') && PAGE.contains(&format!("`{error}`")), "{error}");
    }
}

/// Every source of the Redis side, tests left out.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("tests" | "tests.rs") => {}
            _ if path.is_dir() => found.append(&mut sources(&path)),
            _ => found.push(path),
        }
    }
    found
}

/// The texts of errors in a source: literals that begin with a code in capitals.
fn errors(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let literals = code.split('"').skip(1).step_by(2);
    let is_error = |text: &&str| {
        let (code, rest) = text.split_once(' ').unwrap_or_default();
        code.len() > 2 && code.chars().all(|c| c.is_ascii_uppercase()) && !rest.is_empty()
    };
    literals.filter(is_error).map(str::to_owned).collect()
}

#[test]
fn the_page_has_every_error_that_does_not_begin_with_err() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/resp");
    let mut texts = BTreeSet::new();
    for path in sources(&folder) {
        texts.extend(errors(&std::fs::read_to_string(path).unwrap()));
    }
    texts.retain(|text| !text.starts_with("ERR ") && !text.starts_with("BCAST"));
    let on_page = rows("| error | when | what to do |");
    // What a text has in braces is filled in on the page: compared is what stands around it.
    let fits = |text: &str, row: &str| {
        let mut parts = text.split(['{', '}']).step_by(2);
        let begins = row.starts_with(parts.next().unwrap_or_default());
        begins && parts.all(|part| row.contains(part))
    };
    for text in &texts {
        assert!(on_page.iter().any(|row| fits(text, row)), "not on the page: {text}");
    }
    for row in &on_page {
        assert!(texts.iter().any(|text| fits(text, row)), "no such error: {row}");
    }
    assert!(texts.len() >= 9, "{texts:?}");
}
