//! A buffer for replies that cannot outgrow the memory granted to it.

use std::ops::Deref;

/// Bytes to be sent, at most [`Output::room`] of them.
///
/// What does not fit is counted and not kept, so that whoever let a command write into it learns how much room the whole
/// reply needs: a reply of gigabytes costs no more memory than the room.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    room: usize,
    /// Bytes that were dropped since the last `truncate` or `clear`.
    dropped: usize,
}

impl Output {
    /// An empty buffer for `room` bytes; none are allocated yet.
    pub fn new(room: usize) -> Self {
        Self { bytes: Vec::new(), room, dropped: 0 }
    }

    /// Bytes that it may hold.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Lets it hold so many bytes from now on. What it holds already stays.
    pub fn set_room(&mut self, room: usize) {
        self.room = room;
    }

    /// Bytes that it takes of the allocator.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether something did not fit: what it holds is the beginning of something longer.
    pub fn is_full(&self) -> bool {
        self.dropped > 0
    }

    /// The room that all that was written would have needed.
    pub fn needed(&self) -> usize {
        self.bytes.len().saturating_add(self.dropped)
    }

    /// Takes back all but the first `len` bytes, and forgets what did not fit.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
        self.dropped = 0;
    }

    /// Drops the first `len` bytes: they have been sent.
    pub fn sent(&mut self, len: usize) {
        self.bytes.drain(..len.min(self.bytes.len()));
    }

    /// Takes everything back.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Gives memory back to the allocator, down to `capacity` bytes.
    pub fn shrink_to(&mut self, capacity: usize) {
        self.bytes.shrink_to(capacity);
    }

    /// Appends `bytes`, all of them or none.
    pub fn push(&mut self, bytes: &[u8]) {
        let len = self.bytes.len() + bytes.len();
        if self.is_full() || len > self.room {
            self.dropped = self.dropped.saturating_add(bytes.len());
            return;
        }
        if len > self.bytes.capacity() {
            // Twice as much as before, as a vector grows, but never beyond the room.
            let capacity = len.max(self.bytes.capacity() * 2).min(self.room);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
    }
}

impl Deref for Output {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_takes_bytes_up_to_its_room_and_not_one_more() {
        let mut output = Output::new(4);
        output.push(b"abcd");
        assert!(!output.is_full());
        output.push(b"e");
        assert!(output.is_full());
        assert_eq!((&*output, output.needed()), (&b"abcd"[..], 5));
    }

    #[test]
    fn nothing_follows_what_did_not_fit_until_that_is_taken_back() {
        let mut output = Output::new(4);
        output.push(b"abc");
        output.push(b"de");
        output.push(b"f");
        assert_eq!((&*output, output.needed()), (&b"abc"[..], 6), "there would be a gap");
        output.truncate(1);
        output.push(b"def");
        assert_eq!((&*output, output.is_full()), (&b"adef"[..], false));
    }

    proptest! {
        #[test]
        fn memory_never_exceeds_the_room(room in 0..500_usize, sizes in prop::collection::vec(0..100_usize, 0..40)) {
            let mut output = Output::new(room);
            for &size in &sizes {
                output.push(&vec![b'x'; size]);
                prop_assert!(output.capacity() <= room);
            }
            prop_assert_eq!(output.needed(), sizes.iter().sum::<usize>());
        }
    }
}
