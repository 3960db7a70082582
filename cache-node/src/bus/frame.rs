//! Frames on the bus: a length, then the sender's document or a batch of messages.
//!
//! Every message counts as carrying the sender's document. On the wire the document goes ahead only when it has changed
//! since the last message of the connection, which keeps its order.

use std::io;

use ringcache_cluster::Message;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// No frame is longer: a window of records is far smaller, a document has its own limit.
pub(super) const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// One frame. Encoded with postcard; the handshake's version covers its shape.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Frame {
    /// The ring document that the following messages were sent under, as JSON with its checksum.
    Document(String),
    /// Messages, in order.
    Messages(Vec<Message>),
}

impl Frame {
    /// Appends the frame with its length to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        let mut encoded =
            postcard::to_extend(self, std::mem::take(out)).map_err(io::Error::other)?;
        let length = (encoded.len() - start - 4) as u32;
        encoded[start..start + 4].copy_from_slice(&length.to_be_bytes());
        *out = encoded;
        Ok(())
    }

    /// Reads the next frame; `buffer` is kept between calls.
    pub(super) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        buffer: &mut Vec<u8>,
    ) -> io::Result<Self> {
        let length = stream.read_u32().await? as usize;
        if length > MAX_FRAME_BYTES {
            return Err(io::Error::other(format!(
                "a frame of {length} bytes; at most {MAX_FRAME_BYTES} are allowed"
            )));
        }
        buffer.resize(length, 0);
        stream.read_exact(buffer).await?;
        postcard::from_bytes(buffer).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_frame_comes_back_as_it_was_sent_and_a_longer_one_is_refused() {
        let mut bytes = Vec::new();
        let data = Message::Data { slot: 7, attempt: 3, seq: 1, records: vec![1, 2, 3] };
        Frame::Document("{}".into()).encode(&mut bytes).expect("encodes");
        Frame::Messages(vec![data.clone()]).encode(&mut bytes).expect("encodes");
        let (mut stream, mut buffer) = (bytes.as_slice(), Vec::new());
        let first = Frame::read(&mut stream, &mut buffer).await.expect("a frame");
        assert!(matches!(first, Frame::Document(json) if json == "{}"));
        let second = Frame::read(&mut stream, &mut buffer).await.expect("a frame");
        assert!(matches!(second, Frame::Messages(messages) if messages == [data]));

        let mut long = ((MAX_FRAME_BYTES + 1) as u32).to_be_bytes().to_vec();
        long.extend_from_slice(&[0; 16]);
        let refused = Frame::read(&mut long.as_slice(), &mut buffer).await;
        assert!(refused.is_err_and(|e| e.to_string().contains("at most")));
    }
}
