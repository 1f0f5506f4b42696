//! One line of a log: when, how severe, from where, and what.

mod parse;

use logline_macros::Fields;
pub use logscan::Level;
pub use parse::{ParseError, parse};
use serde::{Serialize, Serializer};
use time::OffsetDateTime;

/// A log line taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Fields)]
pub struct Entry {
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// How severe it is.
    #[serde(serialize_with = "level_name")]
    pub level: Level,
    /// The part of the program that wrote it.
    pub target: String,
    /// The text.
    pub message: String,
}

fn level_name<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(level.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_listed_in_order() {
        assert_eq!(Entry::FIELDS, ["at", "level", "target", "message"]);
    }

    #[test]
    fn an_entry_serialises_with_its_level_by_name() -> Result<(), Box<dyn std::error::Error>> {
        let entry = parse("2024-05-06T07:08:09Z WARN disk: nearly full")?;
        let json = serde_json::to_string(&entry)?;
        assert_eq!(
            json,
            r#"{"at":"2024-05-06T07:08:09Z","level":"warn","target":"disk","message":"nearly full"}"#
        );
        Ok(())
    }
}
