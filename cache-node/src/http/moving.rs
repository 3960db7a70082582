//! A socket that tells how much moves over it, and takes memory for the heads of requests that are read from it.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::exchange::Exchange;
use super::listener::MAX_HEAD_BYTES;
use crate::account::{Holding, Lease};

/// What a client still sends when the connection ends is read and thrown away for so long. To a socket with unread bytes the
/// kernel answers with a reset, which makes the client throw away the answer that it has not read yet.
const LINGER_TIME: Duration = Duration::from_secs(2);
/// Heads of this size are not worth a look at the account.
const SMALL_HEAD_BYTES: usize = 1 << 10;

/// Bytes that were read and of which no answered request has been made: part of a head, usually.
#[derive(Debug, Default)]
pub(super) struct Unparsed {
    bytes: AtomicUsize,
    /// Whether a request is being answered. What it needs is taken by whoever answers it, who may wait for memory: a connection
    /// waits for one thing at a time.
    is_answering: AtomicBool,
}

impl Unparsed {
    fn read(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// A request has begun.
    pub(super) fn answering(&self) {
        self.is_answering.store(true, Relaxed);
    }

    /// A request of so many bytes is over. What was read behind it is part of the next one.
    pub(super) fn answered(&self, bytes: Option<usize>) {
        let left = |read: usize| Some(bytes.map_or(0, |bytes| read.saturating_sub(bytes)));
        let _ = self.bytes.fetch_update(Relaxed, Relaxed, left);
        self.is_answering.store(false, Relaxed);
    }

    /// Bytes to take from the account.
    fn held(&self) -> usize {
        let bytes = self.bytes.load(Relaxed);
        if bytes <= SMALL_HEAD_BYTES { 0 } else { bytes.min(MAX_HEAD_BYTES) }
    }
}

/// Bytes that a client sends for the request, if it is written as usual: `name: value`. `None` if its body does not say how
/// long it is.
pub(super) fn sent_bytes(request: &Request<Incoming>) -> Option<usize> {
    let uri = request.uri();
    let target = uri.path_and_query().map_or(1, |target| target.as_str().len())
        + uri.authority().map_or(0, |authority| authority.as_str().len() + "http://".len());
    let line = request.method().as_str().len() + target + "  HTTP/1.1\r\n".len();
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() + ": \r\n".len()
    };
    let headers: usize = request.headers().iter().map(header).sum();
    let body = usize::try_from(request.body().size_hint().exact()?).ok()?;
    Some(line + headers + "\r\n".len() + body)
}

/// The lease, and whether it is as large as was asked for.
type Granted = Pin<Box<dyn Future<Output = (Lease, bool)> + Send>>;

/// The socket of a connection, with what that makes the node hold: a client that moves is not closed for others.
pub(super) struct Moving {
    socket: TcpStream,
    holding: Arc<Holding>,
    unparsed: Arc<Unparsed>,
    exchange: Arc<Exchange>,
    lease: Lease,
    /// Nothing is read while memory for what was read is waited for.
    waiting: Option<Granted>,
    /// Runs while the connection ends.
    linger: Option<Pin<Box<Sleep>>>,
}

impl Moving {
    pub(super) fn new(
        socket: TcpStream,
        holding: &Arc<Holding>,
        unparsed: &Arc<Unparsed>,
        exchange: &Arc<Exchange>,
    ) -> Self {
        Self {
            socket,
            lease: holding.lease(),
            holding: Arc::clone(holding),
            unparsed: Arc::clone(unparsed),
            exchange: Arc::clone(exchange),
            waiting: None,
            linger: None,
        }
    }

    /// Takes memory for what has been read, at the next read when there is none now.
    fn hold(&mut self) {
        if self.unparsed.is_answering.load(Relaxed) {
            return;
        }
        let held = self.unparsed.held();
        self.lease.shrink_to(held);
        if !self.lease.grow_to(held) {
            let mut lease = std::mem::replace(&mut self.lease, self.holding.lease());
            self.waiting = Some(Box::pin(async move {
                let is_granted = lease.wait_for(held).await;
                (lease, is_granted)
            }));
        }
    }

    fn poll_granted(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unparsed.is_answering.load(Relaxed) {
            self.waiting = None;
        }
        if let Some(waiting) = &mut self.waiting {
            let (lease, is_granted) = ready!(waiting.as_mut().poll(cx));
            (self.lease, self.waiting) = (lease, None);
            if !is_granted {
                return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads until the client has ended too, or has had [`LINGER_TIME`] for it.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER_TIME)));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut thrown_away = [MaybeUninit::uninit(); 8 << 10];
        loop {
            let mut buffer = ReadBuf::uninit(&mut thrown_away);
            match ready!(self.socket().poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    fn socket(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.socket)
    }

    fn moved(&self, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        let bytes = *written.as_ref().unwrap_or(&0);
        self.holding.moved(bytes);
        self.exchange.wrote(bytes);
        Poll::Ready(written)
    }
}

impl AsyncRead for Moving {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_granted(cx))?;
        let before = buffer.filled().len();
        self.hold();
        ready!(self.socket().poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.holding.moved(read);
        self.unparsed.read(read);
        self.exchange.read(read);
        self.hold();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Moving {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.socket().poll_write(cx, bytes));
        self.moved(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.socket().poll_write_vectored(cx, slices));
        self.moved(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.socket().poll_flush(cx))?;
        self.exchange.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(self.socket().poll_shutdown(cx))?;
        }
        self.poll_linger(cx).map(Ok)
    }
}
