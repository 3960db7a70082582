//! A socket that tells how much moves over it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::account::Holding;

/// The socket of a connection, with what that makes the node hold: a client that moves is not closed for others.
pub(super) struct Moving {
    pub(super) socket: TcpStream,
    pub(super) holding: Arc<Holding>,
}

impl Moving {
    fn socket(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.socket)
    }

    fn moved(&self, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        self.holding.moved(*written.as_ref().unwrap_or(&0));
        Poll::Ready(written)
    }
}

impl AsyncRead for Moving {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.socket().poll_read(cx, buffer))?;
        self.holding.moved(buffer.filled().len() - before);
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
        self.socket().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_shutdown(cx)
    }
}
