//! Frames on the bus: a length, then the sender's document or a batch of messages.
//!
//! Every message counts as carrying the sender's document. On the wire the document goes ahead only when it has changed
//! since the last message of the connection, which keeps its order.

use std::io;

use ringcache_api::document::MAX_DOCUMENT_BYTES;
use ringcache_cluster::Message;
use ringcache_store::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// No frame is longer: the longest message carries one record of the largest value, a document has its own limit. Whoever
/// writes a frame keeps to it, because a reader that refuses a frame ends the connection.
pub(super) const MAX_FRAME_BYTES: usize = 2 * 1024 * 1024;
/// Messages are put into one frame until it has so many bytes: with the longest message on top it is below the limit.
pub(super) const BATCH_BYTES: usize = 512 * 1024;

const _: () = assert!(BATCH_BYTES + MAX_VALUE_BYTES + MAX_KEY_BYTES + 1024 <= MAX_FRAME_BYTES);
const _: () = assert!(MAX_DOCUMENT_BYTES + 1024 <= MAX_FRAME_BYTES);

/// One frame. Encoded with postcard; the handshake's version covers its shape.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Frame {
    /// The ring document that the following messages were sent under, as JSON with its checksum.
    Document(String),
    /// Messages, in order.
    Messages(Vec<Message>),
}

impl Frame {
    /// The frame with its length before it. One that the other side would refuse is an error here.
    pub(super) fn encode(&self, mut out: Vec<u8>) -> io::Result<Vec<u8>> {
        out.clear();
        out.extend_from_slice(&[0; 4]);
        let mut encoded = postcard::to_extend(self, out).map_err(io::Error::other)?;
        let length = encoded.len() - 4;
        if length > MAX_FRAME_BYTES {
            return Err(too_long(length));
        }
        encoded[..4].copy_from_slice(&(length as u32).to_be_bytes());
        Ok(encoded)
    }

    /// Reads the next frame; `buffer` is kept between calls.
    pub(super) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        buffer: &mut Vec<u8>,
    ) -> io::Result<Self> {
        let length = stream.read_u32().await? as usize;
        if length > MAX_FRAME_BYTES {
            return Err(too_long(length));
        }
        buffer.resize(length, 0);
        stream.read_exact(buffer).await?;
        postcard::from_bytes(buffer)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

fn too_long(length: usize) -> io::Error {
    let text = format!("a frame of {length} bytes; at most {MAX_FRAME_BYTES} are allowed");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use ringcache_cluster::Run;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_frame_comes_back_as_it_was_sent_and_a_longer_one_is_refused() {
        let data = Message::Data { slot: 7, attempt: 3, seq: 1, records: vec![1, 2, 3] };
        let document = Frame::Document("{}".into()).encode(Vec::new()).expect("encodes");
        let messages = Frame::Messages(vec![data.clone()]).encode(Vec::new()).expect("encodes");
        let bytes = [document, messages].concat();
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
    fn data(bytes: usize) -> Message {
        Message::Data { slot: u16::MAX, attempt: u64::MAX, seq: u64::MAX, records: vec![0; bytes] }
    }

    #[test]
    fn no_message_takes_more_than_it_says() {
        let run = |slot| Run { first: slot, last: slot, version: u64::MAX };
        let ranges = || (0..1000).map(|slot| (65_000 + slot % 500, 65_535)).collect::<Vec<_>>();
        let most = u64::MAX;
        for message in [
            data(100_000),
            Message::Heartbeat {
                seen: most,
                base: most,
                revision: most,
                owned: (65_000..65_500).map(run).collect(),
            },
            Message::Claim { epoch: most, slots: ranges() },
            Message::Answer { epoch: most, not_mine: ranges(), mine: ranges(), version: most },
            Message::Seal { slot: u16::MAX, attempt: most, version: most, frames: most },
        ] {
            let size = message.size();
            let frame = Frame::Messages(vec![message]).encode(Vec::new()).expect("encodes");
            assert!(frame.len() - 6 <= size, "{} > {size}", frame.len());
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_where_it_is_written() {
        let room = MAX_FRAME_BYTES - 64;
        assert!(Frame::Messages(vec![data(room)]).encode(Vec::new()).is_ok());
        let refused = Frame::Messages(vec![data(MAX_FRAME_BYTES)]).encode(Vec::new());
        assert!(refused.is_err_and(|e| e.to_string().contains("at most")));
    }
}
