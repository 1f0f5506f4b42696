//! How it misbehaves.

use std::collections::HashMap;

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use tonic::Code;

/// How an engine says that inputs are missing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Missing {
    /// By the book: `FAILED_PRECONDITION`, with each blob in the details.
    #[default]
    Details,
    /// Like NativeLink: `FAILED_PRECONDITION`, and no details.
    NoDetails,
    /// Like buildbox-casd: `INTERNAL`, inside the answer.
    Internal,
}

/// All ways to misbehave; the default is by the book.
#[derive(Clone, Debug)]
pub(crate) struct Quirks {
    /// Requests that fail, by name: how often from now on, and how.
    pub(crate) fail: HashMap<&'static str, (u32, Code)>,
    /// Requests that are never answered.
    pub(crate) hang: Vec<&'static str>,
    /// The engine's own limit on messages, in bytes.
    pub(crate) message_limit: usize,
    /// The limit on batches that it announces.
    pub(crate) batch: i64,
    /// BLAKE3 is offered, beside SHA-256.
    pub(crate) blake3: bool,
    pub(crate) zstd: bool,
    /// The major versions of the API that it speaks.
    pub(crate) api: (i32, i32),
    /// It is a cache only.
    pub(crate) no_execution: bool,
    pub(crate) missing: Missing,
    /// Forgets all blobs when the next executions begin, so often.
    pub(crate) evict: u32,
    /// Says that it has all blobs, whatever it has.
    pub(crate) claims_all: bool,
    /// Names a blob that nobody asked for as missing.
    pub(crate) names_others: bool,
    /// Says of no stage but `UNKNOWN`.
    pub(crate) unknown_stages: bool,
    /// Keys of the platform that it knows.
    pub(crate) platform: Vec<&'static str>,
    /// `DATA_LOSS` for reads with a limit.
    pub(crate) no_limited_reads: bool,
    /// Reads break after so many bytes, so often.
    pub(crate) break_reads: (u32, usize),
    /// Reads end well after so many bytes.
    pub(crate) truncate: Option<usize>,
    /// Writes break after so many bytes, so often.
    pub(crate) break_writes: (u32, usize),
    /// The exit code of commands.
    pub(crate) exit_code: i32,
    /// Keeps results of failed commands and serves them.
    pub(crate) keeps_failures: bool,
    /// The stream of an execution ends after its first message, so often.
    pub(crate) drop_streams: u32,
    /// And what it was is not known any more.
    pub(crate) forgets_operations: bool,
    /// Executions never end.
    pub(crate) endless: bool,
    /// The answer of an execution does not decode.
    pub(crate) undecodable: bool,
    /// The result, instead of the right one.
    pub(crate) result: Option<pb::ActionResult>,
    /// The name of its only instance.
    pub(crate) instance: Option<&'static str>,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            fail: HashMap::new(),
            hang: Vec::new(),
            message_limit: 4 << 20,
            batch: 0,
            blake3: false,
            zstd: false,
            api: (2, 2),
            no_execution: false,
            missing: Missing::default(),
            evict: 0,
            claims_all: false,
            names_others: false,
            unknown_stages: false,
            platform: Vec::new(),
            no_limited_reads: false,
            break_reads: (0, 0),
            truncate: None,
            break_writes: (0, 0),
            exit_code: 0,
            keeps_failures: false,
            drop_streams: 0,
            forgets_operations: false,
            endless: false,
            undecodable: false,
            result: None,
            instance: None,
        }
    }
}
