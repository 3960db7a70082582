//! Words that may not stand in the source.

use super::dependencies::PURE;
use super::source::Source;

/// Left-overs, each with what to do instead. Spelled in parts: this file is checked too.
const FORBIDDEN: [(&str, &str); 5] = [
    (concat!("TO", "DO"), "do it, or file an issue"),
    (concat!("FIX", "ME"), "fix it, or file an issue"),
    (concat!("dbg", "!"), "log it, or leave it out"),
    (concat!("#[ign", "ore"), "a test that does not run is none"),
    (concat!("to", "do!"), "write it, or return an error"),
];

/// Where time and chance come from, when they do not come as arguments.
const CLOCKS_AND_CHANCE: [&str; 6] =
    ["SystemTime::now", "Instant::now", "getrandom", "thread_rng", "rand::", "RandomState::new"];

/// Left-overs in any file of Rust, Python, shell or text.
pub(super) fn forbidden(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        for (number, line) in (1..).zip(source.text.lines()) {
            for (word, instead) in FORBIDDEN.iter().filter(|(word, _)| contains_word(line, word)) {
                findings.push(format!("{}:{number}: `{word}`: {instead}", source.path));
            }
        }
    }
    findings
}

/// Clocks and sources of chance in the code of the crates that take both as arguments.
pub(super) fn clocks_and_chance_in_pure_crates(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let pure =
            PURE.iter().any(|(_, folder)| source.path.starts_with(&format!("{folder}/src/")));
        for (number, line) in (1..).zip(source.code()).filter(|_| pure) {
            for word in CLOCKS_AND_CHANCE.iter().filter(|word| contains_word(line, word)) {
                let path = &source.path;
                findings.push(format!(
                    "{path}:{number}: `{word}` in a pure crate: make it an argument"
                ));
            }
        }
    }
    findings
}

/// Whether `word` stands in `line` with no letter, digit or `_` before or after it, where it begins
/// or ends with one.
fn contains_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + word.len()..]);
        !(word.starts_with(part) && before.ends_with(part)
            || word.ends_with(part) && after.starts_with(part))
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    #[test]
    fn left_overs_are_found_with_their_place() {
        for (word, instead) in FORBIDDEN {
            let text = format!("fn a() {{}}\n// {word}(me): later\n");
            let finding = format!("x/tests/a.rs:2: `{word}`: {instead}");
            assert_eq!(forbidden(&[source("x/tests/a.rs", &text)]), [finding]);
        }
    }

    #[test]
    fn parts_of_other_words_are_not_left_overs() {
        let text = format!("{0}S {0}_LIST my_{0} a{1}(x)", FORBIDDEN[0].0, FORBIDDEN[2].0);
        assert_eq!(forbidden(&[source("a.md", &text)]), Vec::<String>::new());
    }

    #[test]
    fn pure_crates_have_no_clock_outside_their_tests() {
        let text = "let now = Instant::now();\n#[cfg(test)]\nmod tests {\nInstant::now()\n}\n";
        let check = |path| clocks_and_chance_in_pure_crates(&[source(path, text)]);
        let finding = "`Instant::now` in a pure crate: make it an argument";
        assert_eq!(check("ring/src/a.rs"), [format!("ring/src/a.rs:1: {finding}")]);
        for elsewhere in
            ["cache-node/src/a.rs", "ring/tests/a.rs", "ring/src/tests.rs", "xring/src/a.rs"]
        {
            assert_eq!(check(elsewhere), Vec::<String>::new(), "{elsewhere}");
        }
    }

    #[test]
    fn every_clock_and_source_of_chance_is_found() {
        for word in CLOCKS_AND_CHANCE {
            let sources = [source("ring/src/a.rs", &format!("    {word}"))];
            assert_eq!(clocks_and_chance_in_pure_crates(&sources).len(), 1, "{word}");
        }
    }
}
