//! A record read in place: what a look-up needs, without copying what it does not.

use super::DecodeError;
use super::envelope::{Envelope, KIND_RECORD, VERSION};
use super::fact::{MIN_FACT, Names};
use super::outcome::read_outcome;
use super::reader::Reader;
use crate::{Entry, Fact, Field, MAX_ENTRIES, Observation, Outcome, Recipe, Record};

type Result<T> = std::result::Result<T, DecodeError>;

/// The shortest field of a recipe: two lengths.
const MIN_FIELD: usize = 16;

/// A record in its encoded form, with its distinct facts decoded once.
///
/// A look-up checks facts of one entry after another; entries share most of them. Here a fact is
/// named by its index in [`facts`](Self::facts), so its result can be kept beside it, and only the
/// outcome of the entry that holds is decoded.
#[derive(Debug, Clone)]
pub struct RecordView<'a> {
    recipe: &'a [u8],
    facts: Vec<Fact>,
    entries: Vec<EntryView<'a>>,
}

/// One entry of a [`RecordView`].
#[derive(Debug, Clone, Copy)]
pub struct EntryView<'a> {
    created: u64,
    indices: &'a [u8],
    outcome: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Reads the envelope, the facts and which entry depends on which of them.
    ///
    /// # Errors
    /// Any [`DecodeError`]. A record that passes may still have a malformed recipe or outcome;
    /// [`Record::decode`] checks these too.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        Self::of(&Envelope::open(bytes)?)
    }

    pub(super) fn of(envelope: &Envelope<'a>) -> Result<Self> {
        let mut reader = Reader::new(envelope.payload(KIND_RECORD, VERSION)?);
        let recipe = reader.bytes()?;
        let facts = read_facts(&mut reader)?;
        let entries = read_entries(&mut reader, facts.len())?;
        reader.finish()?;
        Ok(Self { recipe, facts, entries })
    }

    /// Whether the record is of this recipe, field by field. Says no to a record that a store gave
    /// for the wrong key.
    #[must_use]
    pub fn is_of(&self, recipe: &Recipe) -> bool {
        recipe.to_bytes() == self.recipe
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`DecodeError`] when it is malformed.
    pub fn recipe(&self) -> Result<Recipe> {
        read_recipe(self.recipe)
    }

    /// The distinct facts of all entries, ascending.
    #[must_use]
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// The entries, newest first.
    #[must_use]
    pub fn entries(&self) -> &[EntryView<'a>] {
        &self.entries
    }

    /// The whole record.
    pub(super) fn to_record(&self) -> Result<Record> {
        let entries = self.entries.iter().map(|entry| {
            let facts = entry.indices().map(|index| self.facts[index].clone()).collect();
            Ok(Entry {
                observation: Observation::from_sorted(facts),
                outcome: entry.outcome()?,
                created: entry.created,
            })
        });
        Ok(Record { recipe: self.recipe()?, entries: entries.collect::<Result<_>>()? })
    }
}

impl EntryView<'_> {
    /// When it was stored, in seconds since the Unix epoch.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.created
    }

    /// Which of [`RecordView::facts`] must hold for this entry, ascending: the cheap ones first.
    #[must_use]
    pub fn indices(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.indices.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize)
    }

    /// What the execution left.
    ///
    /// # Errors
    /// [`DecodeError`] when it is malformed.
    pub fn outcome(&self) -> Result<Outcome> {
        read_outcome(self.outcome)
    }
}

fn read_facts(reader: &mut Reader<'_>) -> Result<Vec<Fact>> {
    let names = &mut Names::default();
    let count = reader.count(MIN_FACT)?;
    let mut facts: Vec<Fact> = Vec::with_capacity(count);
    for _ in 0..count {
        let fact = names.fact(reader)?;
        if facts.last().is_some_and(|last| *last >= fact) {
            return Err(DecodeError::Malformed("facts out of order"));
        }
        facts.push(fact);
    }
    Ok(facts)
}

fn read_entries<'a>(reader: &mut Reader<'a>, facts: usize) -> Result<Vec<EntryView<'a>>> {
    let count = usize::from(reader.u8()?);
    if count > MAX_ENTRIES {
        return Err(DecodeError::Malformed("too many entries"));
    }
    let mut used = vec![false; facts];
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let created = reader.u64()?;
        let count = reader.count(size_of::<u32>())?;
        let indices = reader.take(count * size_of::<u32>())?;
        let entry = EntryView { created, indices, outcome: reader.bytes()? };
        mark_used(&entry, &mut used)?;
        entries.push(entry);
    }
    if used.contains(&false) {
        return Err(DecodeError::Malformed("fact of no entry"));
    }
    Ok(entries)
}

/// Checks that an entry's indices ascend and are in range.
fn mark_used(entry: &EntryView<'_>, used: &mut [bool]) -> Result<()> {
    let mut next = 0;
    for index in entry.indices() {
        if index < next {
            return Err(DecodeError::Malformed("fact indices out of order"));
        }
        *used.get_mut(index).ok_or(DecodeError::Malformed("fact index out of range"))? = true;
        next = index + 1;
    }
    Ok(())
}

fn read_recipe(bytes: &[u8]) -> Result<Recipe> {
    let mut reader = Reader::new(bytes);
    let count = reader.u64()?;
    let count = reader.check_count(count, MIN_FIELD)?;
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        let name = std::str::from_utf8(reader.long_bytes()?)
            .map_err(|_| DecodeError::Malformed("name is not UTF-8"))?;
        fields.push(Field { name: name.to_owned(), value: reader.long_bytes()?.to_vec() });
    }
    reader.finish()?;
    Ok(Recipe::from_fields(fields))
}
