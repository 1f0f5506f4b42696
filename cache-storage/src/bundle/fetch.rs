//! Bringing blobs from a depot to a local store.

use std::collections::BTreeMap;

use cache_core::{Digest, Record};
use futures::StreamExt;

use super::{Depot, Member, Pack, PackReader};
use crate::{BlobStream, Result, Store, StoreError, append_entry};

/// What came with a pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The blobs that are now in the local store, and were asked for.
    pub brought: Vec<Digest>,
    /// Members whose bytes were not those of their names.
    pub damaged: u64,
}

impl Depot {
    /// Reads a pack and brings those of its members that are `wanted` (digests and lengths) to `local`:
    /// one request. Each is checked as it is written, so that those that came before an error are good.
    ///
    /// # Errors
    /// Together with what came before it: what either store says; [`StoreError::Corrupt`] when the pack's
    /// bytes are not those of its name.
    pub async fn fetch(
        &self,
        pack: &Pack,
        wanted: &BTreeMap<Digest, u64>,
        local: &dyn Store,
    ) -> (Fetched, Result<()>) {
        let mut fetched = Fetched::default();
        let result = self.fetch_into(pack, wanted, local, &mut fetched).await;
        (fetched, result)
    }

    async fn fetch_into(
        &self,
        pack: &Pack,
        wanted: &BTreeMap<Digest, u64>,
        local: &dyn Store,
        fetched: &mut Fetched,
    ) -> Result<()> {
        let source = self.store.read_blob(&pack.digest).await?;
        let mut reader = PackReader::new(no_longer_than(pack, source));
        while let Some(members) = reader.next_group().await? {
            let is_wanted = |member: &Member| wanted.get(&member.digest) == Some(&member.size);
            let last = members.iter().rposition(is_wanted);
            for member in members.iter().take(last.map_or(0, |last| last + 1)) {
                let bytes = reader.next_member(member).await?;
                if !is_wanted(member) {
                    continue;
                }
                let written = local.write_blob(&member.digest, member.size, bytes).await;
                match (written, reader.broken()) {
                    (Ok(()), _) => fetched.brought.push(member.digest),
                    (Err(_), Some(broken)) => return Err(broken.clone()),
                    // The pack goes on after a member that is not what it says.
                    (Err(StoreError::Refused(_) | StoreError::Corrupt { .. }), None) => {
                        fetched.damaged += 1;
                    }
                    (Err(error), None) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Takes the entries of a record into a local store that has their blobs.
    ///
    /// # Errors
    /// What the store says.
    pub async fn accept(&self, record: &Record, local: &dyn Store) -> Result<()> {
        for entry in record.entries.iter().rev() {
            append_entry(local, &record.recipe, entry.clone()).await?;
        }
        Ok(())
    }
}

/// The pack's bytes, and an error past the length that whoever led to it announced: what a server sends
/// has no end by itself.
fn no_longer_than<'a>(pack: &Pack, source: BlobStream<'a>) -> BlobStream<'a> {
    let mut left = pack.size;
    let pieces = source.map(move |piece| {
        let piece = piece?;
        left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
            StoreError::Refused("a pack is longer than what led to it says".to_owned())
        })?;
        Ok(piece)
    });
    pieces.boxed()
}
