//! The places of a build, taken out of what is written down of it and put back elsewhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use cache_core::{RootName, Roots, Segment, TextTemplate};

use super::cargo::CargoRun;

/// Before and behind the name of a root.
const OPEN: u8 = 1;
const CLOSE: u8 = 2;

/// Named directories of one build.
#[derive(Debug)]
pub(super) struct Places {
    roots: Roots,
}

impl Places {
    /// The workspace, cargo's home and the user's.
    pub(super) fn of(cargo: &CargoRun) -> Self {
        let var = |name: &str| cargo.env.get(OsStr::new(name)).map(PathBuf::from);
        let home = var("HOME");
        let cargo_home = var("CARGO_HOME").or_else(|| Some(home.as_ref()?.join(".cargo")));
        let named = [
            ("workspace", Some(cargo.workspace.clone())),
            ("cargo_home", cargo_home),
            ("home", home),
        ];
        let mut roots = Roots::new();
        for (name, path) in named {
            if let (Ok(name), Some(path)) = (RootName::new(name), path) {
                // A path that is no root stays as it is.
                let _ = roots.add(name, path.as_os_str().as_bytes());
            }
        }
        Self { roots }
    }

    /// Takes the places out; `None` where it cannot be told whether a place is named.
    pub(super) fn out_of(&self, text: &[u8]) -> Option<Vec<u8>> {
        if text.iter().any(|b| [OPEN, CLOSE].contains(b)) {
            return None;
        }
        let (template, unsure) = TextTemplate::locate(text, &self.roots, <[u8]>::to_vec);
        if !unsure.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(text.len());
        for segment in &template.segments {
            match segment {
                Segment::Text(text) => out.extend_from_slice(text),
                Segment::Root(name) => {
                    out.push(OPEN);
                    out.extend_from_slice(name.as_str().as_bytes());
                    out.push(CLOSE);
                }
            }
        }
        Some(out)
    }

    /// Puts the places in; `None` for a text that names one that is not known.
    pub(super) fn into(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(text.len() + 64);
        let mut rest = text;
        while let Some(at) = memchr::memchr(OPEN, rest) {
            out.extend_from_slice(&rest[..at]);
            let end = memchr::memchr(CLOSE, &rest[at..])? + at;
            let name = std::str::from_utf8(&rest[at + 1..end]).ok()?.to_owned();
            out.extend_from_slice(self.roots.get(&RootName::new(name).ok()?)?);
            rest = &rest[end + 1..];
        }
        out.extend_from_slice(rest);
        Some(out)
    }

    /// Whether bytes name a place.
    pub(super) fn are_named_in(&self, bytes: &[u8]) -> bool {
        self.roots.iter().any(|(name, path)| {
            name.as_str() != "home" && memchr::memmem::find(bytes, path).is_some()
        })
    }
}
