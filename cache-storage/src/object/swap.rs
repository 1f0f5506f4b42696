//! Replacing a record only if it is as the writer believes.

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use futures::lock::{Mutex, MutexGuard};
use object_store::{PutMode, UpdateVersion};

use crate::{Expected, Revision};

/// Writers of this many keys of one store do not wait for each other.
const LOCKS: usize = 64;

/// How compare-and-swap is done.
#[derive(Debug)]
pub(super) enum Swap {
    /// The server compares: atomic for all writers everywhere.
    Native,
    /// We compare, then write: atomic among the writers of one process only. Of two processes at
    /// once one may overwrite what the other has just written.
    Locked {
        /// By the key's first byte.
        locks: Box<[Mutex<()>]>,
        /// What the server is asked to check as well.
        asks: Asks,
    },
}

/// Which conditions a server can be asked to check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asks {
    Nothing,
    /// That nothing is there yet.
    Absent,
    /// That, and that the object has a tag. Servers that check make the swap atomic after all;
    /// others ignore it.
    All,
}

impl Swap {
    pub(super) fn locked(asks: Asks) -> Self {
        Self::Locked { locks: (0..LOCKS).map(|_| Mutex::new(())).collect(), asks }
    }
}

/// The lock of a key.
pub(super) async fn lock<'l>(locks: &'l [Mutex<()>], key: &RecipeKey) -> MutexGuard<'l, ()> {
    locks[usize::from(key.0.as_bytes()[0]) % locks.len()].lock().await
}

/// The state of a record by the server's own tags: they change with each write.
pub(super) fn native_revision(e_tag: Option<&str>, version: Option<&str>) -> Revision {
    let text = format!("{}\n{}", e_tag.unwrap_or_default(), version.unwrap_or_default());
    Revision(Bytes::from(text))
}

/// The state of a record by its content: tags of WebDAV servers are often made of a time in
/// seconds and a length.
pub(super) fn content_revision(bytes: &[u8]) -> Revision {
    Revision(Bytes::copy_from_slice(Digest::of(bytes).as_bytes()))
}

/// How `expected` is said to the server; `None` if it is no revision of ours.
pub(super) fn mode(expected: &Expected) -> Option<PutMode> {
    let Expected::Revision(revision) = expected else { return Some(PutMode::Create) };
    let (e_tag, version) = std::str::from_utf8(&revision.0).ok()?.split_once('\n')?;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(PutMode::Update(UpdateVersion { e_tag: some(e_tag), version: some(version) }))
}
