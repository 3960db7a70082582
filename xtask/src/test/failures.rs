//! Which tests failed: of a long run one wants to know that first, and it stands last.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// Runs `cargo test …`, passing on what it writes as it comes; the names of the tests that failed, or what else did.
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
    Ok(failed.names)
}

/// Reads the lists that each test program ends with.
#[derive(Default)]
struct Failed {
    names: Vec<String>,
    in_list: bool,
}

impl Failed {
    fn see(&mut self, line: &str) {
        let line = line.trim_end();
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
    fn what_fails_without_a_test_is_told_too() {
        let mut sh = Command::new("sh");
        let failed = of(sh.args(["-c", "exit 3"])).unwrap();
        assert_eq!(failed, ["no test, but exit status: 3"]);
        let mut sh = Command::new("sh");
        let passed = of(sh.args(["-c", "printf 'failures:\\n    some::test\\n'"])).unwrap();
        assert!(passed.is_empty(), "{passed:?}");
    }
}
