//! Writes replies, each in the form that the connection's protocol version has for it.

use std::io::Write as _;

use crate::output::Output;

#[cfg(test)]
mod tests;

/// Characters of the longest 64-bit number.
const MAX_DIGITS: usize = 20;

/// The protocol version of a connection: RESP2 until `HELLO 3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proto {
    /// Before Redis 6, and what a client speaks that sends no `HELLO`.
    #[default]
    Resp2,
    /// With maps, sets, doubles, booleans, pushes and one kind of null.
    Resp3,
}

/// Appends replies to a bounded buffer; allocates nothing besides. What does not fit there is not written, see [`Output`].
///
/// Aggregates are written as their header, then as many elements as it announced.
#[derive(Debug)]
pub struct ReplyWriter<'a> {
    out: &'a mut Output,
    proto: Proto,
}

impl<'a> ReplyWriter<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Output, proto: Proto) -> Self {
        Self { out, proto }
    }

    /// The protocol version written.
    pub fn proto(&self) -> Proto {
        self.proto
    }

    /// Whether what was written is longer than the buffer may ever hold.
    pub fn exceeds_room(&self) -> bool {
        self.out.exceeds_room()
    }

    /// The room that all that was written would have needed.
    pub fn needed(&self) -> usize {
        self.out.needed()
    }

    /// A short text such as `OK`. CR and LF become spaces.
    pub fn simple(&mut self, text: &str) {
        self.text_line(b'+', text);
    }

    /// An error: its code, a space, the message. CR and LF, which may come with an argument that the
    /// message quotes, become spaces: otherwise a client could forge a reply of its own choice.
    pub fn error(&mut self, text: &str) {
        self.text_line(b'-', text);
    }

    /// An integer.
    pub fn integer(&mut self, number: i64) {
        self.number_line(b':', number);
    }

    /// Any bytes.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.number_line(b'$', bytes.len());
        self.out.push(bytes);
        self.out.push(b"\r\n");
    }

    /// Nothing, where a bulk string would stand: `$-1`, or `_` in RESP3, where `$-1` is an error to
    /// several clients.
    pub fn null(&mut self) {
        self.raw(match self.proto {
            Proto::Resp2 => b"$-1\r\n",
            Proto::Resp3 => b"_\r\n",
        });
    }

    /// Nothing, where an array would stand (an aborted `EXEC`): `*-1`, or `_`.
    pub fn null_array(&mut self) {
        self.raw(match self.proto {
            Proto::Resp2 => b"*-1\r\n",
            Proto::Resp3 => b"_\r\n",
        });
    }

    /// The header of an array of `len` elements.
    pub fn array(&mut self, len: usize) {
        self.number_line(b'*', len);
    }

    /// The header of a map of `len` pairs; in RESP2 an array of twice as many elements.
    pub fn map(&mut self, len: usize) {
        match self.proto {
            Proto::Resp2 => self.array(len * 2),
            Proto::Resp3 => self.number_line(b'%', len),
        }
    }

    /// The header of a set of `len` elements; in RESP2 an array.
    pub fn set(&mut self, len: usize) {
        self.resp3_or_array(b'~', len);
    }

    /// The header of an out-of-band message of `len` elements; in RESP2 an array.
    pub fn push(&mut self, len: usize) {
        self.resp3_or_array(b'>', len);
    }

    /// A floating point number, in the fewest digits that read back to it; in RESP2 a bulk string.
    pub fn double(&mut self, number: f64) {
        let mut buffer = [0_u8; 32];
        let mut unused = buffer.as_mut_slice();
        // Invariant: 17 digits, a sign, a point and at most five zeros or an exponent always fit.
        let _ = match number.abs() {
            magnitude if magnitude.is_nan() => write!(unused, "nan"),
            0.0 | 1e-5..1e17 | f64::INFINITY => write!(unused, "{number}"),
            _ => write!(unused, "{number:e}"),
        };
        let used = 32 - unused.len();
        let text = &buffer[..used];
        match self.proto {
            Proto::Resp2 => self.bulk(text),
            Proto::Resp3 => {
                self.out.push(b",");
                self.out.push(text);
                self.out.push(b"\r\n");
            }
        }
    }

    /// A truth value; in RESP2 the integer 1 or 0.
    pub fn boolean(&mut self, truth: bool) {
        self.raw(match (self.proto, truth) {
            (Proto::Resp2, true) => b":1\r\n",
            (Proto::Resp2, false) => b":0\r\n",
            (Proto::Resp3, true) => b"#t\r\n",
            (Proto::Resp3, false) => b"#f\r\n",
        });
    }

    /// Text for people, with its three-letter `format` (`txt`); in RESP2 a bulk string.
    pub fn verbatim(&mut self, format: &str, text: &str) {
        match self.proto {
            Proto::Resp2 => self.bulk(text.as_bytes()),
            Proto::Resp3 => {
                self.number_line(b'=', format.len() + 1 + text.len());
                self.raw(format.as_bytes());
                self.raw(b":");
                self.raw(text.as_bytes());
                self.raw(b"\r\n");
            }
        }
    }

    /// Bytes that are a reply already: one that another node wrote.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.push(bytes);
    }

    fn resp3_or_array(&mut self, kind: u8, len: usize) {
        let kind = if self.proto == Proto::Resp3 { kind } else { b'*' };
        self.number_line(kind, len);
    }

    fn number_line(&mut self, kind: u8, number: impl itoa::Integer) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        // Kind, the longest number and CRLF: written at once, because most of what is written are such lines.
        let mut line = [0; 1 + MAX_DIGITS + 2];
        line[0] = kind;
        line[1..=digits.len()].copy_from_slice(digits);
        line[digits.len() + 1..digits.len() + 3].copy_from_slice(b"\r\n");
        self.out.push(&line[..digits.len() + 3]);
    }

    fn text_line(&mut self, kind: u8, text: &str) {
        self.out.push(&[kind]);
        let mut words = text.split(['\r', '\n']);
        self.out.push(words.next().unwrap_or_default().as_bytes());
        for word in words {
            self.out.push(b" ");
            self.out.push(word.as_bytes());
        }
        self.out.push(b"\r\n");
    }
}
