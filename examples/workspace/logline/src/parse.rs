//! The two line formats: `TIME LEVEL target: message`, and one JSON object a line.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::{Entry, Level};

/// Why a line could not be read.
#[derive(Debug, Error)]
pub enum ParseError {
    /// Neither of the two formats.
    #[error("not a log line: {0:?}")]
    Shape(String),
    /// The level's name is unknown.
    #[error("unknown level {0:?}")]
    Level(String),
    /// The time is not RFC 3339.
    #[error("bad time")]
    Time(#[from] time::error::Parse),
    /// The line begins like JSON and is none.
    #[error("bad JSON")]
    Json(#[from] serde_json::Error),
}

static PLAIN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?<at>\S+)\s+(?<level>[A-Za-z]+)\s+(?<target>[\w.\-/]+):\s*(?<message>.*)$").ok()
});

#[derive(Deserialize)]
struct JsonLine<'a> {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    level: &'a str,
    #[serde(default)]
    target: String,
    message: String,
}

/// Reads one line.
///
/// # Errors
/// When the line has neither format, or its time or level cannot be read.
pub fn parse(line: &str) -> Result<Entry, ParseError> {
    let line = line.trim();
    if line.starts_with('{') { parse_json(line) } else { parse_plain(line) }
}

fn parse_json(line: &str) -> Result<Entry, ParseError> {
    let JsonLine { at, level, target, message } = serde_json::from_str(line)?;
    Ok(Entry { at, level: level_from(level)?, target, message })
}

fn parse_plain(line: &str) -> Result<Entry, ParseError> {
    let found = PLAIN.as_ref().and_then(|plain| plain.captures(line));
    let part = found.ok_or_else(|| ParseError::Shape(line.to_owned()))?;
    Ok(Entry {
        at: OffsetDateTime::parse(&part["at"], &Rfc3339)?,
        level: level_from(&part["level"])?,
        target: part["target"].to_owned(),
        message: part["message"].to_owned(),
    })
}

fn level_from(name: &str) -> Result<Level, ParseError> {
    Level::from_name(name).ok_or_else(|| ParseError::Level(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_give_the_same_entry() -> Result<(), ParseError> {
        let plain = parse("2024-05-06T07:08:09Z ERROR net/http: timed out")?;
        let json = parse(
            r#"{"at":"2024-05-06T07:08:09Z","level":"error","target":"net/http","message":"timed out"}"#,
        )?;
        assert_eq!(plain, json);
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(matches!(parse("hello"), Err(ParseError::Shape(_))));
        assert!(matches!(parse("2024-05-06T07:08:09Z LOUD a: b"), Err(ParseError::Level(_))));
        assert!(matches!(parse("yesterday INFO a: b"), Err(ParseError::Time(_))));
        assert!(matches!(parse("{"), Err(ParseError::Json(_))));
    }
}
