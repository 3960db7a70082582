//! What clients were served, over RESP and HTTP: how long it took, how many bytes it was, which errors they got.
//!
//! Each thread counts for itself, under a lock that nobody else wants but a scrape. Requests that other nodes forward do not count: the
//! node that the client is connected to counts them.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use ringcache_heat::Histogram;

/// The errors that clients may get: the first word of an error reply, and the code of an HTTP error. The last one stands for all others.
pub const ERRORS: [&str; 26] = [
    "BatchTooLarge",
    "BodyIncomplete",
    "BodyTooLarge",
    "Busy",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "ERR",
    "EXECABORT",
    "InvalidBody",
    "InvalidJson",
    "InvalidKey",
    "KeyTooLong",
    "MethodNotAllowed",
    "NOPROTO",
    "OOM",
    "OVERLOADED",
    "OutOfMemory",
    "RequestTimeout",
    "TooManyConnections",
    "TooManyKeys",
    "Unavailable",
    "UnknownPath",
    "UnsupportedMediaType",
    "ValueTooLarge",
    "WRONGPASS",
    "other",
];

/// Errors by their place in [`ERRORS`].
type Errors = [u64; ERRORS.len()];

/// What some requests of one client were.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Requests that read keys.
    pub reads: u32,
    /// Requests that write or delete keys.
    pub writes: u32,
    /// Bytes that the client sent.
    pub bytes_in: u64,
    /// Bytes that it took.
    pub bytes_out: u64,
    /// Error replies.
    errors: Errors,
}

impl Batch {
    /// Counts an error by the text of its reply, or its code. No errors are `MOVED` and `ASK`, which clients follow, and `NotFound`, which
    /// is a miss.
    pub fn error(&mut self, text: &[u8]) {
        let kind = text.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        if matches!(kind, b"MOVED" | b"ASK" | b"NotFound") {
            return;
        }
        let at = ERRORS.iter().position(|known| known.as_bytes() == kind);
        if let Some(count) = self.errors.get_mut(at.unwrap_or(ERRORS.len() - 1)) {
            *count += 1;
        }
    }

    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        let Self { reads, writes, bytes_in, bytes_out, errors } = self;
        (*reads, *writes, *bytes_in, *bytes_out) == (0, 0, 0, 0) && *errors == Errors::default()
    }
}

/// What was served since the node started.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Microseconds from the first byte of a request that was read to its reply written, of requests that read keys.
    pub reads: Histogram,
    /// The same of requests that write or delete keys.
    pub writes: Histogram,
    /// Bytes that clients sent.
    pub bytes_in: u64,
    /// Bytes that clients took.
    pub bytes_out: u64,
    /// Error replies.
    errors: Errors,
}

impl Tally {
    /// Takes in a batch that took so many microseconds; `None` = its replies were not written.
    pub fn add(&mut self, batch: &Batch, took_us: Option<u64>) {
        if let Some(took_us) = took_us {
            self.reads.record_many(took_us, batch.reads);
            self.writes.record_many(took_us, batch.writes);
        }
        self.bytes_in += batch.bytes_in;
        self.bytes_out += batch.bytes_out;
        add_all(&mut self.errors, &batch.errors);
    }

    /// Error replies by the first word of their text.
    pub fn errors(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        ERRORS.into_iter().zip(self.errors)
    }

    /// What was served since an earlier copy of this one was made.
    fn since(&self, earlier: &Self) -> Self {
        let mut errors = self.errors;
        for (count, earlier) in errors.iter_mut().zip(earlier.errors) {
            *count = count.saturating_sub(earlier);
        }
        Self {
            reads: self.reads.since(&earlier.reads),
            writes: self.writes.since(&earlier.writes),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
            errors,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.reads.merge(&other.reads);
        self.writes.merge(&other.writes);
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        add_all(&mut self.errors, &other.errors);
    }
}

fn add_all(errors: &mut Errors, others: &Errors) {
    for (count, other) in errors.iter_mut().zip(others) {
        *count += other;
    }
}

/// Copies of the total that are kept, and seconds between two of them: those of the last minute.
const COPIES: usize = 7;
const COPY_SECONDS: u64 = 10;

/// The tallies of all threads.
#[derive(Debug, Default)]
pub struct Served {
    threads: Mutex<Vec<Arc<Mutex<Tally>>>>,
    /// What the total was before, the latest last.
    before: Mutex<VecDeque<Tally>>,
}

impl Served {
    /// The tally of one more thread.
    pub fn of_thread(&self) -> Arc<Mutex<Tally>> {
        let tally = Arc::default();
        self.threads.lock().push(Arc::clone(&tally));
        tally
    }

    /// What all threads have served.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in self.threads.lock().iter() {
            total.merge(&tally.lock());
        }
        total
    }

    /// To be called once a second, with the number of the second.
    pub fn pass(&self, second: u64) {
        if second.is_multiple_of(COPY_SECONDS) {
            let total = self.total();
            let mut before = self.before.lock();
            before.push_back(total);
            if before.len() > COPIES {
                before.pop_front();
            }
        }
    }

    /// What was served in the last minute, and up to ten seconds more.
    pub fn lately(&self) -> Tally {
        let total = self.total();
        self.before.lock().front().map_or_else(|| total.clone(), |before| total.since(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_their_first_word_and_redirects_are_none() {
        let mut batch = Batch::default();
        for text in ["ERR syntax error", "ERR", "MOVED 1 h:1", "ASK 1 h:1", "OOM x", "NEW y", "x"] {
            batch.error(text.as_bytes());
        }
        let mut tally = Tally::default();
        tally.add(&batch, None);
        let told: Vec<_> = tally.errors().filter(|(_, count)| *count > 0).collect();
        assert_eq!(told, [("ERR", 2), ("OOM", 1), ("other", 2)]);
    }

    #[test]
    fn threads_add_up_and_what_was_never_written_took_no_time() {
        let served = Served::default();
        let batch = Batch { reads: 2, writes: 1, bytes_in: 10, bytes_out: 5, ..Batch::default() };
        assert!(Batch::default().is_empty() && !batch.is_empty());
        served.of_thread().lock().add(&batch, Some(100));
        served.of_thread().lock().add(&batch, None);
        let total = served.total();
        assert_eq!((total.reads.count(), total.writes.count()), (2, 1));
        assert_eq!((total.bytes_in, total.bytes_out), (20, 10));
    }

    #[test]
    fn what_was_served_more_than_a_minute_ago_is_not_lately() {
        let served = Served::default();
        let thread = served.of_thread();
        let mut batch = Batch { reads: 1, bytes_in: 10, ..Batch::default() };
        batch.error(b"ERR");
        for second in 0..200 {
            thread.lock().add(&batch, Some(second));
            served.pass(second);
        }
        let lately = served.lately();
        assert_eq!((lately.reads.count(), lately.bytes_in), (69, 690));
        assert_eq!(lately.errors().map(|(_, count)| count).sum::<u64>(), 69);
        assert!(lately.reads.quantile(0.0).is_some_and(|oldest| oldest >= 125));
    }
}
