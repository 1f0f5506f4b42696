//! Looking a unit up: record, then the first entry whose observation holds here.

use std::path::Path;

use bytes::Bytes;
use cache_core::wire::{DecodeError, RecordView};
use cache_core::{Digest, Fact, Hasher, Outcome};
use cache_storage::Pin;
use futures::executor::block_on;

use super::action::Action;
use super::blobs::Blobs;
use super::facts::World;
use super::report::{Change, Miss};

/// An outcome that holds here.
#[derive(Debug)]
pub struct Hit {
    /// What to restore.
    pub outcome: Outcome,
    /// Keeps the record and its blobs from being evicted meanwhile.
    pub(super) _pin: Option<Box<dyn Pin>>,
}

/// What a look-up found.
#[derive(Debug)]
pub enum Found {
    /// An outcome that holds.
    Hit(Box<Hit>),
    /// None, and why.
    Miss(Miss),
}

/// Looks an action up. Each fact is checked at most once, however many entries need it.
#[must_use]
pub(super) fn look_up(action: &dyn Action, blobs: Blobs<'_>) -> Found {
    // Before reading: what is read is then still there when it is restored. Trouble with pinning
    // means no more than that it may not be.
    let pin = blobs.store.files().and_then(|files| files.pin(&action.key()).ok().flatten());
    match newest_that_holds(action, blobs) {
        Ok(Ok(outcome)) => Found::Hit(Box::new(Hit { outcome, _pin: pin })),
        Ok(Err(why)) => Found::Miss(why),
        Err(damage) => Found::Miss(Miss::Damaged(damage)),
    }
}

/// The newest outcome of a record, wherever it is from, that holds here.
#[must_use]
pub(super) fn choose(action: &dyn Action, record: &[u8], blobs: Blobs<'_>) -> Option<Digest> {
    let outcome = newest_in(action, record, blobs).ok()?.ok()?;
    Some(outcome.digest())
}

fn newest_that_holds(
    action: &dyn Action,
    blobs: Blobs<'_>,
) -> Result<Result<Outcome, Miss>, String> {
    let Some(stored) = read(action, blobs)? else { return Ok(Err(Miss::New)) };
    newest_in(action, &stored, blobs)
}

fn newest_in(
    action: &dyn Action,
    record: &[u8],
    blobs: Blobs<'_>,
) -> Result<Result<Outcome, Miss>, String> {
    let damaged = |error: DecodeError| format!("record: {error}");
    let record = RecordView::parse(record).map_err(damaged)?;
    if !record.is_of(action.recipe()) {
        // Not this recipe's record, however it came under its key.
        return Ok(Err(Miss::New));
    }
    let world = World::new(action, &blobs);
    let facts = record.facts();
    let mut checked = vec![None; facts.len()];
    let mut newest = None;
    for entry in record.entries() {
        let broken = entry
            .indices()
            .find(|at| !*checked[*at].get_or_insert_with(|| world.holds(&facts[*at])));
        match broken {
            None => return entry.outcome().map(Ok).map_err(damaged),
            Some(at) => newest = newest.or(Some(at)),
        }
    }
    Ok(Err(newest.map_or(Miss::New, |at| Miss::Changed(Change::of(&facts[at], &world)))))
}

fn read(action: &dyn Action, blobs: Blobs<'_>) -> Result<Option<Bytes>, String> {
    let stored =
        block_on(blobs.store.get_record(&action.key())).map_err(|error| error.to_string())?;
    Ok(stored.map(|stored| stored.bytes))
}

/// Names the action for single flight: the recipe and the sources as they are here, so that two
/// checkouts with different sources do not wait for each other. The sources are those of the newest
/// entry and `root`, the crate root of a compile.
#[must_use]
pub(super) fn flight_of(action: &dyn Action, root: Option<&Path>, blobs: Blobs<'_>) -> Digest {
    let world = World::new(action, &blobs);
    let mut hasher = Hasher::keyed("larder 2026-11 action v1");
    hasher.field(action.key().0.as_bytes());
    let mut add = |path: &Path| {
        hasher.field(world.digest(path).map_or([0; 32], |digest| *digest.as_bytes()).as_slice());
    };
    if let Some(root) = root {
        add(root);
    }
    let stored = read(action, blobs).ok().flatten();
    if let Some(record) = stored.as_ref().and_then(|bytes| RecordView::parse(bytes).ok())
        && let Some(entry) = record.entries().first()
    {
        for at in entry.indices() {
            if let Fact::File { path, .. } = &record.facts()[at]
                && let Some(path) = action.place().expand(path)
            {
                add(&path);
            }
        }
    }
    hasher.finish()
}
