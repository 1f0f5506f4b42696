//! What servers say when they refuse, kept for the message to the user.
//!
//! `object_store` gives errors as text. The HTTP client below it notes the last refusal of the
//! running operation here, so that an error can be told by the server's code.

use std::cell::RefCell;
use std::future::Future;

use http::HeaderMap;

/// A refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// Which server: host and port.
    pub(super) host: String,
    /// The HTTP status; 0 when there was no answer.
    pub(super) status: u16,
    /// The server's own code, such as `NoSuchBucket`; empty when it gave none.
    pub(super) code: String,
    /// The server's own words, or what kept it from answering.
    pub(super) text: String,
    /// The `Date` of the answer.
    pub(super) date: String,
    /// The region that the bucket is in, where the server says it.
    pub(super) region: String,
    /// Why there was no answer.
    pub(super) fault: Option<Fault>,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server's certificate is not accepted.
    Certificate,
    /// What answers does not speak TLS.
    NotTls,
    /// Nothing came in time.
    TimedOut,
    /// No connection, or a broken one.
    Connection,
}

tokio::task_local! {
    static LAST: RefCell<Option<Reply>>;
}

/// Runs an operation, and gives the last refusal it met.
pub(super) async fn watch<T>(operation: impl Future<Output = T>) -> (T, Option<Reply>) {
    LAST.scope(RefCell::default(), async move {
        let result = operation.await;
        (result, LAST.with(RefCell::take))
    })
    .await
}

/// Notes a refusal for the running operation, if one is watched.
pub(super) fn note(reply: Reply) {
    let _ = LAST.try_with(|last| last.replace(Some(reply)));
}

impl Reply {
    /// Reads an answer. S3, Azure and GCS give codes in XML (`<Code>`, `<Message>`) or in headers.
    pub(super) fn of(host: String, status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let header = |name: &str| {
            headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let body = String::from_utf8_lossy(body);
        let code = match header("x-ms-error-code") {
            code if code.is_empty() => element(&body, "Code"),
            code => code,
        };
        let mut region = header("x-amz-bucket-region");
        if region.is_empty() {
            region = element(&body, "Region");
        }
        let text = one_line(&element(&body, "Message"));
        Self { host, status, code, text, date: header("date"), region, fault: None }
    }

    /// The whole in a few words.
    pub(super) fn words(&self) -> String {
        let mut words = self.host.clone();
        words += &match (self.status, self.code.is_empty()) {
            (0, _) => String::new(),
            (status, true) => format!(" answers {status}"),
            (status, false) => format!(" answers {status} {}", self.code),
        };
        if !self.text.is_empty() {
            words += ": ";
            words += &self.text;
        }
        words
    }
}

/// The text of the first such element.
fn element(xml: &str, name: &str) -> String {
    let text = || {
        let (_, rest) = xml.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text.to_owned())
    };
    text().unwrap_or_default()
}

/// At most 300 characters of one line, whatever a server sends.
fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_xml_and_headers() {
        let body = b"<?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><Message>no\nsecond</Message></Error>";
        let reply = Reply::of("h:1".into(), 404, &HeaderMap::new(), body);
        assert_eq!((reply.code.as_str(), reply.text.as_str()), ("NoSuchBucket", "no"));
        assert_eq!(reply.words(), "h:1 answers 404 NoSuchBucket: no");
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-error-code", "ContainerNotFound".parse().unwrap());
        headers.insert("x-amz-bucket-region", "eu-west-1".parse().unwrap());
        let reply = Reply::of("h:1".into(), 404, &headers, b"\xff\0");
        assert_eq!(
            (reply.code.as_str(), reply.region.as_str()),
            ("ContainerNotFound", "eu-west-1")
        );
    }

    #[tokio::test]
    async fn only_the_watched_operation_sees_its_refusals() {
        let refused = |host: &str| Reply { host: host.into(), ..Reply::default() };
        note(refused("nobody's"));
        let one = watch(async {
            note(refused("first"));
            tokio::task::yield_now().await;
            note(refused("second"));
        });
        let (one, two) = futures::future::join(one, watch(async {})).await;
        assert_eq!(one.1.map(|reply| reply.host), Some("second".into()));
        assert_eq!(two.1, None);
    }
}
