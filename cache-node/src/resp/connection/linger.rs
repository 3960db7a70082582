//! The end of a connection whose client was told why, and may still be sending.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::Connection;

/// What the client still sends is read and thrown away for so long. To a socket with unread bytes the kernel answers with a
/// reset: a client that is still sending sees only that, and not what it was told.
const LINGER_TIME: Duration = Duration::from_secs(2);

impl Connection<'_> {
    /// Ends this side, and reads until the client has ended too, or has had [`LINGER_TIME`] for it. Nothing is held meanwhile.
    pub(super) async fn linger(&mut self) {
        self.input = Vec::new();
        self.memory.shrink_to(0);
        self.executor.out.shrink_to(0);
        let (client, socket) = (self.client, &mut self.executor.socket);
        client.holding.give_back_aside();
        if socket.shutdown().await.is_err() {
            return;
        }
        let socket = &*socket;
        let ended = async {
            while !client.is_closing() {
                tokio::select! {
                    ready = socket.readable() => if ready.is_err() || !throw_away(socket) { return },
                    () = client.woken() => {}
                }
            }
        };
        // Whether it ended in time makes no difference.
        let _ = tokio::time::timeout(LINGER_TIME, ended).await;
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
