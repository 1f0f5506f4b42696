//! Removing what is old, and the packs that nothing leads to.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use cache_core::{Digest, RecipeKey};
use futures::StreamExt;

use super::bundle_record::BundleRecord;
use super::registration::Registration;
use super::{Depot, Located};
use crate::Result;

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
    /// Records that are none of a depot's: they stay.
    pub foreign: u64,
}

pub(super) enum Kind {
    /// What it leads to, and when it was last written.
    Leads(u64, Vec<Digest>),
    Registers(Registration),
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
        Registration::decode(bytes).map_or(Self::Foreign, Self::Registers)
    }
}

impl Depot {
    /// Removes old records and bundles, and then packs that no other leads to. Lists and reads every
    /// record, and never lists blobs.
    ///
    /// Whoever has read a record or an index before and now asks for its pack finds it absent, compiles,
    /// and publishes anew.
    ///
    /// # Errors
    /// What the store says. What was removed before stays removed; nothing that is left leads to it.
    pub async fn collect(&self, options: CollectOptions) -> Result<Collected> {
        let mut collected = Collected::default();
        let mut alive = BTreeSet::new();
        let mut packs: BTreeMap<Digest, (RecipeKey, Registration)> = BTreeMap::new();
        let mut keys = self.store.list_records().await?;
        while let Some(key) = keys.next().await {
            let key = key?;
            let Some(found) = self.store.get_record(&key).await? else { continue };
            match Kind::of(&found.bytes) {
                Kind::Leads(created, _) if created < options.before => {
                    collected.old_records += 1;
                    if !options.dry_run {
                        self.store.delete_record(&key).await?;
                    }
                }
                Kind::Leads(_, to) => {
                    collected.records += 1;
                    alive.extend(to);
                }
                Kind::Registers(registration) => {
                    packs.insert(registration.pack.digest, (key, registration));
                }
                Kind::Foreign => collected.foreign += 1,
            }
        }
        for (digest, (key, registration)) in packs {
            let size = registration.pack.size;
            if alive.contains(&digest) || registration.created >= options.orphans_before {
                collected.packs += 1;
                collected.pack_bytes += size;
                continue;
            }
            collected.orphans += 1;
            collected.orphan_bytes += size;
            if !options.dry_run {
                // The registration last: a pack without one would never be found again.
                self.store.delete_blob(&digest).await?;
                self.store.delete_record(&key).await?;
            }
        }
        Ok(collected)
    }
}
