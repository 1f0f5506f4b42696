//! Bringing what a build waits for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cache_core::{Digest, Outcome, RecipeKey, Record};
use cache_storage::bundle::{Index, Pack};
use cache_storage::{Expected, Store, StoreError};
use futures::StreamExt;

use super::ask::Conversation;
use super::budget;
use super::history::Figures;
use super::protocol::{Choice, Reply};
use super::remote::{Known, Remote, count};

/// How often it is judged anew whether waiting is worth it.
const LOOK: Duration = Duration::from_millis(200);
/// The agent has not died, whatever the network does: an answer comes in this time.
const LONGEST: Duration = Duration::from_secs(600);

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn nothing(why: &str) -> Reply {
    Reply::Nothing { why: why.into() }
}

impl Remote {
    /// Answers [`Ask::Bring`](super::Ask::Bring): offers what there is, brings what is chosen.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub(super) async fn bring(
        self: &Arc<Self>,
        key: &RecipeKey,
        talk: &mut Conversation,
    ) -> io::Result<()> {
        self.touch();
        count(&self.counters.asked);
        let mut known = self.known(key);
        loop {
            let whole = match known {
                Some(known) => known,
                None => match self.ask_remote(key, talk).await? {
                    Some(known) => known,
                    None => {
                        count(&self.counters.nothing);
                        return talk.say(&nothing("absent")).await;
                    }
                },
            };
            talk.offer(whole.record.encode()).await?;
            let choice: Choice = talk.hear().await?.parse()?;
            let chosen = choice.outcome.and_then(|outcome| outcome.parse::<Digest>().ok());
            if let Some(outcome) = chosen {
                return self.bring_outcome(key, &whole.record, &outcome, talk).await;
            }
            if whole.whole {
                count(&self.counters.unwanted);
                return talk.say(&nothing("none holds")).await;
            }
            // An index names one outcome; there may be others.
            known = None;
        }
    }

    /// Asks the remote what it has under a key.
    async fn ask_remote(
        self: &Arc<Self>,
        key: &RecipeKey,
        talk: &mut Conversation,
    ) -> io::Result<Option<Known>> {
        if self.is_away() {
            return Ok(None);
        }
        let absences = self.absences.load(Ordering::Relaxed);
        let wait = self.patience(|figures| budget::small_question(figures, absences));
        talk.say(&Reply::Wait { ms: ms(wait) }).await?;
        // It goes on when nobody waits any more: how long it takes, and whether it fails, is worth knowing.
        let (remote, key) = (self.clone(), *key);
        let finding = tokio::spawn(async move { remote.find(&key).await });
        tokio::select! {
            found = finding => Ok(found.ok().flatten()),
            () = talk.closed() => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// What the remote has under a key; learns from the answer.
    async fn find(&self, key: &RecipeKey) -> Option<Known> {
        let began = Instant::now();
        match self.depot.find(key).await {
            Ok(found) => {
                self.history().answered(began.elapsed());
                self.well();
                match found {
                    None => self.absences.fetch_add(1, Ordering::Relaxed),
                    Some(_) => self.absences.swap(0, Ordering::Relaxed),
                };
                found.map(|located| {
                    let known = Known { record: Arc::new(located.record), whole: true };
                    self.learn(*key, known.clone(), &located.places);
                    known
                })
            }
            Err(error) => {
                count(&self.counters.failed);
                self.troubled(&error);
                None
            }
        }
    }

    async fn bring_outcome(
        self: &Arc<Self>,
        key: &RecipeKey,
        record: &Record,
        wanted: &Digest,
        talk: &mut Conversation,
    ) -> io::Result<()> {
        let entry = record.entries.iter().find(|entry| entry.outcome.digest() == *wanted);
        let missing = match entry {
            Some(entry) => self.missing(&entry.outcome).await,
            None => None,
        };
        let (Some(entry), Some(packs)) = (entry, missing) else {
            return talk.say(&nothing("no such outcome")).await;
        };
        if !packs.is_empty() {
            let cost = Duration::from_micros(entry.outcome.cost_us);
            if !self.bring_if_worth(&entry.outcome, packs, cost, talk).await? {
                count(&self.counters.not_worth);
                return talk.say(&nothing("not worth it")).await;
            }
        }
        let one = Record { recipe: record.recipe.clone(), entries: vec![entry.clone()] };
        if self.accept(&one).await {
            self.placed_from_places(&entry.outcome);
            count(&self.counters.brought);
            talk.say(&Reply::Here).await
        } else {
            count(&self.counters.failed);
            // What was known of its places was not true: the next one asks anew.
            self.forget(key);
            self.placed.forget(wanted);
            talk.say(&nothing("its blobs did not come")).await
        }
    }

    /// Brings packs as long as that is worth it. Whether it was.
    async fn bring_if_worth(
        self: &Arc<Self>,
        outcome: &Outcome,
        packs: Vec<Pack>,
        cost: Duration,
        talk: &mut Conversation,
    ) -> io::Result<bool> {
        let began = Instant::now();
        let mut bringing = std::pin::pin!(self.bring_all(outcome, packs.clone()));
        let mut look = tokio::time::interval_at((began + LOOK).into(), LOOK);
        // Nothing is begun that is not worth it, and it is judged anew as the link shows how fast it is.
        while let Some(wait) = self.worth(&packs, cost.saturating_sub(began.elapsed())) {
            talk.say(&Reply::Wait { ms: ms(wait) }).await?;
            tokio::select! {
                biased;
                () = &mut bringing => return Ok(true),
                () = talk.closed() => return Err(io::ErrorKind::BrokenPipe.into()),
                _ = look.tick() => self.measure(),
            }
        }
        self.none_ahead(&packs);
        Ok(false)
    }

    /// How long to wait for an answer, by what is known of the remote.
    fn patience(&self, judge: impl FnOnce(&Figures) -> Duration) -> Duration {
        if self.always() { budget::PATIENT } else { judge(&self.history().figures) }
    }

    /// How long waiting for packs is worth it, where making what is in them takes `cost`.
    fn worth(&self, packs: &[Pack], cost: Duration) -> Option<Duration> {
        if self.always() {
            return Some(budget::PATIENT);
        }
        let left = self.estimate(packs);
        let build = self.build_is_worth();
        // What comes with its build comes; nobody is to give up between two looks.
        let least = if build > left { LOOK * 3 } else { Duration::ZERO };
        budget::outcome(left, cost.max(build)).map(|wait| wait.max(least))
    }

    /// Brings packs, and once more what the local store has lost since.
    async fn bring_all(self: &Arc<Self>, outcome: &Outcome, packs: Vec<Pack>) {
        tokio::select! {
            () = self.bring_packs(&packs) => {}
            () = self.all_here(outcome) => {
                // Those who want the rest of it will ask.
                packs.iter().for_each(|pack| self.begin_ahead(*pack));
                return;
            }
        }
        if let Some(packs) = self.missing(outcome).await.filter(|packs| !packs.is_empty()) {
            self.forget_packs(&packs);
            self.bring_packs(&packs).await;
        }
    }

    /// Takes a one-entry record into the local store if all its blobs are there.
    async fn accept(&self, record: &Record) -> bool {
        for entry in &record.entries {
            if !matches!(self.missing(&entry.outcome).await.as_deref(), Some([])) {
                return false;
            }
        }
        self.depot.accept(record, &*self.disk).await.is_ok()
    }

    fn placed_from_places(&self, outcome: &Outcome) {
        let digest = outcome.digest();
        if self.placed.get(&digest).is_none()
            && let Some(places) = self.places_of(outcome)
        {
            self.placed.put(&digest, &places);
        }
    }

    /// Answers [`Ask::BringBuild`](super::Ask::BringBuild).
    ///
    /// # Errors
    /// When nobody listens any more.
    pub(super) async fn bring_build(
        self: &Arc<Self>,
        exact: &RecipeKey,
        near: Vec<RecipeKey>,
        talk: &mut Conversation,
    ) -> io::Result<()> {
        self.touch();
        if self.is_away() {
            return talk.say(&nothing("the remote is away")).await;
        }
        let wait = self.patience(budget::question);
        talk.say(&Reply::Wait { ms: ms(wait) }).await?;
        // It goes on when nobody waits any more: units will be asked for.
        let (remote, exact) = (self.clone(), *exact);
        let learning = tokio::spawn(async move { remote.learn_build(&exact, &near).await });
        match tokio::time::timeout(LONGEST, learning).await {
            Ok(Ok(true)) => talk.say(&Reply::Here).await,
            _ => talk.say(&nothing("not known")).await,
        }
    }

    /// Learns what there is of a build, and begins to bring it. Whether its snapshot is here.
    async fn learn_build(self: &Arc<Self>, exact: &RecipeKey, near: &[RecipeKey]) -> bool {
        let keys = [(exact, true)].into_iter().chain(near.iter().map(|near| (near, false)));
        for (key, is_exact) in keys {
            match self.read_build(key).await {
                Ok(None) => {}
                Ok(Some(index)) => {
                    self.well();
                    let written = is_exact && self.write_snapshot(exact, &index).await.is_ok();
                    if is_exact {
                        let snapshot = Digest::of(&index.snapshot.blob);
                        self.placed.put_build(&exact.0.to_hex(), &snapshot);
                    }
                    self.learn_index(index);
                    return written;
                }
                Err(error) => {
                    count(&self.counters.failed);
                    self.troubled(&error);
                    return false;
                }
            }
        }
        false
    }

    /// Reads an index, and learns from it how fast the remote is.
    async fn read_build(&self, key: &RecipeKey) -> Result<Option<Index>, StoreError> {
        let began = Instant::now();
        let found = self.depot.find_build(key).await?;
        let latency = began.elapsed();
        self.history().answered(latency);
        let Some(at) = found else { return Ok(None) };
        let began = Instant::now();
        let index = self.depot.read_index(&at).await?;
        self.history().transferred(at.size, began.elapsed().saturating_sub(latency));
        Ok(index)
    }

    /// Writes the snapshot of a build as the engine would.
    async fn write_snapshot(&self, exact: &RecipeKey, index: &Index) -> Result<(), StoreError> {
        let blob = index.snapshot.blob.clone();
        let (digest, size) = (Digest::of(&blob), blob.len() as u64);
        let pieces = futures::stream::iter([Ok(blob)]).boxed();
        self.disk.write_blob(&digest, size, pieces).await?;
        let record = index.snapshot.record.clone();
        match self.disk.put_record(exact, record, Expected::Absent).await {
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Learns all units of a build, and brings their packs in order if that is faster than making them.
    fn learn_index(self: &Arc<Self>, index: Index) {
        let mut cost = Duration::ZERO;
        let records: Vec<Arc<Record>> = index
            .units
            .into_iter()
            .map(|unit| {
                let record = Arc::new(unit.record);
                let known = Known { record: record.clone(), whole: false };
                self.learn(unit.key, known, &index.places);
                cost +=
                    record.entries.iter().map(|e| Duration::from_micros(e.outcome.cost_us)).sum();
                record
            })
            .collect();
        let remote = self.clone();
        tokio::spawn(async move {
            let mut order: Vec<Pack> = Vec::new();
            for record in &records {
                for entry in &record.entries {
                    let packs = remote.missing(&entry.outcome).await.unwrap_or_default();
                    let new: Vec<_> =
                        packs.into_iter().filter(|pack| !order.contains(pack)).collect();
                    order.extend(new);
                }
            }
            let cores = std::thread::available_parallelism().map_or(1, Into::into);
            let here = budget::local(cost, cores);
            let is_faster = remote.estimate(&order) < here;
            if !order.is_empty() && (is_faster || remote.always()) {
                remote.begin_build(here);
                for pack in order {
                    remote.begin_ahead(pack);
                }
            }
        });
    }
}
