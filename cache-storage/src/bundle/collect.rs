//! Removing what is old, and the packs that nothing leads to.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use cache_core::{Digest, RecipeKey};
use futures::StreamExt;

use super::bundle_record::{self, BundleRecord};
use super::registration::{self, CONDEMNED, Registration};
use super::{Damage, Depot, Located, Pack, codec, located};
use crate::{Expected, Result, Revision};

/// How a depot is cleaned. Times are in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectOptions {
    /// Records and bundles whose newest part is older are removed.
    pub before: u64,
    /// Packs that nothing leads to are removed if they are older: what is published at this moment has
    /// packs before it has records. A day before now is right.
    pub orphans_before: u64,
    /// Count only.
    pub dry_run: bool,
}

/// What was found and removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Records that stay, bundles included.
    pub records: u64,
    /// Records that were removed, bundles included.
    pub old_records: u64,
    /// Packs that stay.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Packs that were removed.
    pub orphans: u64,
    /// Their bytes.
    pub orphan_bytes: u64,
    /// Records that are none of a depot's, or not there for this reader: they stay.
    pub foreign: u64,
    /// Records of a newer version: they stay, and with them all packs.
    pub newer: u64,
}

/// How many records are asked for at once; a store's own limit may be lower.
const AT_ONCE: usize = 32;

pub(super) enum Kind {
    /// What it leads to, and when it was last written.
    Leads(u64, Vec<Digest>),
    Registers(Registration),
    /// Ours, of a version that leads to what we cannot know.
    Newer,
    Foreign,
}

impl Kind {
    pub(super) fn of(bytes: &[u8]) -> Self {
        if let Ok(located) = Located::decode(bytes) {
            let created = located.record.entries.iter().map(|entry| entry.created).max();
            let packs = located.places.packs().iter().map(|pack| pack.digest).collect();
            return Self::Leads(created.unwrap_or(0), packs);
        }
        if let Ok(bundle) = BundleRecord::decode(bytes) {
            let packs = bundle.packs.iter().map(|pack| pack.digest);
            return Self::Leads(bundle.created, packs.chain([bundle.index]).collect());
        }
        if let Ok(registration) = Registration::decode(bytes) {
            return Self::Registers(registration);
        }
        // With a right checksum it is whole, and what it holds is of another version.
        let whole = |letter| matches!(codec::open(bytes, letter), Ok(_) | Err(Damage::Version(_)));
        let letters = [located::LETTER, bundle_record::LETTER, registration::LETTER];
        if letters.into_iter().any(whole) { Self::Newer } else { Self::Foreign }
    }
}

/// What became of a record.
enum Found {
    Removed,
    Leads(Vec<Digest>),
    Registers(Registration, Revision),
    Newer,
    Foreign,
}

/// What a look at all records has found.
#[derive(Default)]
struct Seen {
    /// What the records that stay lead to.
    alive: BTreeSet<Digest>,
    /// What is registered, and the state in which it was read.
    packs: BTreeMap<Digest, (Registration, Revision)>,
}

impl Depot {
    /// Removes old records and bundles, and then packs that no other leads to. Lists and reads every
    /// record, and never lists blobs; keeps some hundred bytes in memory for each pack.
    ///
    /// Others may publish and fetch meanwhile: what they register is not removed (`keep.rs` says why).
    /// Whoever has read a record or an index before and now asks for its pack finds it absent, compiles,
    /// and publishes anew. An entry that is added to a record in the moment in which it is removed for its
    /// age goes with it, which costs a miss. Run one at a time: of two, one may remove what was uploaded
    /// again right after the other had removed it.
    ///
    /// Where a record is of a newer version, no pack is removed: it may be the one that the record needs.
    ///
    /// # Errors
    /// What the store says. What was removed before stays removed; nothing that is left leads to it.
    pub async fn collect(&self, options: CollectOptions) -> Result<Collected> {
        let mut collected = Collected::default();
        let seen = self.look(options, &mut collected).await?;
        for (digest, (registration, revision)) in seen.packs {
            let wanted = seen.alive.contains(&digest) || collected.newer > 0;
            let young = registration.created >= options.orphans_before;
            let goes = !wanted && (!young || registration.is_condemned());
            let size = registration.pack.size;
            if goes && (options.dry_run || self.remove(registration.pack, revision).await?) {
                collected.orphans += 1;
                collected.orphan_bytes += size;
            } else {
                collected.packs += 1;
                collected.pack_bytes += size;
            }
        }
        Ok(collected)
    }

    /// Reads every record, and removes those that are old.
    async fn look(&self, options: CollectOptions, collected: &mut Collected) -> Result<Seen> {
        let mut seen = Seen::default();
        let keys = self.store.list_records().await?;
        let mut records = keys
            .map(|key| async { self.look_at(key?, options).await })
            .buffer_unordered(AT_ONCE)
            .boxed();
        // Nothing else is waited for here: those that are not polled may hold all places of a limit.
        while let Some(found) = records.next().await {
            match found? {
                Found::Removed => collected.old_records += 1,
                Found::Leads(to) => {
                    collected.records += 1;
                    seen.alive.extend(to);
                }
                Found::Registers(registration, revision) => {
                    seen.packs.insert(registration.pack.digest, (registration, revision));
                }
                Found::Newer => collected.newer += 1,
                Found::Foreign => collected.foreign += 1,
            }
        }
        Ok(seen)
    }

    async fn look_at(&self, key: RecipeKey, options: CollectOptions) -> Result<Found> {
        // Listed, and not there for us: a record that nobody trusted has signed.
        let Some(found) = self.store.get_record(&key).await? else { return Ok(Found::Foreign) };
        Ok(match Kind::of(&found.bytes) {
            Kind::Leads(created, _) if created < options.before => {
                if !options.dry_run {
                    self.store.delete_record(&key).await?;
                }
                Found::Removed
            }
            Kind::Leads(_, to) => Found::Leads(to),
            Kind::Registers(registration) if registration.key() == key => {
                Found::Registers(registration, found.revision)
            }
            Kind::Newer => Found::Newer,
            Kind::Registers(_) | Kind::Foreign => Found::Foreign,
        })
    }

    /// Removes a pack, unless its registration has changed since it was read.
    async fn remove(&self, pack: Pack, read: Revision) -> Result<bool> {
        if !self.condemn(pack, Expected::Revision(read)).await? {
            return Ok(false);
        }
        // The registration last: a pack without one would never be found again.
        self.store.delete_blob(&pack.digest).await?;
        let key = Registration { created: CONDEMNED, pack }.key();
        self.store.delete_record(&key).await.map(|()| true)
    }
}
