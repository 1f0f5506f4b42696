//! Where outcomes come from that the store does not have.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};

/// Brings outcomes to the store from elsewhere, and takes what was stored elsewhere.
///
/// The engine restores from its store alone. When nothing there holds, it asks the supply, is offered
/// records, chooses an outcome that holds here, waits for it as long as waiting is better than executing,
/// and then looks again. Past that it executes, and still takes what comes before the compiler has shown a
/// result.
///
/// Nothing here may block for longer than it takes to ask a process on this machine, nothing may fail, and
/// what is brought is checked like anything in a store.
pub trait Supply: Send + Sync + fmt::Debug {
    /// Asks for what there is under a key. `None`: nothing, or nobody to ask.
    fn bring(&self, key: &RecipeKey) -> Option<Box<dyn Coming>>;

    /// An outcome was stored under a key (see [`cache_core::Outcome::digest`]).
    fn stored(&self, key: &RecipeKey, outcome: &Digest);

    /// Asks for what is known of a build, before cargo looks at its target directory: first under `exact`,
    /// then under each of `near`, which builds with another lock file have too, the likest first. Whether
    /// the snapshot under `exact` is in the store now; the outcomes may still be on their way, to be asked
    /// for one by one.
    fn bring_build(&self, exact: &RecipeKey, near: &[RecipeKey]) -> bool;

    /// The snapshot of a build was stored under `exact`.
    fn build_known(&self, exact: &RecipeKey, near: &[RecipeKey]);
}

/// Something that was asked for.
pub trait Coming: Send {
    /// How long waiting for the next news is better than executing, from now. May be nothing.
    fn patience(&self) -> Duration;

    /// Waits for news no longer than `limit`.
    fn wait(&mut self, limit: Duration) -> News;

    /// Answers an offer: with the outcome that is wanted (see [`cache_core::Outcome::digest`]), or that
    /// none of them is.
    fn choose(&mut self, outcome: Option<&Digest>);

    /// Ends a [`wait`](Self::wait) that goes on in another thread, and tells whoever brings it that it is
    /// not wanted any more.
    fn canceller(&self) -> Box<dyn Fn() + Send + Sync>;
}

/// What became of something that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A record (encoded, [`cache_core::wire`]) whose outcomes can be had: [choose](Coming::choose).
    Offer(Bytes),
    /// What was chosen is in the store now.
    Here,
    /// Nothing will come.
    Nothing,
    /// Nothing has come yet.
    NotYet,
}

/// Picks an outcome of a record.
pub(super) type Choose<'c> = &'c (dyn Fn(&[u8]) -> Option<Digest> + Sync);

/// Waits until what is wanted is here (`true`) or will not come, as long as `coming` says that it is worth
/// it. `None`: it may still come.
pub(super) fn wait_patiently(coming: &mut dyn Coming, choose: Choose<'_>) -> Option<bool> {
    loop {
        let patience = coming.patience();
        match coming.wait(patience) {
            News::Offer(record) => coming.choose(choose(&record).as_ref()),
            News::Here => return Some(true),
            News::Nothing => return Some(false),
            News::NotYet => return None,
        }
    }
}

/// What a supply had to do with how an action was served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Supplied {
    /// It was not asked.
    #[default]
    NotAsked,
    /// It had nothing, or not in time.
    Nothing,
    /// It brought the outcome before anything was executed.
    Brought,
    /// It brought the outcome before the compiler had shown a result; the compiler was stopped.
    Overtook,
    /// The compiler was first.
    TooLate,
}
