//! Where the tree is on the worker, and taking that out of what comes back.
//!
//! In a sandbox whose root is the tree's, every file is at the path that it has here, and nothing has
//! to be done. Elsewhere the tree lies in some directory: the script puts its name before each path
//! among the arguments, and here it is taken away again. Outputs that carry it are of no use.

use std::path::Path;

use cache_core::boundary::{Edge, path_begins, path_ends};
use cache_rustc::engine::Job;
use cache_rustc::trace::log::{self, MAGIC, Record};

use super::script::TREE;

/// A text with the tree's place before each path that is in the tree.
pub(super) fn mark(text: &str, job: &Job) -> String {
    let roots: Vec<&str> = job.roots.iter().filter_map(|root| root.to_str()).collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let begins = || path_begins(&text.as_bytes()[..at]) == Edge::Yes;
        let ends = |root: &str| {
            let after = rest.strip_prefix(root);
            after.is_some_and(|after| path_ends(after.as_bytes()) == Edge::Yes)
        };
        if rest.starts_with('/') && begins() && roots.iter().any(|root| ends(root)) {
            out.push_str(TREE);
        }
        let Some(next) = rest.chars().next() else { break };
        out.push(next);
        at += next.len_utf8();
    }
    out
}

/// The tree's place; empty where that is the root.
#[derive(Debug)]
pub(super) struct Place(pub(super) String);

impl Place {
    /// Whether paths there are those here.
    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// A path there as one here; `None` for one that is not in the tree.
    fn strip<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let rest = path.strip_prefix(self.0.as_bytes())?;
        if rest.is_empty() { Some(b"/") } else { rest.starts_with(b"/").then_some(rest) }
    }

    /// A text without the place.
    pub(super) fn take_out(&self, text: &[u8]) -> Vec<u8> {
        if self.is_root() {
            return text.to_vec();
        }
        let place = [self.0.as_bytes(), b"/"].concat();
        let mut out = Vec::with_capacity(text.len());
        let mut kept = 0;
        for at in memchr::memmem::find_iter(text, &place) {
            out.extend_from_slice(&text[kept..at]);
            kept = at + self.0.len();
        }
        out.extend_from_slice(&text[kept..]);
        out
    }

    /// Whether bytes carry the place.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        !self.is_root() && memchr::memmem::find(bytes, self.0.as_bytes()).is_some()
    }

    /// A variable's value as the compiler saw it.
    pub(super) fn value(&self, value: &str, job: &Job) -> String {
        mark(value, job).replace(TREE, &self.0)
    }

    /// The tracer's log with paths of this machine. `None`: it is none, or the compiler read files
    /// of the worker's own that would be taken for files of the tree.
    pub(super) fn translate(&self, bytes: &[u8], job: &Job) -> Option<Vec<u8>> {
        if self.is_root() {
            return Some(bytes.to_vec());
        }
        let mut out = MAGIC.to_vec();
        for record in log::records(bytes).ok()? {
            let record = record.ok()?;
            let (path, inside) = match self.strip(record.path) {
                Some(path) => (path, true),
                None => (record.path, false),
            };
            if !inside && record.errno == 0 && is_ours(path, job) {
                return None;
            }
            let extra = self.strip(record.extra).unwrap_or(record.extra);
            Record { path, extra, ..record }.encode(&mut out);
        }
        Some(out)
    }
}

fn is_ours(path: &[u8], job: &Job) -> bool {
    let Ok(path) = std::str::from_utf8(path) else { return true };
    job.files.contains(Path::new(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let roots = ["/home/u/.cargo", "/work/ws"].map(Into::into).into();
        Job { roots, files: ["/work/ws/a.rs".into()].into(), ..Job::default() }
    }

    #[test]
    fn paths_of_the_tree_are_marked_and_no_others() {
        for (text, want) in [
            ("/work/ws/src/lib.rs", "@/work/ws/src/lib.rs"),
            ("--remap-path-prefix=/work/ws=.", "--remap-path-prefix=@/work/ws=."),
            ("dependency=/work/ws/target:/usr/lib", "dependency=@/work/ws/target:/usr/lib"),
            ("/work/ws2 x/work/ws src/lib.rs", "/work/ws2 x/work/ws src/lib.rs"),
            ("/home/u/.cargo/registry", "@/home/u/.cargo/registry"),
        ] {
            assert_eq!(mark(text, &job()), want.replace('@', TREE), "{text}");
        }
    }

    #[test]
    fn the_place_is_taken_out_of_texts_and_traces() {
        let place = Place("/w/7".into());
        assert_eq!(
            place.take_out(b"at /w/7/work/ws/a.rs:1 and /w/77/b"),
            b"at /work/ws/a.rs:1 and /w/77/b"
        );
        assert!(place.is_in(b"\0/w/7/x") && !Place(String::new()).is_in(b"x"));
        let record = |path: &'static [u8], errno| Record {
            kind: log::kind::OPEN,
            detail: 0,
            errno,
            arg: 0,
            pid: 1,
            path,
            extra: b"",
        };
        let mut bytes = MAGIC.to_vec();
        record(b"/w/7/work/ws/a.rs", 0).encode(&mut bytes);
        record(b"/work/ws/a.rs", 2).encode(&mut bytes);
        let translated = place.translate(&bytes, &job()).unwrap();
        let paths: Vec<_> =
            log::records(&translated).unwrap().map(|r| r.unwrap().path.to_vec()).collect();
        assert_eq!(paths, [b"/work/ws/a.rs", b"/work/ws/a.rs"]);
        record(b"/work/ws/a.rs", 0).encode(&mut bytes);
        assert_eq!(place.translate(&bytes, &job()), None, "the worker has one of its own");
    }
}
