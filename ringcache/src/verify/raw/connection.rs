//! One connection to one node: writes requests and reads their replies at the same time, or both sides would wait for each
//! other as soon as neither fits into the sockets' buffers.

use std::time::Duration;

use ringcache_wire::frame::FrameScanner;
use ringcache_wire::value::{Value, decode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
use tokio::time::timeout;

use super::operation::Requests;
use crate::stock::RESPONSE_TIMEOUT;
use crate::verify::meter::Failure;

/// Longest reply: a map in which every slot is a range of its own.
const MAX_REPLY_BYTES: usize = 16 << 20;
/// Bytes of one read, at most.
const READ_BYTES: usize = 64 << 10;

/// A connection, between exchanges.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    replies: Replies,
}

/// What a connection has come to while nothing was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// It waits for requests.
    Open,
    /// The node has closed it.
    Closed,
    /// There is something to read that nobody has asked for.
    Unasked,
}

impl Connection {
    /// Connects to a node, host:port.
    pub(super) async fn open(address: &str) -> Result<Self, Failure> {
        let stream = timeout(RESPONSE_TIMEOUT, TcpStream::connect(address))
            .await
            .map_err(|_| Failure::new("connect", format!("{address} lets nobody connect")))?
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|error| Failure::new("connect", format!("{address}: {error}")))?;
        Ok(Self { stream, replies: Replies::new() })
    }

    /// What has become of the connection since the last exchange.
    pub(super) async fn idle(&mut self) -> Idle {
        if !self.replies.is_empty() {
            return Idle::Unasked;
        }
        // Until the runtime has looked at its sockets, a closed one reads like an open one without data.
        tokio::task::yield_now().await;
        match self.stream.try_read(&mut [0]) {
            Ok(0) => Idle::Closed,
            Ok(_) => Idle::Unasked,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Idle::Open,
            Err(_) => Idle::Closed,
        }
    }

    /// Writes requests and returns their replies.
    pub(super) async fn ask(
        &mut self,
        requests: &Requests,
        patience: Duration,
    ) -> Result<Vec<Value>, Failure> {
        let mut replies = Vec::new();
        let take = |reply| {
            replies.push(reply);
            Ok(())
        };
        self.exchange(requests, patience, take).await?;
        Ok(replies)
    }

    /// Writes requests and hands exactly as many replies over, each as soon as it is complete. After a failure, also one of
    /// `take`, the connection is of no use any more.
    pub(super) async fn exchange(
        &mut self,
        requests: &Requests,
        patience: Duration,
        mut take: impl FnMut(Value) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (mut input, mut output) = self.stream.split();
        let write =
            async { output.write_all(&requests.bytes).await.map_err(|error| closed(&error)) };
        let read = async {
            for _ in 0..requests.count {
                take(self.replies.next(&mut input).await?)?;
            }
            Ok(())
        };
        match timeout(patience, async { tokio::try_join!(write, read) }).await {
            Ok(done) => done.map(drop),
            Err(_) => Err(Failure::new("time-out", format!("no reply within {patience:?}"))),
        }
    }
}

/// Replies as they arrive.
#[derive(Debug)]
struct Replies {
    scanner: FrameScanner,
    input: Vec<u8>,
    /// Bytes of `input` that are done with.
    consumed: usize,
}

impl Replies {
    fn new() -> Self {
        Self { scanner: FrameScanner::new(MAX_REPLY_BYTES), input: Vec::new(), consumed: 0 }
    }

    fn is_empty(&self) -> bool {
        self.input.len() == self.consumed
    }

    async fn next(&mut self, socket: &mut ReadHalf<'_>) -> Result<Value, Failure> {
        loop {
            let input = self.input.get(self.consumed..).unwrap_or_default();
            let length = self.scanner.scan(input).map_err(not_resp)?;
            if let Some(length) = length
                && let Some((value, _)) = decode(input).map_err(not_resp)?
            {
                self.consumed += length;
                if self.is_empty() {
                    self.input.clear();
                    self.input.shrink_to(READ_BYTES);
                    self.consumed = 0;
                }
                return Ok(value);
            }
            self.input.reserve(READ_BYTES);
            if socket.read_buf(&mut self.input).await.map_err(|error| closed(&error))? == 0 {
                return Err(Failure::new("closed", "the node closed the connection"));
            }
        }
    }
}

fn closed(error: &std::io::Error) -> Failure {
    Failure::new("closed", format!("the connection was lost: {error}"))
}

fn not_resp(error: ringcache_wire::frame::FrameError) -> Failure {
    Failure::new("not RESP", error.to_string())
}
