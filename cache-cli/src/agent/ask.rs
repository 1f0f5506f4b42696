//! The agent's end of a connection.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::protocol::{Message, Reply};

/// A connection that a request came on.
#[derive(Debug)]
pub(super) struct Conversation {
    stream: UnixStream,
    /// What was read and not heard yet.
    read: BytesMut,
}

impl Conversation {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, read: BytesMut::new() }
    }

    /// The next message. Nothing of it is lost when the future is dropped.
    ///
    /// # Errors
    /// What the stream says; its end is one.
    pub(super) async fn hear(&mut self) -> io::Result<Message> {
        loop {
            if let Some(head) = self.read.first_chunk() {
                let (length, kind) = Message::announced(*head)?;
                if self.read.len() >= head.len() + length {
                    self.read.advance(head.len());
                    return Ok(Message::of(kind, self.read.split_to(length).freeze()));
                }
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Says something.
    ///
    /// # Errors
    /// What the stream says: nobody listens any more.
    pub(super) async fn say(&mut self, reply: &Reply) -> io::Result<()> {
        self.stream.write_all(&Message::json(reply).encode()).await
    }

    /// Offers a record.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub(super) async fn offer(&mut self, record: Vec<u8>) -> io::Result<()> {
        let mut bytes = Message::json(&Reply::Offer).encode();
        bytes.extend(Message::Raw(record.into()).encode());
        self.stream.write_all(&bytes).await
    }

    /// Waits until the other end has closed. It says nothing that is to be heard.
    pub(super) async fn closed(&mut self) {
        let mut byte = [0];
        while matches!(self.stream.read(&mut byte).await, Ok(1..)) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_message_that_is_heard_in_two_goes_is_whole() -> io::Result<()> {
        let (mut from, to) = UnixStream::pair()?;
        let (mut talk, said) = (Conversation::new(to), Reply::Wait { ms: 7 });
        let bytes =
            [Message::json(&said), Message::json(&Reply::Here)].map(|m| m.encode()).concat();
        for cut in 1..9 {
            from.write_all(&bytes[..cut]).await?;
            assert!(talk.hear().now_or_never().is_none());
            from.write_all(&bytes[cut..]).await?;
            assert_eq!(talk.hear().await?.parse::<Reply>()?, said);
            assert_eq!(talk.hear().await?.parse::<Reply>()?, Reply::Here);
        }
        drop(from);
        assert!(talk.hear().await.is_err());
        Ok(())
    }
}
