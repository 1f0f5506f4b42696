//! What a gRPC status means to a caller.

use std::error::Error;

use bazel_remote_apis::google::rpc;
use tonic::{Code, Status};

use crate::RemoteError;

/// What messages say about who was asked, and which setting to look at.
#[derive(Clone, Debug)]
pub(crate) struct Blame {
    /// `HOST:PORT`.
    pub(crate) server: String,
    /// The setting that proves who we are.
    pub(crate) identity: String,
}

impl Blame {
    /// The error behind a status that came while doing `what`.
    pub(crate) fn explain(&self, status: &Status, what: &str) -> RemoteError {
        match status.source() {
            Some(source) => self.explain_transport(status, source),
            None => self.explain_code(status.code(), status.message(), what),
        }
    }

    /// The error behind a status inside of an answer.
    pub(crate) fn explain_inner(&self, status: &rpc::Status, what: &str) -> RemoteError {
        self.explain_code(Code::from(status.code), &status.message, what)
    }

    fn explain_code(&self, code: Code, message: &str, what: &str) -> RemoteError {
        let text = format!("{}: {what}: {:?}: {}", self.server, code, one_line(message));
        match code {
            Code::Unavailable | Code::Aborted | Code::ResourceExhausted | Code::Cancelled => {
                RemoteError::Unavailable(text)
            }
            Code::DeadlineExceeded => RemoteError::TimedOut(text),
            Code::Unauthenticated | Code::PermissionDenied => {
                RemoteError::Denied { setting: self.identity.clone(), reason: text }
            }
            Code::Unimplemented => RemoteError::Unsupported(text),
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::AlreadyExists
            | Code::NotFound => RemoteError::Refused(text),
            Code::Ok | Code::Internal | Code::Unknown | Code::DataLoss => RemoteError::Failed(text),
        }
    }

    /// The status was made on this side, from what happened to the connection. rustls' errors come
    /// as texts here, below three libraries.
    fn explain_transport(&self, status: &Status, source: &(dyn Error + 'static)) -> RemoteError {
        let text = format!("{}: {}", self.server, one_line(&causes(source)));
        if text.contains("invalid peer certificate") {
            return RemoteError::misconfigured(
                crate::config::option_name("ca_file"),
                format!("the server's certificate is not accepted: {text}"),
            );
        }
        if ["CertificateRequired", "BadCertificate", "UnknownCA", "CertificateUnknown"]
            .iter()
            .any(|alert| text.contains(&format!("fatal alert: {alert}")))
        {
            return RemoteError::Denied {
                setting: crate::config::option_name("client_certificate"),
                reason: text,
            };
        }
        if text.contains("InvalidContentType") || text.contains("corrupt message") {
            return RemoteError::misconfigured(
                "url",
                format!("what answers does not speak TLS; write grpc:// for plain: {text}"),
            );
        }
        if status.code() == Code::OutOfRange {
            // tonic's own limit on the length of a message.
            return RemoteError::Garbage(text);
        }
        RemoteError::Unavailable(text)
    }
}

/// An error with what caused it, without repetitions.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

/// At most 300 characters of one line, whatever a server sends.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_says_what_to_do() {
        let blame = Blame { server: "h:1".into(), identity: "option token".into() };
        let of = |code| blame.explain(&Status::new(code, "words\nmore"), "reading");
        for code in [Code::Unavailable, Code::Aborted, Code::ResourceExhausted] {
            assert!(matches!(of(code), RemoteError::Unavailable(_)), "{code:?}");
        }
        for code in [Code::Internal, Code::Unknown, Code::DataLoss] {
            assert!(matches!(of(code), RemoteError::Failed(_)), "{code:?}");
            assert!(!of(code).is_transient(), "{code:?}");
        }
        let denied = of(Code::Unauthenticated).to_string();
        assert_eq!(denied, "access denied (option token): h:1: reading: Unauthenticated: words");
    }
}
