//! The URL of a store.

use object_store::path::Path;
use url::Url;

use super::config::misconfigured;
use crate::Result;

/// What the URL stands for in messages.
pub(super) const URL: &str = "url";

/// Which kind of store a URL names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scheme {
    S3,
    Gcs,
    Azure,
    Http,
    File,
    Memory,
}

/// A URL in its parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Location {
    pub(super) scheme: Scheme,
    /// The whole, without user name and password.
    pub(super) url: Url,
    /// Bucket or container; empty where there is none.
    pub(super) bucket: String,
    /// What all names are below; for `file` that is in `url`.
    pub(super) prefix: Path,
    /// User name and password that the URL carries.
    pub(super) login: Option<(String, String)>,
}

impl Location {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: String| misconfigured(URL, reason);
        if text.is_empty() {
            return Err(wrong("no address is given; write one such as s3://bucket/prefix".into()));
        }
        let mut url = Url::parse(text)
            .map_err(|e| wrong(format!("{:?} is not a URL: {e}", without_password(text))))?;
        let scheme = scheme(&url).ok_or_else(|| {
            wrong(format!(
                "{}:// is not supported; write s3://, gs://, az://, https://, http://, file:// or memory:",
                url.scheme()
            ))
        })?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("neither ? nor # may occur in it; settings are options".into()));
        }
        if leaves_its_parent(text) {
            return Err(wrong("its path must not contain `.` or `..`".into()));
        }
        let login = take_login(&mut url);
        let has_bucket = matches!(scheme, Scheme::S3 | Scheme::Gcs | Scheme::Azure);
        let bucket =
            if has_bucket { url.host_str().unwrap_or_default().to_owned() } else { String::new() };
        if has_bucket && (bucket.is_empty() || url.port().is_some() || login.is_some()) {
            return Err(wrong(format!(
                "it names no bucket; write {}://BUCKET/PREFIX, and the server's address in the option endpoint",
                url.scheme()
            )));
        }
        let prefix = match scheme {
            Scheme::File => Path::default(),
            _ => Path::from_url_path(url.path()).map_err(|e| wrong(e.to_string()))?,
        };
        Ok(Self { scheme, url, bucket, prefix, login })
    }
}

fn scheme(url: &Url) -> Option<Scheme> {
    match url.scheme() {
        "s3" => Some(Scheme::S3),
        "gs" => Some(Scheme::Gcs),
        "az" => Some(Scheme::Azure),
        "http" | "https" => Some(Scheme::Http),
        "file" => Some(Scheme::File),
        "memory" => Some(Scheme::Memory),
        _ => None,
    }
}

/// Whether a part of the path is `.` or `..`, in the spelling of the URL standard or percent-encoded.
fn leaves_its_parent(text: &str) -> bool {
    let path = text.split_once(':').map_or(text, |(_, rest)| rest);
    path.split(['/', '\\'])
        .any(|part| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."))
}

fn take_login(url: &mut Url) -> Option<(String, String)> {
    let decode = |text: &str| {
        let encoded = format!("x={}", text.replace('+', "%2B"));
        url::form_urlencoded::parse(encoded.as_bytes())
            .next()
            .map_or_else(String::new, |(_, value)| value.into_owned())
    };
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let login = (decode(url.username()), decode(url.password().unwrap_or_default()));
    // Fails only for URLs that cannot have a login in the first place.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(login)
}

/// The text of a URL as it may be shown: user name and password are `…`. Any other text stays.
#[must_use]
pub fn without_password(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.find('/').unwrap_or(rest.len());
            match rest[..authority].rfind('@') {
                Some(at) => format!("{scheme}://…@{}", &rest[at + 1..]),
                None => text.to_owned(),
            }
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Scheme, String, String) {
        let location = Location::parse(text).unwrap();
        (location.scheme, location.bucket, location.prefix.to_string())
    }

    #[test]
    fn urls_have_bucket_and_prefix() {
        assert_eq!(parts("s3://b/team/x"), (Scheme::S3, "b".into(), "team/x".into()));
        assert_eq!(parts("s3://b"), (Scheme::S3, "b".into(), String::new()));
        assert_eq!(parts("gs://b/"), (Scheme::Gcs, "b".into(), String::new()));
        assert_eq!(parts("az://c/x%20y/"), (Scheme::Azure, "c".into(), "x y".into()));
        assert_eq!(parts("https://h:8080/a/b"), (Scheme::Http, String::new(), "a/b".into()));
        assert_eq!(parts("memory:"), (Scheme::Memory, String::new(), String::new()));
        assert_eq!(parts("memory:///p"), (Scheme::Memory, String::new(), "p".into()));
    }

    #[test]
    fn a_wrong_url_is_told_what_is_wrong() {
        for (text, why) in [
            ("", "no address"),
            ("bucket/prefix", "is not a URL"),
            ("ftp://host/", "ftp:// is not supported"),
            ("s3://b/?region=x", "neither ? nor #"),
            ("s3://b/a/../../c", "`.` or `..`"),
            ("https://h/a/%2E%2e/c", "`.` or `..`"),
            ("file:///a/..", "`.` or `..`"),
            ("s3:///x", "no bucket"),
            ("s3://127.0.0.1:9000/bucket", "no bucket"),
            ("s3://key:secret@b/x", "no bucket"),
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("url: ") && error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_login_is_taken_out_and_never_shown() {
        let location = Location::parse("https://me:pa%2Bs%40s@host/x").unwrap();
        assert_eq!(location.login, Some(("me".into(), "pa+s@s".into())));
        assert_eq!(location.url.as_str(), "https://host/x");
        assert_eq!(without_password("https://me:a@b@host/x@y"), "https://…@host/x@y");
        assert!(!Location::parse("ftp://me:secret@h/").unwrap_err().to_string().contains("secret"));
        assert!(
            !Location::parse("https://me:secret@:x/").unwrap_err().to_string().contains("secret")
        );
    }
}
