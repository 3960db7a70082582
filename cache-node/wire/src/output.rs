//! A buffer for replies that cannot outgrow the memory granted to it.

use std::fmt::Debug;
use std::ops::Deref;

/// Whoever grants the memory that a buffer takes, so that many buffers keep within one bound.
pub trait Memory: Debug + Send + Sync {
    /// Whether the buffer may take so many bytes in all.
    fn grow_to(&mut self, bytes: usize) -> bool;
    /// The buffer takes no more than so many bytes from now on.
    fn shrink_to(&mut self, bytes: usize);
}

/// Bytes to be sent, at most [`Output::room`] of them, and no more than there is [`Memory`] for.
///
/// What does not fit is counted and not kept, so that whoever let a command write into it learns how much room the whole
/// reply needs: a reply of gigabytes costs no more memory than the room.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    room: usize,
    /// `None`: whatever the room allows is granted.
    memory: Option<Box<dyn Memory>>,
    /// Bytes that were dropped since the last `truncate` or `clear`.
    dropped: usize,
}

impl Output {
    /// An empty buffer for `room` bytes; none are allocated yet.
    pub fn new(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    /// An empty buffer without room, whose memory has to be granted.
    pub fn leased(memory: impl Memory + 'static) -> Self {
        Self { memory: Some(Box::new(memory)), ..Self::default() }
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

    /// Whether more was written than the room would hold, however much memory there is.
    pub fn exceeds_room(&self) -> bool {
        self.needed() > self.room
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

    /// Moves what begins at `from` to before what begins at `to`, an earlier place.
    pub fn bring_forward(&mut self, from: usize, to: usize) {
        if let Some(moved) = self.bytes.get_mut(to..)
            && let Some(by) = from.checked_sub(to).filter(|by| *by <= moved.len())
        {
            moved.rotate_left(by);
        }
    }

    /// Takes everything back.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Gives memory back to the allocator, down to `capacity` bytes.
    pub fn shrink_to(&mut self, capacity: usize) {
        self.bytes.shrink_to(capacity);
        if let Some(memory) = &mut self.memory {
            memory.shrink_to(self.bytes.capacity());
        }
    }

    /// Takes the memory for `bytes` more now. False if there is not enough, or no room; if true, that much can be written.
    #[must_use]
    pub fn reserve(&mut self, bytes: usize) -> bool {
        let len = self.bytes.len() + bytes;
        let capacity = self.bytes.capacity();
        if len > self.room || len <= capacity {
            return len <= self.room;
        }
        // Twice as much as before, as a vector grows, but never beyond the room; if there is not so much memory, the least.
        let wanted = len.max(capacity * 2).min(self.room);
        let granted = [wanted, len]
            .into_iter()
            .find(|bytes| self.memory.as_mut().is_none_or(|memory| memory.grow_to(*bytes)));
        if let Some(granted) = granted {
            self.bytes.reserve_exact(granted - self.bytes.len());
        }
        granted.is_some()
    }

    /// Swaps what the two hold, and the memory for it: nothing is copied.
    pub fn swap(&mut self, other: &mut Self) {
        std::mem::swap(self, other);
        std::mem::swap(&mut self.room, &mut other.room);
    }

    /// Appends `bytes`, all of them or none.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_full() || !self.reserve(bytes.len()) {
            self.dropped = self.dropped.saturating_add(bytes.len());
            return;
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

    #[test]
    fn what_is_written_last_can_be_brought_forward() {
        let mut output = Output::new(9);
        output.push(b"a");
        output.push(b"keys");
        output.push(b"head");
        output.bring_forward(5, 1);
        assert_eq!(&*output, b"aheadkeys");
        output.bring_forward(9, 0);
        output.bring_forward(10, 0);
        output.bring_forward(0, 1);
        assert_eq!(&*output, b"aheadkeys");
    }

    /// Grants so many bytes in all.
    #[derive(Debug)]
    struct Granted(usize);

    impl Memory for Granted {
        fn grow_to(&mut self, bytes: usize) -> bool {
            bytes <= self.0
        }

        fn shrink_to(&mut self, bytes: usize) {
            self.0 = bytes;
        }
    }

    #[test]
    fn it_takes_no_more_memory_than_is_granted_and_tells_that_from_a_lack_of_room() {
        let mut output = Output::leased(Granted(6));
        output.set_room(8);
        output.push(b"abcd");
        assert!(output.reserve(2), "twice four are not granted, six are");
        output.push(b"efg");
        assert!(output.is_full() && !output.exceeds_room());
        output.push(b"hi");
        assert!(output.exceeds_room());
        output.truncate(4);
        output.push(b"ef");
        assert_eq!((&*output, output.capacity()), (&b"abcdef"[..], 6));
        output.truncate(2);
        output.shrink_to(0);
        output.push(b"x");
        assert!(output.is_full(), "what was given back must be granted anew");
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
