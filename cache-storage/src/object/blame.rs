//! Errors by what the user can do about them: which setting to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

use super::client::innermost;
use super::config::misconfigured;
use super::location::{Location, Scheme, URL};
use super::reply::{Fault, Reply};
use crate::StoreError;

/// What a setting is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Part {
    /// Who asks: key id, account, user name.
    Identity,
    /// What proves it.
    Secret,
    /// A secret for a limited time.
    Token,
    Region,
    Endpoint,
    Certificate,
}

/// Which settings a store was made of, by the names under which the user wrote them.
#[derive(Clone, Debug)]
pub(super) struct Blame {
    scheme: Scheme,
    bucket: String,
    names: BTreeMap<Part, String>,
    /// Which of them were given.
    given: BTreeSet<Part>,
}

/// What was being done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Doing {
    Reading,
    Writing,
}

impl Blame {
    /// `defaults` names the settings that were not given.
    pub(super) fn new(location: &Location, defaults: &[(Part, &str)]) -> Self {
        let names = defaults.iter().map(|(part, name)| (*part, (*name).to_owned())).collect();
        let given = BTreeSet::new();
        Self { scheme: location.scheme, bucket: location.bucket.clone(), names, given }
    }

    pub(super) fn set(&mut self, part: Part, name: &str) {
        self.names.insert(part, name.to_owned());
        self.given.insert(part);
    }

    /// The setting that says who asks, if one was given.
    pub(super) fn credentials_from(&self) -> Option<&str> {
        let mut parts = [Part::Secret, Part::Identity].into_iter();
        Some(self.name(parts.find(|part| self.given.contains(part))?))
    }

    fn name(&self, part: Part) -> &str {
        self.names.get(&part).map_or(URL, String::as_str)
    }

    fn denied(&self, part: Part, reason: String) -> StoreError {
        StoreError::Denied { setting: self.name(part).to_owned(), reason }
    }

    fn misconfigured(&self, part: Part, reason: String) -> StoreError {
        misconfigured(self.name(part), reason)
    }

    /// What an operation's failure was about. `reply` is the last refusal that it met.
    pub(super) fn explain(
        &self,
        what: &str,
        doing: Doing,
        error: Error,
        reply: Option<&Reply>,
    ) -> StoreError {
        if let Some(reply) = reply {
            if gives_credentials(&reply.host) && reply.status < 500 {
                let words = reply.words();
                return self.denied(Part::Identity, format!("no credentials were got: {words}"));
            }
            let by_code = self.by_code(reply, doing);
            return by_code
                .or_else(|| self.by_fault(reply))
                .or_else(|| self.by_status(reply, doing))
                .unwrap_or_else(|| io(what, error));
        }
        match error {
            Error::PermissionDenied { source, .. } if doing == Doing::Writing => {
                StoreError::ReadOnly(source.to_string())
            }
            Error::PermissionDenied { source, .. } | Error::Unauthenticated { source, .. } => {
                self.denied(Part::Identity, source.to_string())
            }
            Error::NotImplemented { operation, implementer } => {
                self.misconfigured(Part::Endpoint, format!("{implementer} has no {operation}"))
            }
            error => match broken_transfer(&error) {
                Some(reason) => StoreError::Unavailable(format!("{what}: {reason}")),
                None => io(what, error),
            },
        }
    }

    /// By the codes of S3 (which GCS shares) and Azure:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>,
    /// <https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes>.
    fn by_code(&self, reply: &Reply, doing: Doing) -> Option<StoreError> {
        let words = reply.words();
        Some(match reply.code.as_str() {
            "NoSuchBucket" | "InvalidBucketName" | "ContainerNotFound" | "InvalidResourceName" => {
                misconfigured(URL, format!("there is no bucket {:?}: {words}", self.bucket))
            }
            "InvalidAccessKeyId" | "AccountNotFound" | "InvalidAuthenticationInfo" => {
                self.denied(Part::Identity, words)
            }
            "SignatureDoesNotMatch" => self.denied(Part::Secret, words),
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => {
                self.denied(Part::Token, words)
            }
            "RequestTimeTooSkewed" | "RequestExpired" => clock(reply),
            // Azure has one code for both and says the rest in words.
            "AuthenticationFailed" if reply.text.contains("date header") => clock(reply),
            "AuthorizationFailure" if reply.text.contains("authenticate") => {
                self.denied(Part::Secret, words)
            }
            "AuthenticationFailed" => self.denied(Part::Secret, words),
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException" => self.region(reply),
            "AccessDenied"
            | "AllAccessDisabled"
            | "AccountIsDisabled"
            | "AuthorizationFailure"
            | "AuthorizationPermissionMismatch"
            | "InsufficientAccountPermissions" => self.not_permitted(doing, words),
            "NotImplemented" => misconfigured(
                "option conditional_put",
                format!("the server cannot write on condition; set it to \"disabled\": {words}"),
            ),
            "QuotaExceeded" | "EntityTooLarge" | "InsufficientStorage" => StoreError::Full(words),
            "SlowDown" | "ServerBusy" | "InternalError" | "ServiceUnavailable"
            | "OperationTimedOut" => StoreError::Unavailable(words),
            _ => return None,
        })
    }

    fn by_status(&self, reply: &Reply, doing: Doing) -> Option<StoreError> {
        let words = reply.words();
        Some(match reply.status {
            301 | 302 | 307 | 308 if self.scheme == Scheme::S3 => self.region(reply),
            301 | 302 | 307 | 308 => {
                misconfigured(URL, format!("the server redirects elsewhere: {words}"))
            }
            401 => self.denied(Part::Secret, words),
            403 => self.not_permitted(doing, words),
            // Where an answer has no body, as to HEAD, the header with the region is all there is.
            400 if !reply.region.is_empty() => self.region(reply),
            404 | 410 if reply.code.is_empty() => {
                misconfigured(URL, format!("there is nothing of this name: {words}"))
            }
            405 if self.scheme == Scheme::Http => {
                misconfigured(URL, format!("this is no WebDAV server: {words}"))
            }
            413 | 507 => StoreError::Full(words),
            408 | 423 | 429 | 500.. => StoreError::Unavailable(words),
            _ => return None,
        })
    }

    fn by_fault(&self, reply: &Reply) -> Option<StoreError> {
        let words = reply.words();
        Some(match reply.fault? {
            Fault::Certificate => self.misconfigured(
                Part::Certificate,
                format!("the server's certificate is not trusted: {words}"),
            ),
            Fault::NotTls => self.misconfigured(
                Part::Endpoint,
                format!(
                    "what answers does not speak TLS; is it http:// rather than https://? {words}"
                ),
            ),
            Fault::TimedOut | Fault::Connection => {
                StoreError::Unavailable(format!("{words} ({})", self.name(Part::Endpoint)))
            }
        })
    }

    fn not_permitted(&self, doing: Doing, words: String) -> StoreError {
        match doing {
            Doing::Writing => StoreError::ReadOnly(words),
            Doing::Reading => self.denied(Part::Identity, words),
        }
    }

    fn region(&self, reply: &Reply) -> StoreError {
        let words = reply.words();
        let reason = match reply.region.as_str() {
            "" => format!("the bucket is in another region: {words}"),
            region => format!("the bucket is in {region}: {words}"),
        };
        self.misconfigured(Part::Region, reason)
    }
}

/// Whether this is a service that is asked for credentials, not for objects: the metadata of AWS,
/// ECS, Azure and Google instances, and the token services of each.
fn gives_credentials(host: &str) -> bool {
    let host = host.split(':').next().unwrap_or(host);
    host.starts_with("169.254.")
        || host.starts_with("sts.")
        || ["metadata.google.internal", "login.microsoftonline.com", "oauth2.googleapis.com"]
            .contains(&host)
}

fn clock(reply: &Reply) -> StoreError {
    let says = match reply.date.as_str() {
        "" => String::new(),
        date => format!(", which says {date}"),
    };
    let reason = format!("it differs from the server's{says}: {}", reply.words());
    misconfigured("system clock", reason)
}

fn io(what: &str, error: Error) -> StoreError {
    StoreError::read(what, std::io::Error::from(error))
}

/// Why the body of an answer did not come whole, if that is what happened.
pub(super) fn broken_transfer(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return Some(match http.kind() {
                HttpErrorKind::Timeout => "no answer in time".to_owned(),
                _ => innermost(http),
            });
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(url: &str, doing: Doing, host: &str, status: u16, code: &str) -> String {
        let location = Location::parse(url).unwrap();
        let names = [(Part::Identity, "ID"), (Part::Secret, "SECRET"), (Part::Region, "REGION")];
        let blame = Blame::new(&location, &names);
        let (host, code) = (host.to_owned(), code.to_owned());
        let reply = Reply { host, status, code, ..Reply::default() };
        let error = Error::Generic { store: "test", source: "failed".into() };
        match blame.explain("testing", doing, error, Some(&reply)) {
            StoreError::Denied { setting, .. } => format!("denied {setting}"),
            StoreError::Misconfigured { setting, .. } => format!("misconfigured {setting}"),
            StoreError::Unavailable(_) => "unavailable".into(),
            StoreError::ReadOnly(_) => "read-only".into(),
            StoreError::Full(_) => "full".into(),
            other => other.to_string(),
        }
    }

    #[test]
    fn refusals_are_told_by_code_then_by_status() {
        use Doing::{Reading, Writing};
        for (url, doing, host, status, code, expected) in [
            ("s3://b", Reading, "h:1", 403, "AccessDenied", "denied ID"),
            ("s3://b", Writing, "h:1", 403, "AccessDenied", "read-only"),
            ("s3://b", Reading, "h:1", 403, "", "denied ID"),
            ("s3://b", Reading, "h:1", 301, "", "misconfigured REGION"),
            ("gs://b", Reading, "h:1", 301, "", "misconfigured url"),
            ("s3://b", Writing, "h:1", 400, "EntityTooLarge", "full"),
            ("https://h/", Writing, "h", 507, "", "full"),
            ("https://h/", Writing, "h", 405, "", "misconfigured url"),
            ("https://h/", Reading, "h", 423, "", "unavailable"),
            ("s3://b", Reading, "h:1", 429, "", "unavailable"),
            ("s3://b", Reading, "h:1", 503, "SlowDown", "unavailable"),
            // Not the store's answer, but that of who gives credentials.
            ("s3://b", Reading, "169.254.169.254", 404, "", "denied ID"),
            ("s3://b", Reading, "169.254.169.254", 0, "", "denied ID"),
            ("s3://b", Reading, "sts.eu-west-1.amazonaws.com", 403, "AccessDenied", "denied ID"),
            ("s3://b", Reading, "sts.eu-west-1.amazonaws.com", 503, "", "unavailable"),
            ("gs://b", Reading, "metadata.google.internal:80", 0, "", "denied ID"),
        ] {
            assert_eq!(
                explained(url, doing, host, status, code),
                expected,
                "{host} {status} {code}"
            );
        }
        let other = explained("s3://b", Reading, "h:1", 418, "Teapot");
        assert!(other.starts_with("testing: "), "{other}");
    }
}
