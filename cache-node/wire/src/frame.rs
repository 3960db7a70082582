//! Finds the end of a complete reply without building it: for passing replies on as they are.

use crate::element::{self, Aggregate, Element};
use crate::line::LineSearch;

/// Aggregates within aggregates that a reply may have. Replies of Redis nest six deep at most.
pub const MAX_DEPTH: usize = 32;

/// Why bytes are no reply. Where the next one starts is then unknown: close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No type starts with this byte.
    #[error("unknown reply type '{}'", .0.escape_ascii())]
    UnknownType(u8),
    /// A length is no number, or negative where there is no null.
    #[error("invalid length in a reply")]
    InvalidLength,
    /// An integer, double, boolean, null, big number or verbatim string is not written as one.
    #[error("invalid scalar in a reply")]
    InvalidScalar,
    /// A line or a string is not ended by CRLF.
    #[error("expected CRLF in a reply")]
    BrokenLine,
    /// More than [`MAX_DEPTH`] aggregates within each other.
    #[error("reply nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// The reply is, or announces to be, longer than the reader accepts.
    #[error("reply too big")]
    TooBig,
    /// A string or aggregate of unknown length (`$?`): in the specification, sent by no server.
    #[error("streamed replies are not supported")]
    Streamed,
}

/// A resumable scanner for one reply after the other on a connection.
#[derive(Debug)]
pub struct FrameScanner {
    max_bytes: usize,
    /// Everything before it has been understood.
    position: usize,
    line: LineSearch,
    /// Elements still to start in the reply itself (one) and in each aggregate that is not finished,
    /// outermost first.
    missing: Vec<usize>,
}

impl FrameScanner {
    /// A scanner for replies of at most `max_bytes` each.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, position: 0, line: LineSearch::default(), missing: vec![1] }
    }

    /// The length of the complete reply at the start of `input`, or `None` until all of it is there.
    ///
    /// Until a length is returned, `input` may only grow at its end; then the caller drops that many
    /// bytes. Attributes count as part of the element that they stand before.
    pub fn scan(&mut self, input: &[u8]) -> Result<Option<usize>, FrameError> {
        while let Some((element, end)) =
            element::read(input, self.position, &mut self.line, self.max_bytes)?
        {
            self.position = end;
            if self.is_complete_with(element)? {
                self.position = 0;
                self.line.reset();
                self.missing.push(1);
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// Counts one element; whether the reply is complete with it.
    fn is_complete_with(&mut self, element: Element<'_>) -> Result<bool, FrameError> {
        let (counts, elements) = match element {
            // What it stands before is still to come.
            Element::Aggregate(Aggregate::Attribute, elements) => (0, elements),
            Element::Aggregate(_, elements) => (1, elements),
            _ => (1, 0),
        };
        if let Some(missing) = self.missing.last_mut() {
            *missing -= counts;
        }
        if elements > 0 {
            if self.missing.len() > MAX_DEPTH {
                return Err(FrameError::TooDeep);
            }
            self.missing.push(elements);
        }
        while self.missing.last() == Some(&0) {
            self.missing.pop();
        }
        Ok(self.missing.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_reply_byte_by_byte_costs_one_look_at_each_byte_of_its_lines() {
        let mut input = b"*2\r\n+".to_vec();
        input.extend_from_slice(&vec![b'x'; 60_000]);
        input.extend_from_slice(b"\r\n$1048576\r\n");
        let line_bytes = input.len();
        input.extend_from_slice(&vec![b'\r'; 1 << 20]);
        input.extend_from_slice(b"\r\n");
        let mut scanner = FrameScanner::new(2 << 20);
        let mut resumed = 0;
        for end in 0..input.len() {
            assert_eq!(scanner.scan(&input[..end]), Ok(None));
            resumed += 1;
        }
        assert_eq!(scanner.scan(&input), Ok(Some(input.len())));
        // Each resumption looks at most at the one byte it stopped at.
        assert!(scanner.line.examined <= line_bytes + resumed, "{}", scanner.line.examined);
    }

    #[test]
    fn announced_elements_allocate_nothing() {
        let mut scanner = FrameScanner::new(usize::MAX);
        assert_eq!(scanner.scan(b"*1000000000\r\n*1000000000\r\n"), Ok(None));
        assert!(scanner.missing.capacity() <= 8);
    }
}
