//! What the user sees: events one below the other, and on a terminal a table that stays below them.

use std::io::{self, IsTerminal as _};

use ringcache_page::Page;

use crate::{clock, output};

/// Rows of the live table at most: it must fit the window to be redrawn in place.
const MAX_ROWS: usize = 20;

/// The standard output, and the page that tells the same events.
pub(super) struct Screen {
    live: bool,
    table: String,
    page: Option<Page>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { live: io::stdout().is_terminal(), table: String::new(), page: None }
    }

    /// From now on tells events on a page, too.
    pub(super) fn tell_on(&mut self, page: Page) {
        self.page = Some(page);
    }

    /// Whether there is a terminal to draw a table on.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Says something, with the time (UTC) before it.
    pub(super) fn event(&mut self, text: &str) {
        let now = clock::since_1970().as_secs();
        if let Some(page) = &self.page {
            page.log(now, text);
        }
        let line = format!("{} {text}\n", time_of_day(now));
        self.above_table(&line);
    }

    /// Says something for a user to copy: no time.
    pub(super) fn plain(&mut self, text: &str) {
        self.above_table(&format!("{text}\n"));
    }

    /// Replaces the table.
    pub(super) fn show(&mut self, table: &str) {
        if self.live {
            let erased = self.erased();
            self.table = cut(table);
            print(&format!("{erased}{}", self.table));
        }
    }

    fn above_table(&self, text: &str) {
        print(&format!("{}{text}{}", self.erased(), self.table));
    }

    /// What moves a terminal's cursor to the table's first line and clears from there on.
    fn erased(&self) -> String {
        match self.table.lines().count() {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }
}

/// A closed pipe or a full disk is no reason to leave nodes behind half way, so what cannot be written is lost.
fn print(text: &str) {
    let _ = output::print(text);
}

fn cut(table: &str) -> String {
    let rows = table.lines().count();
    if rows <= MAX_ROWS {
        return table.to_owned();
    }
    let kept: String = table.lines().take(MAX_ROWS - 1).flat_map(|line| [line, "\n"]).collect();
    format!("{kept}… and {} more: `ringcache status` shows all\n", rows - (MAX_ROWS - 1))
}

fn time_of_day(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_starts_again_at_midnight() {
        assert_eq!(time_of_day(86_399), "23:59:59");
        assert_eq!(time_of_day(86_400), "00:00:00");
    }

    #[test]
    fn a_table_is_cut_where_it_would_not_fit() {
        let table = |rows: usize| "a row\n".repeat(rows);
        assert_eq!(cut(&table(MAX_ROWS)), table(MAX_ROWS));
        let cut = cut(&table(MAX_ROWS + 1));
        assert_eq!(cut.lines().count(), MAX_ROWS);
        assert!(cut.ends_with("… and 2 more: `ringcache status` shows all\n"), "{cut}");
    }
}
