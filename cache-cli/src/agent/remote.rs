//! A remote as the agent has it open.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cache_core::{Digest, Outcome, RecipeKey, Record};
use cache_dist::Limits;
use cache_storage::bundle::{Depot, Pack, Places};
use cache_storage::layers::{
    Circuit, Clock, PublicKey, SecretKey, SignedOptions, Stack, StackOptions, SystemClock,
};
use cache_storage::object::{ObjectStoreBackend, ObjectStoreConfig};
use cache_storage::{DiskOptions, DiskStore, Store, StoreError};
use tokio::sync::{Notify, Semaphore};

use super::download::Download;
use super::engine_cache;
use super::history::History;
use super::placed::Placed;
use super::progress::Progress;
use super::spool::Spool;
use crate::config::{Access, Fetch, RemoteSettings};

/// Packs that are fetched at once.
pub(super) const AT_ONCE: usize = 4;

/// What is known of a key: its record with some entries, and where their blobs are.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) record: Arc<Record>,
    /// Whether it is all that the remote has under the key, not just what a build's index names.
    pub(super) whole: bool,
}

/// What was done, since the agent started.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) asked: AtomicU64,
    pub(super) brought: AtomicU64,
    pub(super) nothing: AtomicU64,
    pub(super) not_worth: AtomicU64,
    pub(super) unwanted: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) bytes_down: AtomicU64,
    pub(super) uploaded: AtomicU64,
    pub(super) gone: AtomicU64,
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A remote, the local store that it stands behind, and what is known of both.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) settings: RemoteSettings,
    pub(super) dir: PathBuf,
    pub(super) stack: Stack,
    pub(super) depot: Depot,
    pub(super) disk: Arc<DiskStore>,
    pub(super) spool: Spool,
    pub(super) placed: Placed,
    pub(super) counters: Counters,
    pub(super) slots: Semaphore,
    history: Mutex<History>,
    known: Mutex<HashMap<RecipeKey, Known>>,
    places: Mutex<Places>,
    sizes: Mutex<HashMap<Digest, u64>>,
    pub(super) downloads: Mutex<HashMap<Digest, Download>>,
    progress: Mutex<Progress>,
    /// A blob has arrived.
    pub(super) arrived: Notify,
    /// Until when waiting for what was begun for a whole build is better than building.
    worth_until: Mutex<Option<Instant>>,
    /// Answers in a row that there is nothing under a key.
    pub(super) absences: AtomicU32,
    /// What the remote said last, if it was not good.
    trouble: Mutex<Option<String>>,
    /// When somebody last asked for something that a build waits for.
    busy: Mutex<Option<Instant>>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Remote {
    /// Opens a remote; no request is made.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub(super) fn open(settings: RemoteSettings) -> Result<Self, StoreError> {
        let stack = open_stack(&settings)?;
        let disk = DiskStore::open(&settings.store, DiskOptions::default())?;
        let dir = settings.dir();
        std::fs::create_dir_all(&dir)
            .map_err(|error| StoreError::write(dir.display().to_string(), error))?;
        Ok(Self {
            depot: Depot::new(stack.store.clone()),
            disk: Arc::new(disk),
            spool: Spool::new(&dir),
            placed: Placed::new(&dir),
            history: Mutex::new(History::load(&dir)),
            dir,
            stack,
            settings,
            counters: Counters::default(),
            slots: Semaphore::new(AT_ONCE),
            known: Mutex::default(),
            places: Mutex::default(),
            sizes: Mutex::default(),
            downloads: Mutex::default(),
            progress: Mutex::default(),
            arrived: Notify::new(),
            worth_until: Mutex::default(),
            absences: AtomicU32::new(0),
            trouble: Mutex::default(),
            busy: Mutex::default(),
        })
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        locked(&self.history)
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        locked(&self.progress)
    }

    /// Whether whatever is there is fetched, however long it takes.
    pub(super) fn always(&self) -> bool {
        self.settings.fetch == Fetch::Always
    }

    /// Notes that a whole build is being brought, and what it would take here.
    pub(super) fn begin_build(&self, local: Duration) {
        *locked(&self.worth_until) = Some(Instant::now() + local);
    }

    /// How long what was begun for a whole build is still worth waiting for.
    pub(super) fn build_is_worth(&self) -> Duration {
        let until = *locked(&self.worth_until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// What is known of a key.
    pub(super) fn known(&self, key: &RecipeKey) -> Option<Known> {
        locked(&self.known).get(key).cloned()
    }

    /// Learns what the remote has.
    pub(super) fn learn(&self, key: RecipeKey, known: Known, places: &Places) {
        locked(&self.places).extend(places);
        let blobs = known.record.entries.iter().flat_map(|entry| entry.outcome.blobs());
        locked(&self.sizes).extend(blobs);
        locked(&self.known).insert(key, known);
    }

    /// The length of a blob that a known record names.
    pub(super) fn size_of(&self, blob: &Digest) -> Option<u64> {
        locked(&self.sizes).get(blob).copied()
    }

    /// Forgets a key whose packs were not where they should be.
    pub(super) fn forget(&self, key: &RecipeKey) {
        locked(&self.known).remove(key);
    }

    /// The pack that has a blob.
    pub(super) fn place_of(&self, blob: &Digest) -> Option<Pack> {
        locked(&self.places).of(blob)
    }

    /// The places of all blobs of an outcome.
    pub(super) fn places_of(&self, outcome: &Outcome) -> Option<Places> {
        locked(&self.places).for_outcome(outcome)
    }

    /// All blobs that are known to be in a pack.
    pub(super) fn blobs_in(&self, pack: &Pack) -> Vec<Digest> {
        let places = locked(&self.places);
        places.iter().filter(|(_, at)| *at == pack).map(|(blob, _)| *blob).collect()
    }

    /// Whether asking is of any use at this moment.
    pub(super) fn is_away(&self) -> bool {
        let breaker = self.stack.breaker.as_ref().map(|breaker| breaker.snapshot());
        breaker.is_some_and(|breaker| matches!(breaker.circuit, Circuit::Open(_)))
    }

    /// Notes what an error says of the remote.
    pub(super) fn troubled(&self, error: &StoreError) {
        *locked(&self.trouble) = Some(error.to_string());
        // These are answers, and came in time.
        let answered = matches!(
            error,
            StoreError::BlobAbsent(_) | StoreError::Corrupt { .. } | StoreError::Refused(_)
        );
        if !answered {
            self.history().failed();
        }
    }

    /// Notes that it works.
    pub(super) fn well(&self) {
        locked(&self.trouble).take();
    }

    pub(super) fn trouble(&self) -> Option<String> {
        locked(&self.trouble).clone()
    }

    /// Notes that a build waits for something.
    pub(super) fn touch(&self) {
        *locked(&self.busy) = Some(Instant::now());
    }

    /// When that was last.
    pub(super) fn touched(&self) -> Option<Instant> {
        *locked(&self.busy)
    }
}

/// The backend behind its layers. Also for a look at a remote without an agent.
///
/// # Errors
/// What is wrong with the settings.
pub(super) fn open_stack(settings: &RemoteSettings) -> Result<Stack, StoreError> {
    let read_only = settings.access == Access::Read;
    let backend: Arc<dyn Store> = if engine_cache::is_meant(&settings.url) {
        Arc::new(engine_cache::open(settings, Limits::default())?)
    } else {
        Arc::new(ObjectStoreBackend::open(&ObjectStoreConfig {
            url: settings.url.clone(),
            options: settings.options.clone(),
            environment: settings.environment.clone(),
            read_only,
            ..ObjectStoreConfig::default()
        })?)
    };
    let options = StackOptions {
        read_only: read_only.then(|| "remote.mode is read".to_owned()),
        signed: signed(settings)?,
        ..StackOptions::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    Ok(options.wrap(backend, &clock))
}

/// Who signs, and whose signatures count; `None`: all records do.
///
/// # Errors
/// Which setting is wrong.
pub(crate) fn signed(settings: &RemoteSettings) -> Result<Option<SignedOptions>, StoreError> {
    let wrong = |setting: &str, reason: String| StoreError::Misconfigured {
        setting: setting.into(),
        reason,
    };
    let signer = match &settings.signing_key {
        None => None,
        Some(path) => Some(SecretKey::read(path).map_err(|error| {
            wrong("remote.signing-key", format!("{}: {error}", path.display()))
        })?),
    };
    let trusted: Result<Vec<PublicKey>, _> =
        settings.trusted.iter().map(|key| key.parse()).collect();
    let trusted = trusted.map_err(|error| wrong("remote.trusted-keys", format!("{error}")))?;
    // Who signs without trusting anybody trusts the own key, or could not read what it wrote.
    Ok((signer.is_some() || !trusted.is_empty()).then_some(SignedOptions { signer, trusted }))
}
