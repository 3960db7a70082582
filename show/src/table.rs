//! How tables are laid out: bare columns, numbers to the right.

use comfy_table::{CellAlignment, Table, presets};

/// A table without lines whose columns from `numbers` on are aligned to the right.
pub fn plain<R>(header: &[&str], numbers: usize, rows: impl IntoIterator<Item = R>) -> String
where
    R: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.into_iter().map(|cell| tame(&cell)));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// The text without anything that a terminal would obey or that would end a line: clients choose keys, and registries what they answer.
pub fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_terminal_is_told_nothing_by_what_stands_in_a_cell() {
        let rows = [["a\x1b[2Jb\nc".to_owned()]];
        assert_eq!(super::plain(&["KEY"], 1, rows), "KEY\na\u{fffd}[2Jb\u{fffd}c\n");
    }

    #[test]
    fn columns_are_aligned_and_lines_end_where_their_text_ends() {
        let rows = [["web-0", "5461", "ok"], ["web-10", "1", ""]];
        let rows = rows.map(|row| row.map(String::from));
        let text = super::plain(&["NODE", "SLOTS", "NOTE"], 1, rows);
        assert_eq!(text, "NODE    SLOTS  NOTE\nweb-0    5461    ok\nweb-10      1\n");
    }
}
