//! Why an engine does not run an action.

use bazel_remote_apis::google::rpc;
use prost::Message;
use tonic::{Code, Status};

use crate::execute::Action;
use crate::{Client, RemoteError};

const WHAT: &str = "Execute";
/// `google.rpc.PreconditionFailure`, which the stubs do not have.
const PRECONDITION: &str = "type.googleapis.com/google.rpc.PreconditionFailure";

/// An engine's refusal: the status of a request, or the one inside an answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// What came instead of an answer, or is made of what happened to the connection.
    Request(Status),
    /// The status in the answer.
    Answer(rpc::Status),
    /// Something else.
    Other(RemoteError),
}

/// The message of this name in `google/rpc/error_details.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct PreconditionFailure {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<Violation>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Violation {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    subject: String,
    #[prost(string, tag = "3")]
    description: String,
}

impl Refusal {
    fn code(&self) -> Code {
        match self {
            Self::Request(status) => status.code(),
            Self::Answer(status) => Code::from(status.code),
            Self::Other(_) => Code::Unknown,
        }
    }

    /// Whether it says by the book that blobs are missing: violations of type `MISSING` (comments
    /// of `Execute` in REAPI).
    pub(super) fn names_missing(&self) -> bool {
        let inner = match self {
            Self::Request(status) => rpc::Status::decode(status.details()).unwrap_or_default(),
            Self::Answer(status) => status.clone(),
            Self::Other(_) => return false,
        };
        let mut violations = inner
            .details
            .iter()
            .filter(|detail| detail.type_url == PRECONDITION)
            .filter_map(|detail| PreconditionFailure::decode(&detail.value[..]).ok())
            .flat_map(|failure| failure.violations)
            .peekable();
        self.code() == Code::FailedPrecondition
            && violations.peek().is_some()
            && violations.all(|violation| violation.kind == "MISSING")
    }

    /// Whether an engine that does not go by the book may mean that blobs are missing. Seen:
    /// NativeLink says `FAILED_PRECONDITION` without details, buildbox-casd `INTERNAL`.
    pub(super) fn may_be_about_missing(&self) -> bool {
        let from_server = match self {
            Self::Request(status) => std::error::Error::source(status).is_none(),
            Self::Answer(_) => true,
            Self::Other(_) => false,
        };
        from_server
            && matches!(
                self.code(),
                Code::FailedPrecondition
                    | Code::Internal
                    | Code::NotFound
                    | Code::InvalidArgument
                    | Code::Unknown
            )
    }

    /// The error that a caller gets.
    pub(super) fn explain(self, client: &Client, action: &Action) -> RemoteError {
        let error = match self {
            Self::Request(status) => client.blame().explain(&status, WHAT),
            Self::Answer(status) => client.blame().explain_inner(&status, WHAT),
            Self::Other(error) => error,
        };
        match error {
            // Seen: BuildGrid refuses words for the platform that it does not know.
            RemoteError::Refused(text)
                if !action.platform.is_empty()
                    && text.to_ascii_lowercase().contains("platform") =>
            {
                RemoteError::misconfigured("platform", text)
            }
            other => other,
        }
    }
}
