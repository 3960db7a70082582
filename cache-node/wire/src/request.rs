//! Requests: finds one complete command at the start of a growing buffer, and where its arguments are.

mod args;
mod inline;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;

use std::ops::Range;

use crate::line::{LineEnd, LineSearch};
use crate::number::parse_i64;

pub use args::Args;

/// Longest text of a `*N` or `$L` line: 20 characters hold every 64-bit number.
const MAX_COUNT_LINE_BYTES: usize = 32;

/// Argument ranges and unquoted bytes that a connection keeps between requests; what one huge request
/// needed beyond is given back with the next one.
const KEPT_ARGS: usize = 128;
const KEPT_SCRATCH_BYTES: usize = 4096;

/// Arguments for which memory is taken at first.
const MIN_ARGS: usize = 4;
/// Memory of one argument, beside its bytes in the input.
const ARG_BYTES: usize = size_of::<Range<usize>>();

/// What a client may send at most. Beyond any of these the connection closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Arguments of one multibulk request, its name included.
    pub max_args: usize,
    /// Bytes of one argument. Above the largest value a command accepts, so that a value a little too
    /// large gets an error reply and not a closed connection.
    pub max_bulk_bytes: usize,
    /// Bytes of an inline request before its line end.
    pub max_inline_bytes: usize,
    /// Bytes of one whole multibulk request.
    pub max_request_bytes: usize,
    /// Arguments for which memory need not be granted, see [`Parsed::Crowded`].
    pub free_args: usize,
}

impl Default for Limits {
    /// Counts as in Redis (1,048,576 arguments, 64 KiB inline), with 8 MiB an argument and 64 MiB a
    /// request, because a cache has no use for the 512 MiB of Redis' `proto-max-bulk-len`.
    fn default() -> Self {
        Self {
            max_args: 1024 * 1024,
            max_bulk_bytes: 8 << 20,
            max_inline_bytes: 64 << 10,
            max_request_bytes: 64 << 20,
            free_args: usize::MAX,
        }
    }
}

/// Why a connection cannot go on. The text is what follows `-ERR Protocol error: `, in Redis' words
/// where Redis has some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The `N` of `*N` is no number, or above [`Limits::max_args`].
    #[error("invalid multibulk length")]
    InvalidMultibulkLength,
    /// The `L` of `$L` is no number, negative, or above [`Limits::max_bulk_bytes`].
    #[error("invalid bulk length")]
    InvalidBulkLength,
    /// An argument starts with another byte than `$`.
    #[error("expected '$', got '{}'", .0.escape_ascii())]
    ExpectedBulk(u8),
    /// The bytes of an argument are not followed by CRLF.
    #[error("expected CRLF after bulk")]
    MissingBulkEnd,
    /// The `*N` line does not end.
    #[error("too big mbulk count string")]
    TooBigMultibulkCount,
    /// A `$L` line does not end.
    #[error("too big bulk count string")]
    TooBigBulkCount,
    /// An inline request is above [`Limits::max_inline_bytes`].
    #[error("too big inline request")]
    TooBigInline,
    /// A whole request is above [`Limits::max_request_bytes`].
    #[error("too big request")]
    TooBigRequest,
    /// A quote of an inline request is not closed, or something follows it directly.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
    /// An HTTP request: a browser may have been talked into sending it. Close without executing
    /// anything that follows.
    #[error("possible cross-protocol request")]
    CrossProtocol,
}

/// What [`RequestParser::parse`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The request has not arrived completely.
    Incomplete {
        /// At least so many bytes must still arrive: the reader may size its buffer by it.
        need: usize,
    },
    /// The request may have more arguments than there is memory granted for: see [`RequestParser::grant`]. Each takes
    /// more memory than the six bytes that the shortest one arrives in.
    Crowded {
        /// Bytes of memory that are asked for, those granted before among them.
        bytes: usize,
    },
    /// One complete request.
    Request {
        /// Bytes it takes at the start of the input.
        consumed: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum State {
    Start,
    Inline,
    MultibulkHeader,
    BulkHeader { missing_args: usize },
    BulkBody { missing_args: usize, bytes: usize },
}

/// A resumable request parser, one for each connection.
///
/// It keeps its position between calls, so that bytes are examined once however slowly they arrive,
/// and reuses its memory, so that a request costs no allocation.
#[derive(Debug)]
pub struct RequestParser {
    limits: Limits,
    state: State,
    /// Everything before it has been understood.
    position: usize,
    line: LineSearch,
    args: Vec<Range<usize>>,
    /// Arguments that there is memory granted for.
    granted_args: usize,
    /// The arguments of an inline request with quotes: unquoting changes them, so they cannot be ranges
    /// of the input. Empty for every other request.
    scratch: Vec<u8>,
}

impl RequestParser {
    /// A parser at the start of a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Start,
            position: 0,
            line: LineSearch::default(),
            args: Vec::new(),
            granted_args: limits.free_args,
            scratch: Vec::new(),
        }
    }

    /// Grants the memory that [`Parsed::Crowded`] has asked for; then the same input is to be parsed again.
    pub fn grant(&mut self, bytes: usize) {
        self.granted_args = bytes / ARG_BYTES;
    }

    /// Memory that it holds for arguments, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.args.capacity() * ARG_BYTES + self.scratch.capacity()
    }

    /// Looks for one complete request at the start of `input`.
    ///
    /// Until a request is returned, `input` may only grow at its end; then the caller drops the
    /// `consumed` bytes. A request without arguments (`*0`, `*-1`, an empty line) wants no reply.
    /// After an error the connection has to be closed: where the next request starts is unknown.
    pub fn parse(&mut self, input: &[u8]) -> Result<Parsed, ProtocolError> {
        loop {
            let parsed = match self.state {
                State::Start => self.start(input),
                State::Inline => self.inline(input)?,
                State::MultibulkHeader => self.multibulk_header(input)?,
                State::BulkHeader { missing_args } => self.bulk_header(input, missing_args)?,
                State::BulkBody { missing_args, bytes } => {
                    self.bulk_body(input, missing_args, bytes)?
                }
            };
            if let Some(parsed) = parsed {
                return Ok(parsed);
            }
        }
    }

    /// The arguments of the request just returned, the command's name first; `input` is what `parse`
    /// was given.
    pub fn args<'a>(&'a self, input: &'a [u8]) -> Args<'a> {
        let bytes = if self.scratch.is_empty() { input } else { &self.scratch };
        Args::new(bytes, &self.args)
    }

    fn start(&mut self, input: &[u8]) -> Option<Parsed> {
        self.args.clear();
        self.args.shrink_to(KEPT_ARGS);
        self.granted_args = self.limits.free_args;
        self.scratch.clear();
        self.scratch.shrink_to(KEPT_SCRATCH_BYTES);
        self.position = 0;
        self.line.reset();
        self.state = match input.first() {
            None => return Some(Parsed::Incomplete { need: 1 }),
            Some(b'*') => State::MultibulkHeader,
            Some(_) => State::Inline,
        };
        None
    }

    fn inline(&mut self, input: &[u8]) -> Result<Option<Parsed>, ProtocolError> {
        let max = self.limits.max_inline_bytes;
        // One more than the text: a CR may stand before the LF.
        let end = match self.line.lf(input, 0, max.saturating_add(1)) {
            LineEnd::At(end) => end,
            LineEnd::Missing => return Ok(Some(Parsed::Incomplete { need: 1 })),
            LineEnd::TooLong | LineEnd::Broken => return Err(ProtocolError::TooBigInline),
        };
        let line = &input[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > max {
            return Err(ProtocolError::TooBigInline);
        }
        // Every other byte may be an argument, and all of them may have to be unquoted into a vector that doubles.
        let most = line.len().div_ceil(2) + 2 * line.len() / ARG_BYTES;
        if most > self.granted_args {
            return Ok(Some(Parsed::Crowded { bytes: most * ARG_BYTES }));
        }
        self.args.reserve_exact(line.len().div_ceil(2));
        inline::split(line, &mut self.args, &mut self.scratch)?;
        if let Some(word) = self.args(input).get(0)
            && (word.eq_ignore_ascii_case(b"POST") || word.eq_ignore_ascii_case(b"Host:"))
        {
            return Err(ProtocolError::CrossProtocol);
        }
        Ok(Some(self.complete(end + 1)))
    }

    fn multibulk_header(&mut self, input: &[u8]) -> Result<Option<Parsed>, ProtocolError> {
        let end = match self.line.crlf(input, 1, MAX_COUNT_LINE_BYTES) {
            LineEnd::At(end) => end,
            LineEnd::Missing => return Ok(Some(Parsed::Incomplete { need: 1 })),
            LineEnd::TooLong => return Err(ProtocolError::TooBigMultibulkCount),
            LineEnd::Broken => return Err(ProtocolError::InvalidMultibulkLength),
        };
        let count = parse_i64(&input[1..end]).ok_or(ProtocolError::InvalidMultibulkLength)?;
        // A negative count is a request without arguments, as in Redis.
        let missing_args = usize::try_from(count).unwrap_or(0);
        if missing_args > self.limits.max_args {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        self.position = end + 2;
        if missing_args == 0 {
            return Ok(Some(self.complete(self.position)));
        }
        self.state = State::BulkHeader { missing_args };
        Ok(None)
    }

    fn bulk_header(
        &mut self,
        input: &[u8],
        missing_args: usize,
    ) -> Result<Option<Parsed>, ProtocolError> {
        match input.get(self.position) {
            Some(b'$') => {}
            Some(&other) => return Err(ProtocolError::ExpectedBulk(other)),
            None => return Ok(Some(Parsed::Incomplete { need: 1 })),
        }
        let start = self.position + 1;
        let end = match self.line.crlf(input, start, MAX_COUNT_LINE_BYTES) {
            LineEnd::At(end) => end,
            LineEnd::Missing => return Ok(Some(Parsed::Incomplete { need: 1 })),
            LineEnd::TooLong => return Err(ProtocolError::TooBigBulkCount),
            LineEnd::Broken => return Err(ProtocolError::InvalidBulkLength),
        };
        let bytes = parse_i64(&input[start..end])
            .and_then(|length| usize::try_from(length).ok())
            .filter(|&length| length <= self.limits.max_bulk_bytes)
            .ok_or(ProtocolError::InvalidBulkLength)?;
        // Refused before the bytes arrive, so that nobody waits for what will be refused anyway.
        let request_bytes = bytes.saturating_add(end + 4);
        if request_bytes > self.limits.max_request_bytes {
            return Err(ProtocolError::TooBigRequest);
        }
        self.position = end + 2;
        self.state = State::BulkBody { missing_args, bytes };
        Ok(None)
    }

    fn bulk_body(
        &mut self,
        input: &[u8],
        missing_args: usize,
        bytes: usize,
    ) -> Result<Option<Parsed>, ProtocolError> {
        let end = self.position + bytes;
        match input.get(end..end + 2) {
            Some(b"\r\n") => {}
            Some(_) => return Err(ProtocolError::MissingBulkEnd),
            None => return Ok(Some(Parsed::Incomplete { need: end + 2 - input.len() })),
        }
        if self.args.len() >= self.granted_args {
            let args = self.args.len() + missing_args.min(self.args.len());
            return Ok(Some(Parsed::Crowded { bytes: args * ARG_BYTES }));
        }
        if self.args.len() == self.args.capacity() {
            let more = missing_args.min(self.args.len().max(MIN_ARGS));
            self.args.reserve_exact(more.min(self.granted_args - self.args.len()));
        }
        self.args.push(self.position..end);
        self.position = end + 2;
        if missing_args == 1 {
            return Ok(Some(self.complete(self.position)));
        }
        self.state = State::BulkHeader { missing_args: missing_args - 1 };
        Ok(None)
    }

    fn complete(&mut self, consumed: usize) -> Parsed {
        self.state = State::Start;
        Parsed::Request { consumed }
    }
}
