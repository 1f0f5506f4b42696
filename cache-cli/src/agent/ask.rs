//! The agent's end of a connection.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::protocol::{Message, Reply};

/// A connection that a request came on.
#[derive(Debug)]
pub(super) struct Conversation(UnixStream);

impl Conversation {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// The next message.
    ///
    /// # Errors
    /// What the stream says; its end is one.
    pub(super) async fn hear(&mut self) -> io::Result<Message> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head).await?;
        let (length, kind) = Message::announced(head)?;
        let mut bytes = Vec::new();
        let read = (&mut self.0).take(length as u64).read_to_end(&mut bytes).await?;
        if read < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Message::of(kind, bytes.into()))
    }

    /// Says something.
    ///
    /// # Errors
    /// What the stream says: nobody listens any more.
    pub(super) async fn say(&mut self, reply: &Reply) -> io::Result<()> {
        self.0.write_all(&Message::json(reply).encode()).await
    }

    /// Offers a record.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub(super) async fn offer(&mut self, record: Vec<u8>) -> io::Result<()> {
        let mut bytes = Message::json(&Reply::Offer).encode();
        bytes.extend(Message::Raw(record.into()).encode());
        self.0.write_all(&bytes).await
    }

    /// Waits until the other end has closed. It says nothing that is to be heard.
    pub(super) async fn closed(&mut self) {
        let mut byte = [0];
        while matches!(self.0.read(&mut byte).await, Ok(1..)) {}
    }
}
