//! Finds the end of a line in a growing buffer without looking at any byte twice.

use memchr::{memchr, memchr2};

/// What a search for the end of a line has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// It has not arrived yet.
    Missing,
    /// The line is longer than allowed.
    TooLong,
    /// A CR without LF, or an LF without CR.
    Broken,
    /// The line's text ends before this position.
    At(usize),
}

/// How far a growing buffer has been searched.
#[derive(Debug, Default)]
pub(crate) struct LineSearch {
    searched: usize,
    /// Bytes looked at since the start: tests count them to prove that the work is linear.
    #[cfg(test)]
    pub(crate) examined: usize,
}

impl LineSearch {
    /// Forgets everything: the buffer starts anew.
    pub(crate) fn reset(&mut self) {
        self.searched = 0;
    }

    /// Finds the CRLF that ends the line starting at `start`, whose text may have `max_bytes`.
    ///
    /// The answer depends on the bytes alone, never on how they were cut into pieces.
    pub(crate) fn crlf(&mut self, input: &[u8], start: usize, max_bytes: usize) -> LineEnd {
        match self.find(input, start, max_bytes, |window| memchr2(b'\r', b'\n', window)) {
            LineEnd::At(end) => match input.get(end..) {
                Some([b'\r']) => LineEnd::Missing,
                Some([b'\r', b'\n', ..]) => LineEnd::At(end),
                _ => LineEnd::Broken,
            },
            other => other,
        }
    }

    /// Finds the LF that ends the line starting at `start`, with at most `max_bytes` before it.
    pub(crate) fn lf(&mut self, input: &[u8], start: usize, max_bytes: usize) -> LineEnd {
        self.find(input, start, max_bytes, |window| memchr(b'\n', window))
    }

    fn find(
        &mut self,
        input: &[u8],
        start: usize,
        max_bytes: usize,
        find: impl Fn(&[u8]) -> Option<usize>,
    ) -> LineEnd {
        let limit = start.saturating_add(max_bytes).saturating_add(1);
        let from = self.searched.max(start);
        let window = input.get(from..input.len().min(limit)).unwrap_or_default();
        let found = find(window);
        #[cfg(test)]
        {
            self.examined += found.map_or(window.len(), |at| at + 1);
        }
        self.searched = from + found.unwrap_or(window.len());
        match found {
            Some(_) => LineEnd::At(self.searched),
            None if input.len() >= limit => LineEnd::TooLong,
            None => LineEnd::Missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_at_the_limit_passes_and_one_byte_more_does_not() {
        let mut search = LineSearch::default();
        assert_eq!(search.crlf(b"abcd\r\n", 0, 4), LineEnd::At(4));
        search.reset();
        assert_eq!(search.crlf(b"abcde\r\n", 0, 4), LineEnd::TooLong);
        search.reset();
        assert_eq!(search.crlf(b"abcd", 0, 4), LineEnd::Missing);
        assert_eq!(search.crlf(b"abcde", 0, 4), LineEnd::TooLong);
    }

    #[test]
    fn half_a_line_end_is_broken_only_once_the_next_byte_shows_it() {
        let mut search = LineSearch::default();
        assert_eq!(search.crlf(b"ab\r", 0, 9), LineEnd::Missing);
        assert_eq!(search.crlf(b"ab\rc", 0, 9), LineEnd::Broken);
        search.reset();
        assert_eq!(search.crlf(b"ab\n", 0, 9), LineEnd::Broken);
    }

    #[test]
    fn a_line_that_arrives_byte_by_byte_is_examined_once() {
        let line = [b'x'; 1000];
        let mut search = LineSearch::default();
        for len in 1..=line.len() {
            assert_eq!(search.crlf(&line[..len], 0, 5000), LineEnd::Missing);
        }
        assert_eq!(search.examined, line.len());
    }
}
