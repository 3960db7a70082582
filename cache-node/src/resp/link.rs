//! One connection to another node that requests are forwarded over: many clients' requests, pipelined, answered in order.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use ringcache_wire::frame::FrameScanner;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::dispatch::SHORT;
use super::forward::{LinkKey, Lost};
use crate::account::{Lease, MAX_MESSAGE_BYTES};
use crate::bus::FORWARD_VERSION;
use crate::node::WAIT;

/// Requests that were sent and not yet answered at most; later ones wait in the queue.
const MAX_UNANSWERED: usize = 1024;
/// Bytes that wait to be written at most, before no further request is taken.
const MAX_UNWRITTEN: usize = 1 << 20;
/// Bytes read at a time.
const READ: usize = 64 << 10;
/// A node that does not accept a connection within this time is as good as gone: the request is tried again anyway.
const CONNECT: Duration = Duration::from_millis(500);
/// A link that nobody used for so long is closed.
const IDLE: Duration = Duration::from_mins(1);
/// What a reply may have beyond the bytes that the other node bounds: headers of aggregates.
const HEADERS: usize = 4 << 20;

/// A request, and who waits for its reply.
pub(super) struct Job {
    /// Its bytes.
    pub(super) request: Bytes,
    /// What the reply takes its memory of. `None` if there is memory for it already: a reply that cannot be asked for again is
    /// never dropped.
    pub(super) memory: Option<Lease>,
    /// Takes the reply.
    pub(super) reply: oneshot::Sender<Result<Received, Lost>>,
}

/// A reply, on its way to the connection of its client.
pub(super) struct Received {
    /// Its bytes.
    pub(super) reply: Vec<u8>,
    /// Their memory, if the job had any for it.
    pub(super) memory: Option<Lease>,
}

/// Serves jobs until the connection is lost or idle. Every job gets an answer.
pub(super) async fn run(key: LinkKey, mut jobs: mpsc::Receiver<Job>) {
    match tokio::time::timeout(CONNECT, connect(&key)).await {
        Ok(Ok(socket)) => {
            let mut link = Link::new(socket, key.resp3);
            if let Err(error) = link.serve(&mut jobs).await {
                tracing::debug!(host = key.to.host, port = key.to.port, %error, "a forward link was lost");
            }
            link.give_up();
        }
        Ok(Err(error)) => {
            tracing::debug!(host = key.to.host, port = key.to.port, %error, "no forward link");
        }
        Err(_) => {
            tracing::debug!(host = key.to.host, port = key.to.port, "no forward link in time");
        }
    }
    jobs.close();
    while let Some(job) = jobs.recv().await {
        let _ = job.reply.send(Err(Lost::NotSent));
    }
}

async fn connect(key: &LinkKey) -> io::Result<TcpStream> {
    let socket = TcpStream::connect((key.to.host.as_str(), key.to.port)).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// A request that was taken and not yet answered.
struct Unanswered {
    /// Position of its first byte in all that is sent.
    start: u64,
    memory: Option<Lease>,
    reply: oneshot::Sender<Result<Received, Lost>>,
}

impl Unanswered {
    /// Gives the reply to whoever waits for it, if there is memory for it. For a short one there is.
    fn answer(self, bytes: &[u8]) {
        let Self { mut memory, reply, .. } = self;
        let is_granted = bytes.len() <= SHORT
            || memory.as_mut().is_none_or(|memory| memory.grow_to(bytes.len()));
        let _ = reply.send(if is_granted {
            Ok(Received { reply: bytes.to_vec(), memory })
        } else {
            Err(Lost::NoRoom(bytes.len()))
        });
    }
}

struct Link {
    socket: TcpStream,
    output: Vec<u8>,
    /// Bytes of `output` that were written.
    written: usize,
    /// Bytes sent before those of `output`.
    sent: u64,
    input: Vec<u8>,
    scanner: FrameScanner,
    unanswered: VecDeque<Unanswered>,
}

impl Link {
    fn new(socket: TcpStream, resp3: bool) -> Self {
        let proto = if resp3 { "resp3" } else { "resp2" };
        Self {
            socket,
            output: format!("ringcache-forward {FORWARD_VERSION} {proto}\n").into(),
            written: 0,
            sent: 0,
            input: Vec::new(),
            scanner: FrameScanner::new(MAX_MESSAGE_BYTES + HEADERS),
            unanswered: VecDeque::new(),
        }
    }

    /// Returns `Ok` when the link is idle or nobody needs it any more.
    async fn serve(&mut self, jobs: &mut mpsc::Receiver<Job>) -> io::Result<()> {
        let mut active = Instant::now();
        loop {
            let unwritten = self.output.len() - self.written;
            let takes_more = self.unanswered.len() < MAX_UNANSWERED && unwritten < MAX_UNWRITTEN;
            let patience = if self.unanswered.is_empty() { IDLE } else { WAIT };
            tokio::select! {
                job = jobs.recv(), if takes_more => match job {
                    None => return Ok(()),
                    Some(job) => {
                        // Who found the link idle starts its time anew.
                        active = if self.unanswered.is_empty() { Instant::now() } else { active };
                        self.take(job);
                        while self.output.len() < MAX_UNWRITTEN && let Ok(job) = jobs.try_recv() {
                            self.take(job);
                        }
                        self.write()?;
                    }
                },
                ready = self.socket.readable() => {
                    ready?;
                    if self.read()? {
                        active = Instant::now();
                    }
                }
                ready = self.socket.writable(), if unwritten > 0 => {
                    ready?;
                    self.write()?;
                }
                () = tokio::time::sleep_until(active + patience) => {
                    let idle = self.unanswered.is_empty();
                    return if idle { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) };
                }
            }
        }
    }

    fn take(&mut self, job: Job) {
        // Its client has gone or was answered otherwise meanwhile.
        if job.reply.is_closed() {
            return;
        }
        let start = self.sent + self.output.len() as u64;
        self.output.extend_from_slice(&job.request);
        self.unanswered.push_back(Unanswered { start, memory: job.memory, reply: job.reply });
    }

    fn write(&mut self) -> io::Result<()> {
        while let Some(rest) = self.output.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.socket.try_write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.sent += self.output.len() as u64;
        self.output.clear();
        self.output.shrink_to(READ);
        self.written = 0;
        Ok(())
    }

    /// Reads once and answers every request whose reply is complete. True if anything came.
    fn read(&mut self) -> io::Result<bool> {
        self.input.reserve(READ);
        match self.socket.try_read_buf(&mut self.input) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let mut done = 0;
        loop {
            let input = self.input.get(done..).unwrap_or_default();
            let scanned = self.scanner.scan(input);
            let Some(length) =
                scanned.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?
            else {
                break;
            };
            let Some(first) = self.unanswered.pop_front() else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply to no request"));
            };
            first.answer(input.get(..length).unwrap_or_default());
            done += length;
        }
        self.input.drain(..done);
        if self.input.is_empty() {
            self.input.shrink_to(READ);
        }
        Ok(true)
    }

    /// Tells those who wait for a reply that none will come.
    fn give_up(&mut self) {
        let written = self.sent + self.written as u64;
        for Unanswered { start, reply, .. } in self.unanswered.drain(..) {
            let lost = if start >= written { Lost::NotSent } else { Lost::Unknown };
            let _ = reply.send(Err(lost));
        }
    }
}
