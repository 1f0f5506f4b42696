//! Records: one recipe and what became of it, newest first.

use crate::{Observation, Outcome, Recipe};

/// How many entries a record keeps.
pub const MAX_ENTRIES: usize = 16;

/// One execution: under this observation, this outcome.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Entry {
    /// What it read.
    pub observation: Observation,
    /// What it left.
    pub outcome: Outcome,
    /// When it was stored, in seconds since the Unix epoch; for people, never for decisions.
    pub created: u64,
}

/// A recipe with a short list of entries, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct Record {
    /// The recipe itself, kept so that two can be compared by name.
    pub recipe: Recipe,
    /// At most [`MAX_ENTRIES`], newest first.
    pub entries: Vec<Entry>,
}

impl Record {
    /// Puts `entry` first. An older entry with the same observation is replaced; entries beyond
    /// [`MAX_ENTRIES`] are dropped from the old end.
    pub fn add(&mut self, entry: Entry) {
        self.entries.retain(|old| old.observation != entry.observation);
        self.entries.insert(0, entry);
        self.entries.truncate(MAX_ENTRIES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvValue, Fact};

    fn entry(env: usize, created: u64) -> Entry {
        let fact = Fact::Env { name: env.to_string().into_bytes(), value: EnvValue::Unset };
        let observation = Observation::new(vec![fact]);
        Entry { observation, outcome: Outcome::default(), created }
    }

    #[test]
    fn the_newest_is_first_and_the_oldest_goes() {
        let mut record = Record::default();
        for env in 0..=MAX_ENTRIES {
            record.add(entry(env, 0));
        }
        assert_eq!(record.entries.len(), MAX_ENTRIES);
        assert_eq!(record.entries.first(), Some(&entry(MAX_ENTRIES, 0)));
        assert_eq!(record.entries.last(), Some(&entry(1, 0)));
    }

    #[test]
    fn one_observation_has_one_entry() {
        let mut record = Record::default();
        for (env, created) in [(1, 1), (2, 2), (1, 3)] {
            record.add(entry(env, created));
        }
        assert_eq!(record.entries, [entry(1, 3), entry(2, 2)]);
    }

    #[test]
    fn entries_beyond_the_limit_are_not_encoded() {
        let entries = (0..MAX_ENTRIES + 2).map(|env| entry(env, 0)).collect();
        let mut record = Record { recipe: Recipe::new(), entries };
        let decoded = Record::decode(&record.encode()).unwrap();
        record.entries.truncate(MAX_ENTRIES);
        assert_eq!(decoded, record);
    }
}
