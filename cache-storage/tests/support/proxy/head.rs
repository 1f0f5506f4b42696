//! The head of a message, and what came with it of the body.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A longer head is an error.
const MOST: usize = 64 << 10;

/// The head of a request or an answer.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    lines: Vec<String>,
    /// Bytes of the body that were read already.
    pub(super) body: Vec<u8>,
}

impl Head {
    /// Reads up to the empty line; `None` if the peer closes before that.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let body = bytes.split_off(end + 4);
                let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
                let lines = text.split("\r\n").map(str::to_owned).collect();
                return Ok(Some(Self { lines, body }));
            }
            if bytes.len() > MOST {
                return Err(io::Error::other("a head without an end"));
            }
            if from.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
        }
    }

    pub(super) fn method(&self) -> &str {
        self.lines[0].split(' ').next().unwrap_or_default()
    }

    /// Of an answer: whether its status is one of success.
    pub(super) fn says_yes(&self) -> bool {
        self.lines[0].split(' ').nth(1).is_some_and(|status| status.starts_with('2'))
    }

    /// The value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let fields = self.lines[1..].iter().filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }

    /// Replaces a field, or adds it.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.lines.retain(|line| {
            line.split_once(':').is_none_or(|(field, _)| !field.eq_ignore_ascii_case(name))
        });
        self.lines.push(format!("{name}: {value}"));
    }

    /// As it goes over the wire, without the body.
    pub(super) fn bytes(&self) -> Vec<u8> {
        format!("{}\r\n\r\n", self.lines.join("\r\n")).into_bytes()
    }
}
