//! The arguments of one request, as a view of the bytes they arrived in.

use std::ops::{Index, Range};

/// A request's arguments, the command's name first. Two references: copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a> {
    bytes: &'a [u8],
    ranges: &'a [Range<usize>],
}

impl<'a> Args<'a> {
    /// The arguments that stand at `ranges` of `bytes`. A command kept for later (`MULTI`) is such a
    /// pair as well; a range outside of `bytes` is an argument that does not exist.
    pub fn new(bytes: &'a [u8], ranges: &'a [Range<usize>]) -> Self {
        Self { bytes, ranges }
    }

    /// How many there are, the command's name included.
    pub fn len(self) -> usize {
        self.ranges.len()
    }

    /// Whether there are none: an empty request, which wants no reply.
    pub fn is_empty(self) -> bool {
        self.ranges.is_empty()
    }

    /// The argument at `index`; 0 is the command's name.
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.bytes.get(self.ranges.get(index)?.clone())
    }

    /// Those at `range` of indices; those of them that exist.
    #[must_use]
    pub fn slice(self, range: Range<usize>) -> Self {
        let end = range.end.min(self.len());
        let ranges = self.ranges.get(range.start.min(end)..end).unwrap_or_default();
        Self { bytes: self.bytes, ranges }
    }

    /// All of them in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        self.ranges.iter().map(move |range| self.bytes.get(range.clone()).unwrap_or_default())
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    /// For an index that the arity check has proven; panics beyond [`Args::len`] as a slice does.
    fn index(&self, index: usize) -> &[u8] {
        &self.bytes[self.ranges[index].clone()]
    }
}
