//! A table that is shown again and again: on a terminal in its own place, elsewhere one below the other.
//!
//! Nothing of the terminal is changed but what it shows, so that there is nothing to put back, however the program ends.

use std::io::{self, IsTerminal as _};

use crate::output::{complain, print};

/// A terminal that does not say how large it is.
const SIZE: (usize, usize) = (24, 80);

/// The standard output.
pub(crate) struct Screen {
    is_terminal: bool,
    /// What is in its place now.
    shown: String,
    /// How often something was shown.
    times: u64,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { is_terminal: io::stdout().is_terminal(), shown: String::new(), times: 0 }
    }

    /// For what goes on line by line on a terminal, too.
    pub(crate) fn stream() -> Self {
        Self { is_terminal: false, ..Self::new() }
    }

    /// Shows it in place of what was shown before.
    pub(crate) fn show(&mut self, text: &str) -> io::Result<()> {
        self.times += 1;
        if !self.is_terminal {
            // An empty line between two tables.
            let between = if self.times > 1 { "\n" } else { "" };
            return print(&format!("{between}{text}"));
        }
        let erased = erased(&self.shown);
        self.shown = fit(text, size());
        print(&format!("{erased}{}", self.shown))
    }

    /// Says something above what is shown, or beside the output.
    pub(crate) fn say(&self, line: &str) -> io::Result<()> {
        if self.is_terminal {
            let line = ringcache_show::table::tame(line);
            return print(&format!("{}{line}\n{}", erased(&self.shown), self.shown));
        }
        complain(line);
        Ok(())
    }
}

/// Rows and columns.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            (usize::from(size.ws_row), usize::from(size.ws_col))
        }
        _ => SIZE,
    }
}

/// What moves a terminal's cursor to the first line of what is shown, and clears from there on.
fn erased(shown: &str) -> String {
    match shown.lines().count() {
        0 => String::new(),
        lines => format!("\x1b[{lines}A\r\x1b[J"),
    }
}

/// What of the text has room in so many rows and columns, with one row left for the cursor: what is wrapped or has left the screen
/// could not be redrawn.
fn fit(text: &str, (rows, columns): (usize, usize)) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let room = rows.saturating_sub(1).max(1);
    let cut = |line: &str| line.chars().take(columns).chain(['\n']).collect::<String>();
    if lines.len() <= room {
        return lines.into_iter().map(cut).collect();
    }
    let kept = room - 1;
    let last = format!("... {} more lines: --once shows all", lines.len() - kept);
    lines.into_iter().take(kept).chain([last.as_str()]).map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_cut_with_a_line_that_says_so() {
        assert_eq!(fit("one\ntwo\n", (3, 80)), "one\ntwo\n");
        assert_eq!(fit("one\ntwo\nthree\n", (3, 80)), "one\n... 2 more lines: --once shows all\n");
        assert_eq!(fit("wide\nü€x\n", (9, 2)), "wi\nü€\n");
        assert_eq!(fit("one\ntwo\n", (0, 5)), "... 2\n", "never nothing");
    }

    #[test]
    fn a_table_is_erased_line_by_line_and_nothing_by_nothing() {
        assert_eq!(erased(""), "");
        assert_eq!(erased("one\ntwo\n"), "\x1b[2A\r\x1b[J");
    }
}
