//! The end of a connection whose client was told why, and may still be sending.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{Client, Connection};

/// What the client still sends is read and thrown away for so long. To a socket with unread bytes the kernel answers with a
/// reset: a client that is still sending sees only that, and not what it was told.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Ends this side, and reads until the client has ended too, or has had [`LINGER_TIME`] for it.
pub(super) async fn linger(mut socket: TcpStream, client: &Client) {
    if socket.shutdown().await.is_err() {
        return;
    }
    let ended = async {
        while !client.is_closing() {
            tokio::select! {
                ready = socket.readable() => if ready.is_err() || !throw_away(&socket) { return },
                () = client.woken() => {}
            }
        }
    };
    // Whether it ended in time makes no difference.
    let _ = tokio::time::timeout(LINGER_TIME, ended).await;
}

impl Connection<'_> {
    /// The socket. All else is given back: buffers, queued commands, pushes, and what was set aside.
    pub(super) fn into_socket(mut self) -> TcpStream {
        self.executor.session.set_tracking(None);
        self.client.holding.give_back_aside();
        self.executor.socket
    }
}

/// Reads once. False if nothing more will come.
fn throw_away(socket: &TcpStream) -> bool {
    let mut thrown_away = [0; 8 << 10];
    match socket.try_read(&mut thrown_away) {
        Ok(bytes) => bytes > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}
