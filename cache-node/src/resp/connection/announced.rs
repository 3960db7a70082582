//! Large requests of another node. Links cannot be closed for others that need the memory, since many clients would lose their
//! requests: so what a link holds is bounded in time.

use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;

use super::{Connection, End, MAX_READ, STALLED_REQUEST};
use crate::node::WAIT;
use crate::resp::commands::transaction::MAX_QUEUED_BYTES;
use crate::resp::dispatch::SHORT;
use crate::resp::forward::{self, Announcement};

/// The error for what no client of this node could send, or queue in a transaction.
const TOO_LARGE: &str = "ERR request is too large for the owner of its slot";
/// How often a link that waits for memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What is to come of a request that another node has announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    /// None is.
    Nothing,
    /// A request of so many bytes, for which there is memory.
    Taken(usize),
    /// So many bytes of one that has been refused: they are dropped.
    Refused(usize),
}

impl Announced {
    /// A request of so many bytes is complete. Whether it is what was announced, if something was.
    pub(super) fn ends_with(&mut self, bytes: usize) -> bool {
        match std::mem::replace(self, Self::Nothing) {
            Self::Taken(announced) => bytes == announced,
            Self::Nothing | Self::Refused(_) => true,
        }
    }
}

impl Connection<'_> {
    /// Whether there is no memory for a further answer to another node until those before it are written. With half an answer the
    /// link would have to be closed.
    pub(super) fn must_write_first(&mut self) -> bool {
        let out = &mut self.executor.out;
        if !self.client.is_peer || out.is_empty() {
            return false;
        }
        out.set_room(out.len() + self.executor.worker.max_message_bytes());
        !out.reserve(SHORT)
    }

    /// Takes the memory for a request that follows, or answers that there is none. False if the link is to be closed.
    pub(super) async fn expect(&mut self, size: Announcement) -> bool {
        self.input.drain(..self.consumed);
        self.consumed = 0;
        let worker = self.executor.worker;
        let most = worker.max_message_bytes().max(MAX_QUEUED_BYTES) + forward::ADDED;
        let needed = size.bytes.saturating_add(size.places());
        if size.bytes > most || needed > worker.node().account.limit_bytes() {
            self.executor.reply().error(TOO_LARGE);
            return self.refuse(size);
        }
        self.input.shrink_to(size.bytes);
        let held =
            self.input.capacity().max(size.bytes) + self.parser.held_bytes().max(size.places());
        let Ok(is_granted) = self.wait_at_link(held).await else { return false };
        // The reply to a write must not lack memory when the write has been carried out.
        let out = &mut self.executor.out;
        out.set_room(out.len() + SHORT);
        if is_granted && out.reserve(SHORT) {
            self.input.reserve_exact(size.bytes.saturating_sub(self.input.len()));
            self.announced = Announced::Taken(size.bytes);
            return true;
        }
        self.memory.shrink_to(self.input.capacity() + self.parser.held_bytes());
        self.executor.overloaded();
        self.refuse(size)
    }

    fn refuse(&mut self, size: Announcement) -> bool {
        self.announced = Announced::Refused(size.bytes);
        // Half an answer would be taken for the beginning of the next one.
        !self.executor.out.is_full()
    }

    /// Drops what has come of a request that was refused.
    pub(super) fn drop_refused(&mut self) {
        if let Announced::Refused(bytes) = self.announced {
            let dropped = bytes.min(self.input.len() - self.consumed);
            self.consumed += dropped;
            self.announced = match bytes - dropped {
                0 => Announced::Nothing,
                left => Announced::Refused(left),
            };
        }
    }

    /// Room for one read of a request for which memory was taken; `None` if none was announced. What is larger than was
    /// announced, or has not been although it had to be, ends the link.
    pub(super) fn announced_room(&self) -> Result<Option<usize>, End> {
        match self.announced {
            Announced::Taken(bytes) => match bytes.saturating_sub(self.input.len()) {
                0 => Err(End::Closed),
                left => Ok(Some(left.min(MAX_READ))),
            },
            Announced::Nothing if self.client.is_peer && self.input.len() > forward::LARGE => {
                Err(End::Closed)
            }
            Announced::Nothing | Announced::Refused(_) => Ok(None),
        }
    }

    /// How long the rest of a request may take to come, if it has begun.
    pub(super) fn patience(&self) -> Option<Duration> {
        match self.announced {
            // The node that sends it gives up as soon.
            Announced::Taken(_) => Some(WAIT),
            _ => (!self.input.is_empty()).then_some(STALLED_REQUEST),
        }
    }

    /// Waits until so many bytes are leased for what a link's small requests need. Those of many clients would be lost with it:
    /// false only when the node that sends them has given them up.
    pub(super) async fn wait_as_peer(&mut self, bytes: usize) -> Result<bool, End> {
        let clock = &self.executor.worker.node().clock;
        let deadline_ms = clock.monotonic_ms() + WAIT.as_millis() as u64;
        while !self.wait_at_link(bytes).await? {
            if clock.monotonic_ms() >= deadline_ms || self.client.is_closing() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits for memory as a client does; it ends with the link.
    async fn wait_at_link(&mut self, bytes: usize) -> Result<bool, End> {
        if self.memory.grow_to(bytes) {
            return Ok(true);
        }
        self.flush().await?;
        tokio::select! {
            is_granted = self.memory.wait_for(bytes) => Ok(is_granted),
            () = hung_up(&self.executor.socket) => Err(End::Closed),
        }
    }
}

/// Resolves when the other end has closed the connection, although what it sent before has not been read.
async fn hung_up(socket: &TcpStream) {
    loop {
        match socket.ready(Interest::READABLE).await {
            Ok(ready) if !ready.is_read_closed() => {}
            _ => return,
        }
        // What can be read makes the socket ready all the time, so the end cannot be waited for.
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_connection_is_noticed_behind_bytes_that_nobody_reads() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sender = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (mut sender, (socket, _)) = (sender.unwrap(), listener.accept().await.unwrap());
        sender.write_all(b"nobody reads this").await.unwrap();
        socket.readable().await.unwrap();
        assert!(timeout(3 * LOOK, hung_up(&socket)).await.is_err(), "it is open");
        drop(sender);
        timeout(Duration::from_secs(10), hung_up(&socket)).await.unwrap();
    }
}
