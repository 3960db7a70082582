//! The source files of the repository, with code told from tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::output;

/// A text file of the repository.
pub(super) struct Source {
    /// From the root of the repository.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    /// Whether the whole file is test code.
    pub(super) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| matches!(part, "tests" | "tests.rs"))
    }

    /// Its code: the lines before the first module of tests in the file; none in a file of tests.
    pub(super) fn code(&self) -> Vec<&str> {
        if self.is_test() {
            return Vec::new();
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines.windows(2).position(|pair| {
            pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
        });
        lines[..tests.unwrap_or(lines.len())].to_vec()
    }

    pub(super) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }
}

/// Every text file that git knows or would add.
pub(super) fn read(root: &Path) -> Result<Vec<Source>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let paths = output(Command::new("git").current_dir(root).args(list))?;
    let mut sources = Vec::new();
    for path in paths.split_terminator('\0') {
        // A file may be deleted but not yet committed as such.
        if !root.join(path).is_file() {
            continue;
        }
        let bytes = fs::read(root.join(path)).with_context(|| path.to_owned())?;
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}

#[cfg(test)]
pub(super) fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_ends_where_the_module_of_tests_begins() {
        let text = "use a;\n#[cfg(test)]\nuse b;\nfn c() {}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(source("x/src/a.rs", text).code().len(), 4);
        assert_eq!(source("x/src/a.rs", "#[cfg(test)]\nmod tests;\nfn c() {}\n").code().len(), 3);
    }

    #[test]
    fn files_of_tests_have_no_code() {
        for path in ["tests/e2e/a.rs", "x/tests/a.rs", "x/src/y/tests.rs", "x/src/tests/a.rs"] {
            assert!(source(path, "fn a() {}\n").code().is_empty(), "{path}");
        }
        assert_eq!(source("x/src/contests.rs", "fn a() {}\n").code().len(), 1);
    }
}
