//! What the engine is known to have, so that it is neither asked nor told twice.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Cas, Uploaded};
use crate::{CasDigest, Content, Directory, Result};

/// How many blobs are remembered: some 50 MB. What is forgotten is asked for again.
const MOST: usize = 1_000_000;

/// Brings input trees to an engine. What was brought by one action is not asked for by the next,
/// and two that need the same blob at once bring it once.
#[derive(Debug)]
pub(crate) struct Uploader {
    cas: Cas,
    state: Mutex<State>,
    /// Somebody has finished, with success or not.
    finished: Notify,
}

#[derive(Debug, Default)]
struct State {
    present: HashSet<CasDigest>,
    /// Directories that are present with all that is below them.
    complete: HashSet<CasDigest>,
    /// Somebody is bringing these.
    coming: HashSet<CasDigest>,
}

impl Uploader {
    pub(crate) fn new(cas: Cas) -> Self {
        Self { cas, state: Mutex::default(), finished: Notify::new() }
    }

    pub(crate) fn cas(&self) -> &Cas {
        &self.cas
    }

    /// Makes sure that the engine has the tree and these blobs.
    pub(crate) async fn bring(
        &self,
        tree: &Directory,
        blobs: &[(CasDigest, Content)],
    ) -> Result<Uploaded> {
        let mut total = Uploaded::default();
        loop {
            // Before looking, so that nobody's end is missed.
            let finished = self.finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            match self.claim(tree, blobs) {
                Next::Bring(claim) => {
                    total += self.cas.upload(&claim.blobs).await?;
                    claim.succeed();
                }
                Next::Wait => finished.await,
                Next::Done => return Ok(total),
            }
        }
    }

    /// Takes on what is not there and nobody else brings.
    fn claim(&self, tree: &Directory, blobs: &[(CasDigest, Content)]) -> Next<'_> {
        let mut state = self.state();
        let mut wanted = blobs.to_vec();
        tree.blobs(&|digest| state.complete.contains(digest), &mut wanted);
        wanted.retain(|(digest, _)| !state.present.contains(digest));
        if wanted.is_empty() {
            let mut directories = Vec::new();
            tree.directories(&|digest| state.complete.contains(digest), &mut directories);
            state.complete.extend(directories);
            return Next::Done;
        }
        wanted.retain(|(digest, _)| state.coming.insert(*digest));
        if wanted.is_empty() {
            return Next::Wait;
        }
        Next::Bring(Claim { uploader: self, blobs: wanted })
    }

    /// The engine has lost something: all is asked for again.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        state.present.clear();
        state.complete.clear();
    }

    /// The lock is held for moments, and every change leaves the sets whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a task does next.
enum Next<'a> {
    Bring(Claim<'a>),
    /// Others bring what is left.
    Wait,
    Done,
}

/// Blobs that one task brings. Given back when dropped, also when the task is.
struct Claim<'a> {
    uploader: &'a Uploader,
    blobs: Vec<(CasDigest, Content)>,
}

impl Claim<'_> {
    fn succeed(self) {
        let mut state = self.uploader.state();
        if state.present.len() > MOST {
            state.present.clear();
            state.complete.clear();
        }
        state.present.extend(self.blobs.iter().map(|(digest, _)| *digest));
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.uploader.state();
        for (digest, _) in &self.blobs {
            state.coming.remove(digest);
        }
        drop(state);
        self.uploader.finished.notify_waiters();
    }
}
