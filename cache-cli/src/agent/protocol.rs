//! What wrapper and agent say to each other.
//!
//! A message is a length (4 bytes, little-endian), a kind (1 byte), and the bytes: JSON, or for an offer
//! the record as it is. A connection has one [`Request`]; replies come until one that is the last.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use bytes::Bytes;
use cache_rustc::engine::Job;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{ExecuteSettings, RemoteSettings};

/// No message is longer, in bytes.
const MOST: u32 = 16 << 20;
const JSON: u8 = 0;
const RAW: u8 = 1;

/// What is asked for, and about what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) whom: Whom,
    pub(crate) ask: Ask,
}

/// What a request is about, with the settings of whoever asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Whom {
    /// A remote.
    Remote(RemoteSettings),
    /// An engine that executes.
    Engine(ExecuteSettings),
}

impl From<RemoteSettings> for Whom {
    fn from(settings: RemoteSettings) -> Self {
        Self::Remote(settings)
    }
}

impl From<ExecuteSettings> for Whom {
    fn from(settings: ExecuteSettings) -> Self {
        Self::Engine(settings)
    }
}

/// What is asked for. Digests are in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// An outcome of this key. Replies: [`Reply::Wait`], offers (each answered by a [`Choice`]),
    /// [`Reply::Here`], [`Reply::Nothing`].
    Bring { key: String },
    /// A build. Replies: [`Reply::Wait`], [`Reply::Here`], [`Reply::Nothing`].
    BringBuild { exact: String, near: Vec<String> },
    /// There is something in the spool, and no build is waiting.
    Poke,
    /// Upload all that is in the spool, now; reply when that is done or has failed.
    Push,
    /// How things are.
    Status,
    /// Compile something. Replies: [`Reply::Done`] when it was taken, then [`Reply::Executed`]; or
    /// [`Reply::Nothing`] at any time. Whoever goes away gives it up, and may say something
    /// [`Meanwhile`].
    Execute(Box<Job>),
}

/// What whoever waits for a compile says meanwhile. Answered by [`Reply::Wait`], unless what is waited for
/// comes first: for no time at all, it is to be begun here as well; else this is to be said again then, if
/// it still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Meanwhile {
    /// This machine has a core for it.
    CoreIsFree,
}

/// The answer to an offer: an outcome's digest in hex, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Choice {
    pub(crate) outcome: Option<String>,
}

/// What is left in the spool, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    /// Things uploaded since the agent was asked.
    pub(crate) uploaded: u64,
    /// Things that are still to be uploaded.
    pub(crate) left: u64,
    /// What the remote said last, if it was not good.
    pub(crate) trouble: Option<String>,
}

/// What came of a compile: in files of the job's scratch directory, but for this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Came {
    pub(crate) exit_code: i32,
    /// The variables as the compiler saw them.
    pub(crate) env: BTreeMap<String, String>,
    /// Whether outputs carry the name of a directory there.
    pub(crate) tied: bool,
    /// Which outputs there are, by their place in the job.
    pub(crate) outputs: Vec<usize>,
    /// Files of the system that are the same there.
    pub(crate) system: BTreeSet<PathBuf>,
    pub(crate) run_us: Option<u64>,
    /// Microseconds that it would have run with nothing beside it.
    pub(crate) alone_us: Option<u64>,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// Waiting so long, from now, is better than executing.
    Wait { ms: u64 },
    /// A record follows as it is.
    Offer,
    /// It is in the local store.
    Here,
    /// It will not come.
    Nothing { why: String },
    /// It was heard.
    Done,
    /// It was compiled.
    Executed(Box<Came>),
    /// The spool.
    Pushed(Left),
    /// How things are.
    Status(Value),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Json(Bytes),
    Raw(Bytes),
}

impl Message {
    /// Its bytes on the wire.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, bytes) = match self {
            Self::Json(bytes) => (JSON, bytes),
            Self::Raw(bytes) => (RAW, bytes),
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut out = length.to_le_bytes().to_vec();
        out.push(kind);
        out.extend_from_slice(bytes);
        out
    }

    /// A JSON message.
    pub(super) fn json<T: Serialize>(value: &T) -> Self {
        Self::Json(serde_json::to_vec(value).unwrap_or_default().into())
    }

    /// What a JSON message says.
    pub(super) fn parse<T: for<'a> Deserialize<'a>>(&self) -> io::Result<T> {
        match self {
            Self::Json(bytes) => Ok(serde_json::from_slice(bytes)?),
            Self::Raw(_) => Err(io::Error::other("a record where none was expected")),
        }
    }

    /// The length and the kind that a head announces.
    ///
    /// # Errors
    /// When that cannot be.
    pub(super) fn announced(head: [u8; 5]) -> io::Result<(usize, u8)> {
        let [a, b, c, d, kind] = head;
        let length = u32::from_le_bytes([a, b, c, d]);
        if length > MOST || kind > RAW {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no message"));
        }
        Ok((length as usize, kind))
    }

    /// A message of a kind.
    pub(super) fn of(kind: u8, bytes: Bytes) -> Self {
        if kind == RAW { Self::Raw(bytes) } else { Self::Json(bytes) }
    }
}

/// Writes a message.
///
/// # Errors
/// What the stream says.
pub(super) fn write(mut to: impl Write, message: &Message) -> io::Result<()> {
    to.write_all(&message.encode())
}

/// Reads a message.
///
/// # Errors
/// What the stream says; an end within it is one.
pub(super) fn read(mut from: impl Read) -> io::Result<Message> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let (length, kind) = Message::announced(head)?;
    let mut bytes = Vec::new();
    if from.take(length as u64).read_to_end(&mut bytes)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Message::of(kind, bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_as_they_went_and_others_are_refused() {
        let ask = Message::json(&Reply::Wait { ms: 7 });
        let record = Message::Raw(Bytes::from_static(b"\0record"));
        let bytes = [ask.encode(), record.encode()].concat();
        let mut from = &bytes[..];
        assert_eq!(read(&mut from).unwrap().parse::<Reply>().unwrap(), Reply::Wait { ms: 7 });
        assert_eq!(read(&mut from).unwrap(), record);
        assert!(read(&mut from).is_err());
        for cut in 1..ask.encode().len() {
            assert!(read(&bytes[..cut]).is_err());
        }
        assert!(read(&[0xff; 64][..]).is_err(), "a length that cannot be");
        assert!(read(&[1, 0, 0, 0, 9, 0][..]).is_err(), "a kind that is not known");
    }
}
