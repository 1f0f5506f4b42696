//! Whole records to bytes and back.

use super::envelope::{Envelope, KIND_RECORD, VERSION, seal};
use super::fact::write_fact;
use super::outcome::write_outcome;
use super::writer::Writer;
use super::{DecodeError, RecordView};
use crate::{Digest, Entry, Fact, MAX_ENTRIES, Record};

impl Record {
    /// The bytes of this record in the format of [`wire`](crate::wire). Equal records give equal
    /// bytes.
    ///
    /// Entries beyond [`MAX_ENTRIES`] are left out, and so are bits of [`mode`](crate::Output::mode)
    /// beyond `0o777`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let entries = &self.entries[..self.entries.len().min(MAX_ENTRIES)];
        let (facts, indices) = share_facts(entries);

        let mut payload = Writer::default();
        payload.bytes(&self.recipe.to_bytes());
        payload.count(facts.len());
        for fact in &facts {
            write_fact(&mut payload, fact);
        }
        // At most MAX_ENTRIES, which fits.
        payload.u8(entries.len().to_le_bytes()[0]);
        for (entry, indices) in entries.iter().zip(&indices) {
            write_entry(&mut payload, entry, indices);
        }
        seal(KIND_RECORD, VERSION, named_blobs(entries), payload.as_bytes())
    }

    /// The record of these bytes.
    ///
    /// Never panics, and keeps less than [`MAX_EXPANSION`](crate::wire::MAX_EXPANSION) bytes of
    /// memory per byte of input. The caller compares the recipe with the one it looked up
    /// ([`RecordView::is_of`] does so without decoding the rest).
    ///
    /// # Errors
    /// [`DecodeError`]: the bytes are of another version ([`DecodeError::is_foreign`]), damaged, or
    /// not a record's canonical encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let envelope = Envelope::open(bytes)?;
        let record = RecordView::of(&envelope)?.to_record()?;
        let mut named = named_blobs(&record.entries);
        named.sort_unstable();
        named.dedup();
        if named != envelope.refs()? {
            return Err(DecodeError::Malformed("refs are not those of the payload"));
        }
        Ok(record)
    }
}

fn named_blobs(entries: &[Entry]) -> Vec<(Digest, u64)> {
    entries.iter().flat_map(|entry| entry.outcome.blobs()).collect()
}

/// The distinct facts of all entries, ascending, and for each entry where among them its own are.
fn share_facts(entries: &[Entry]) -> (Vec<&Fact>, Vec<Vec<u32>>) {
    let mut all: Vec<(&Fact, usize)> = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        all.extend(entry.observation.facts().iter().map(|fact| (fact, number)));
    }
    // The stable sort merges runs that ascend already, as each observation's facts do.
    all.sort_by_key(|(fact, _)| *fact);

    let mut table: Vec<&Fact> = Vec::new();
    let mut indices = vec![Vec::new(); entries.len()];
    for (fact, number) in all {
        if table.last() != Some(&fact) {
            table.push(fact);
        }
        // A table of 2^32 facts does not fit in memory; a wrong index would not decode.
        indices[number].push(u32::try_from(table.len() - 1).unwrap_or(u32::MAX));
    }
    (table, indices)
}

fn write_entry(writer: &mut Writer, entry: &Entry, indices: &[u32]) {
    writer.u64(entry.created);
    writer.count(indices.len());
    for index in indices {
        writer.u32(*index);
    }
    writer.bytes(&write_outcome(&entry.outcome));
}
