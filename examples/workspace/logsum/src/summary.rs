//! What is said about a log, and how.

use std::fmt;

use indexmap::IndexMap;
use itertools::Itertools;
use logline::{Entry, Level};
use serde::Serialize;
use time::OffsetDateTime;

/// Counts over a whole log.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// All lines, readable or not.
    pub lines: usize,
    /// Lines in neither format.
    pub unreadable: usize,
    /// Unreadable lines that name a level of `error` or worse all the same.
    pub unreadable_errors: usize,
    /// Time of the earliest line.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub first: Option<OffsetDateTime>,
    /// Time of the latest line.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub last: Option<OffsetDateTime>,
    /// Lines by level, most severe first.
    pub levels: IndexMap<&'static str, usize>,
    /// Lines by target, commonest first.
    pub targets: IndexMap<String, usize>,
    /// The commonest messages.
    pub messages: IndexMap<String, usize>,
    /// Number (from 1) of the first unreadable line, and what is wrong with it.
    #[serde(skip)]
    pub first_unreadable: Option<(usize, String)>,
}

impl Summary {
    /// Sums up `text`, keeping the `top` commonest messages.
    pub fn of(text: &str, top: usize) -> Self {
        let mut entries = Vec::new();
        let mut rejected = Vec::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            match logline::parse(line) {
                Ok(entry) => entries.push(entry),
                Err(why) => rejected.push((number, line, why.to_string())),
            }
        }
        let ends = entries.iter().map(|entry| entry.at).minmax().into_option();
        Self {
            lines: logscan::count_lines(text.as_bytes()),
            unreadable: rejected.len(),
            unreadable_errors: rejected
                .iter()
                .filter(|(_, line, _)| logscan::worst_level(line.as_bytes()) >= Some(Level::Error))
                .count(),
            first: ends.map(|(first, _)| first),
            last: ends.map(|(_, last)| last),
            levels: by_level(&entries),
            targets: commonest(entries.iter().map(|entry| entry.target.clone()), usize::MAX),
            messages: commonest(entries.iter().map(|entry| entry.message.clone()), top),
            first_unreadable: rejected.into_iter().next().map(|(number, _, why)| (number, why)),
        }
    }
}

fn by_level(entries: &[Entry]) -> IndexMap<&'static str, usize> {
    let counts = entries.iter().counts_by(|entry| entry.level);
    counts.into_iter().sorted().rev().map(|(level, count)| (level.name(), count)).collect()
}

fn commonest(words: impl Iterator<Item = String>, top: usize) -> IndexMap<String, usize> {
    words
        .counts()
        .into_iter()
        .sorted_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)))
        .take(top)
        .collect()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} lines, {} unreadable", self.lines, self.unreadable)?;
        if let (Some(first), Some(last)) = (self.first, self.last) {
            writeln!(f, "from {first} to {last}")?;
        }
        for (title, counts) in [("targets", &self.targets), ("messages", &self.messages)] {
            writeln!(
                f,
                "{title}: {}",
                counts.iter().map(|(word, count)| format!("{word} ({count})")).join(", ")
            )?;
        }
        writeln!(
            f,
            "levels: {}",
            self.levels.iter().map(|(level, count)| format!("{level} ({count})")).join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_most_severe_first() {
        let summary = Summary::of(
            "2024-01-01T00:00:00Z INFO a: x\n2024-01-01T00:00:01Z ERROR b: y\n2024-01-01T00:00:02Z INFO a: x\n",
            1,
        );
        assert_eq!(summary.levels.into_iter().collect::<Vec<_>>(), [("error", 1), ("info", 2)]);
        assert_eq!(summary.messages.into_iter().collect::<Vec<_>>(), [("x".to_owned(), 2)]);
    }

    #[test]
    fn unreadable_lines_are_counted_and_the_first_is_named() {
        let summary = Summary::of("?\nERROR without a time\n", 1);
        assert_eq!((summary.lines, summary.unreadable, summary.unreadable_errors), (2, 2, 1));
        assert_eq!(summary.first_unreadable.map(|(line, _)| line), Some(1));
    }

    /// A panic names its place by the path that the compiler was given: relative to the workspace.
    #[test]
    fn file_names_are_relative_to_the_workspace() {
        assert!(file!().replace('\\', "/").ends_with("logsum/src/summary.rs"), "{}", file!());
        let panic = std::panic::catch_unwind(|| std::panic::Location::caller().file());
        assert!(panic.is_ok_and(|file| file.ends_with("summary.rs")));
    }
}
