//! Which tests failed, and why: of a long run one wants to know that first, and it stands last.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// How much is told of why a test failed, in lines.
const WHY_LINES: usize = 4;

/// Runs `cargo test …`, passing on what it writes as it comes; the tests that failed and why, or what else did.
pub(super) fn of(test: &mut Command) -> Result<Vec<String>> {
    let mut child =
        test.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {test:?}"))?;
    let mut failed = Failed::default();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line)? > 0 {
            let said = String::from_utf8_lossy(&line);
            print!("{said}");
            failed.see(&said);
            line.clear();
        }
    }
    let status = child.wait()?;
    // Tests may print such lists, too.
    if status.success() {
        return Ok(Vec::new());
    }
    if failed.names.is_empty() {
        failed.names.push(format!("no test, but {status}"));
    }
    Ok(failed.told())
}

/// Reads what each test program ends with: what the tests that failed wrote, and their names.
#[derive(Default)]
struct Failed {
    names: Vec<String>,
    in_list: bool,
    /// The test of which the output comes.
    of: String,
    /// The first lines of what went wrong, by test.
    why: BTreeMap<String, Vec<String>>,
}

impl Failed {
    fn see(&mut self, line: &str) {
        let line = line.trim_end();
        self.see_why(line);
        match line.strip_prefix("    ") {
            _ if line == "failures:" => self.in_list = true,
            Some(name) if self.in_list && !name.contains(' ') => {
                if !self.names.iter().any(|known| known == name) {
                    self.names.push(name.to_owned());
                }
            }
            _ => self.in_list = false,
        }
    }

    fn see_why(&mut self, line: &str) {
        let heading = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"));
        if let Some(name) = heading {
            name.clone_into(&mut self.of);
        } else if line == "failures:" || line == "successes:" {
            self.of.clear();
        }
        let begins = line.starts_with("Error: ") || line.starts_with("thread '");
        match self.why.get_mut(&self.of) {
            Some(why) if why.len() < WHY_LINES && !line.is_empty() => why.push(line.to_owned()),
            None if begins && !self.of.is_empty() => {
                self.why.insert(self.of.clone(), vec![line.to_owned()]);
            }
            _ => {}
        }
    }

    /// The names, and below each why.
    fn told(self) -> Vec<String> {
        let why = |name: &str| self.why.get(name).into_iter().flatten();
        let told = |name: &String| {
            why(name).fold(name.clone(), |told, line| format!("{told}\n    {line}"))
        };
        self.names.iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_stand_in_the_last_list_of_each_program() {
        let output = "test a::b ... FAILED\n\nfailures:\n\n---- a::b stdout ----\n    no name\n\n\
                      failures:\n    a::b\n    c\n\ntest result: FAILED.\n    d\n\
                      failures:\n    e\n    a::b\n";
        let mut failed = Failed::default();
        output.lines().for_each(|line| failed.see(line));
        assert_eq!(failed.names, ["a::b", "c", "e"]);
    }

    #[test]
    fn why_a_test_failed_stands_below_its_name() {
        let output = "successes:\n\n---- fine stdout ----\nError: none\n\nfailures:\n\n\
                      ---- a::b stdout ----\nsome words\n\nthread 'a::b' panicked at x.rs:1:\nwrong\n\
                      1\n2\n3\n\n---- c stdout ----\nError: late\n\nfailures:\n    a::b\n    c\n    e\n";
        let mut failed = Failed::default();
        output.lines().for_each(|line| failed.see(line));
        let panicked = "a::b\n    thread 'a::b' panicked at x.rs:1:\n    wrong\n    1\n    2";
        assert_eq!(failed.told(), [panicked, "c\n    Error: late", "e"]);
    }

    #[test]
    fn what_fails_without_a_test_is_told_too() {
        let mut sh = Command::new("sh");
        let failed = of(sh.args(["-c", "exit 3"])).unwrap();
        assert_eq!(failed, ["no test, but exit status: 3"]);
        let mut sh = Command::new("sh");
        let passed = of(sh.args(["-c", "printf 'failures:\\n    some::test\\n'"])).unwrap();
        assert!(passed.is_empty(), "{passed:?}");
    }
}
