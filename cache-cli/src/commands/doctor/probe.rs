//! Tries a remote: what a build and an upload would do, once and with little.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use cache_storage::bundle::Recognised;
use cache_storage::layers::{Ignored, Signed};
use cache_storage::object::{ObjectStoreBackend, ObjectStoreConfig, RequestLimits};
use cache_storage::{Expected, Result, Store, StoreError};
use futures::StreamExt;
use tokio::time::timeout;

use crate::agent::{self, engine_cache};
use crate::config::{Access, RemoteSettings};

/// How long each step may take, whatever the requests in it.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many records are looked at.
const SAMPLE: usize = 8;
const WORDS: &[u8] = b"larder doctor was here; this may be deleted\n";

/// What was found out about a remote that answers.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Where the credentials came from, if a setting says so.
    pub(super) credentials: Option<String>,
    /// How long the answer to a small question took.
    pub(super) latency: Duration,
    /// What else lies beside larder's own.
    pub(super) neighbours: Vec<String>,
    /// Some of the records that are there, by what they are.
    pub(super) sample: Vec<Recognised>,
    /// Of these, those that do not count for want of a trusted signature.
    pub(super) ignored: Ignored,
    /// Why nothing can be listed, if so.
    pub(super) unlisted: Option<StoreError>,
    /// What became of writing, if it was tried.
    pub(super) written: Option<Result<()>>,
    /// Why what was written cannot be removed, if so.
    pub(super) left: Option<StoreError>,
}

/// Tries everything that is going to be done with the remote.
///
/// # Errors
/// Why it cannot even be read.
pub(super) fn run(settings: &RemoteSettings) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| StoreError::read("starting a runtime", error))?;
    let report = runtime.block_on(look(settings));
    // Nobody waits for a name that is still being resolved.
    runtime.shutdown_background();
    report
}

async fn look(settings: &RemoteSettings) -> Result<Report> {
    // An engine's cache lists nothing, and nothing lies beside larder's own.
    let engine = engine_cache::is_meant(&settings.url);
    let objects = if engine { None } else { Some(Arc::new(open(settings)?)) };
    let backend: Arc<dyn Store> = match &objects {
        Some(objects) => objects.clone(),
        None => Arc::new(engine_cache::open(settings, engine_cache::short())?),
    };
    let signed = agent::signed(settings)?.map(|by| Arc::new(Signed::new(backend.clone(), by)));
    let store: Arc<dyn Store> = match &signed {
        Some(signed) => signed.clone(),
        None => backend,
    };
    let key = probe_key();
    let began = Instant::now();
    within(store.get_record(&key)).await?;
    let mut report = Report { latency: began.elapsed(), ..Report::default() };
    if let Some(objects) = &objects {
        look_around(objects, &*store, &mut report).await;
    }
    report.ignored = signed.map(|signed| signed.ignored()).unwrap_or_default();
    if settings.access == Access::ReadWrite && store.capabilities().write {
        report.written = Some(within(write(&*store, &key)).await);
        report.left = within(remove(&*store, &key)).await.err();
    }
    Ok(report)
}

fn open(settings: &RemoteSettings) -> Result<ObjectStoreBackend> {
    ObjectStoreBackend::open(&ObjectStoreConfig {
        url: settings.url.clone(),
        options: settings.options.clone(),
        environment: settings.environment.clone(),
        read_only: settings.access == Access::Read,
        limits: RequestLimits {
            connect: Duration::from_secs(3),
            idle: Duration::from_secs(5),
            retries: 0,
            ..RequestLimits::default()
        },
    })
}

/// What else there is in a bucket or directory.
async fn look_around(objects: &ObjectStoreBackend, store: &dyn Store, report: &mut Report) {
    report.credentials = objects.credentials_from().map(str::to_owned);
    match within(objects.neighbours()).await {
        Ok(neighbours) => report.neighbours = neighbours,
        Err(error) => report.unlisted = Some(error),
    }
    if let Err(error) = within(sample(objects, store, &mut report.sample)).await {
        report.unlisted.get_or_insert(error);
    }
}

async fn within<T>(step: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || StoreError::Unavailable(format!("no answer within {PATIENCE:?}"));
    timeout(PATIENCE, step).await.unwrap_or_else(|_| Err(late()))
}

/// Looks at some records as they lie there, and as builds would see them.
async fn sample(
    backend: &ObjectStoreBackend,
    store: &dyn Store,
    sample: &mut Vec<Recognised>,
) -> Result<()> {
    let keys: Vec<_> = backend.list_records().await?.take(SAMPLE).collect().await;
    for key in keys {
        let key = key?;
        if let Some(found) = backend.get_record(&key).await? {
            sample.push(Recognised::of(&found.bytes));
            store.get_record(&key).await?;
        }
    }
    Ok(())
}

/// A key that no recipe and no other run has.
fn probe_key() -> RecipeKey {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = format!("larder doctor {} {now:?}", std::process::id());
    RecipeKey(Digest::of(name.as_bytes()))
}

/// A blob that no other run has.
fn probe_blob(key: &RecipeKey) -> Bytes {
    [WORDS, key.0.as_bytes()].concat().into()
}

async fn write(store: &dyn Store, key: &RecipeKey) -> Result<()> {
    let blob = probe_blob(key);
    let digest = Digest::of(&blob);
    let stream = futures::stream::iter([Ok(blob.clone())]).boxed();
    store.write_blob(&digest, blob.len() as u64, stream).await?;
    let mut read = store.read_blob(&digest).await?;
    while let Some(piece) = read.next().await {
        piece?;
    }
    store.put_record(key, Bytes::from_static(WORDS), Expected::Absent).await?;
    match store.get_record(key).await? {
        Some(found) if found.bytes == WORDS => Ok(()),
        _ => Err(StoreError::Unavailable("what was written is not what is read".into())),
    }
}

async fn remove(store: &dyn Store, key: &RecipeKey) -> Result<()> {
    let record = store.delete_record(key).await;
    store.delete_blob(&Digest::of(&probe_blob(key))).await.and(record)
}
