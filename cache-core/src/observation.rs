//! What one execution really read.

use crate::{Digest, RootName, Template};

/// What kind of thing a path names, where only its existence was asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A regular file that may be executed.
    Program,
    /// A directory.
    Dir,
    /// Anything else.
    Other,
}

/// The value an environment variable had when it was read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EnvValue {
    /// It was not set.
    Unset,
    /// The digest of its bytes (values may be secret, so they are not kept).
    Digest(Digest),
    /// It names a place; it must name the same place in terms of this invocation's roots.
    Path(Template),
}

/// One thing that was read and must be the same for the outcome to hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fact {
    /// An option outside the recipe that the outcome depends on, such as how diagnostics are
    /// rendered when there are any.
    Variant {
        /// Which option.
        name: String,
        /// The digest of its canonical value.
        value: Digest,
    },
    /// The outputs carry the bytes of this root's path: they are bound to it.
    Bound {
        /// Which root.
        root: RootName,
        /// Its path when the outcome was made.
        path: Vec<u8>,
    },
    /// An environment variable that was read.
    Env {
        /// Its name.
        name: Vec<u8>,
        /// What it was.
        value: EnvValue,
    },
    /// A path that was probed and absent.
    Absent {
        /// Where.
        path: Template,
    },
    /// A path whose existence and kind were asked for, but not its content.
    Present {
        /// Where.
        path: Template,
        /// What was there.
        kind: NodeKind,
    },
    /// A symbolic link whose target was read.
    Link {
        /// Where.
        path: Template,
        /// Where it pointed, as written in it.
        target: Template,
    },
    /// A directory whose entries were listed.
    Dir {
        /// Where.
        path: Template,
        /// Digest of the sorted listing.
        listing: Digest,
    },
    /// A file that was read.
    File {
        /// Where.
        path: Template,
        /// Digest of its content.
        digest: Digest,
    },
}

/// Everything an outcome depends on beyond its recipe, sorted, without repeats.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct Observation {
    facts: Vec<Fact>,
}

impl Observation {
    /// An observation of these facts. Sorted by kind (the cheap ones to check first), then by
    /// content, and freed of repeats, so equal observations are equal bytes.
    #[must_use]
    pub fn new(mut facts: Vec<Fact>) -> Self {
        facts.sort_unstable();
        facts.dedup();
        Self { facts }
    }

    /// An observation of facts that are strictly ascending already.
    pub(crate) fn from_sorted(facts: Vec<Fact>) -> Self {
        debug_assert!(facts.is_sorted_by(|a, b| a < b));
        Self { facts }
    }

    /// The facts, in canonical order.
    #[must_use]
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repeats_do_not_count() {
        let path = |path: &[u8]| Template::Plain(path.to_vec());
        let file = Fact::File { path: path(b"/a"), digest: Digest::of(b"") };
        let absent = Fact::Absent { path: path(b"/z") };
        let env = Fact::Env { name: b"A".to_vec(), value: EnvValue::Unset };
        let observation =
            Observation::new(vec![file.clone(), absent.clone(), env.clone(), file.clone()]);
        assert_eq!(observation.facts(), [env.clone(), absent.clone(), file.clone()]);
        assert_eq!(observation, Observation::new(vec![env, file, absent]));
    }
}
