//! `--remap-path-prefix` arguments that take the place out of the outputs.
//!
//! The working directory of workspace members becomes `.`, so `file!()` and panic locations are
//! what plain cargo gives and a debugger started in the workspace finds the sources. `CARGO_HOME`
//! becomes one stable name. rustc applies the *last* mapping that matches
//! (`rustc_span::source_map::FilePathMapping::map_prefix`), so the deeper directory comes later.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::place::Place;

/// What `CARGO_HOME` is called in outputs.
pub(super) const CARGO_HOME_NAME: &str = "/cargo";

/// The mappings of one invocation.
#[derive(Debug, Clone, Default)]
pub struct Remap {
    /// Pairs of a directory here and its name in outputs, in the order rustc gets them.
    pub pairs: Vec<(PathBuf, &'static str)>,
}

impl Remap {
    /// The mappings for a place.
    #[must_use]
    pub fn portable(place: &Place) -> Self {
        let mut pairs = Vec::new();
        if let Some(workspace) = &place.workspace {
            pairs.push((workspace.clone(), "."));
        }
        if let Some(target) = &place.target {
            pairs.push((target.clone(), "./target"));
        }
        for home in place.cargo_home.iter().chain(&place.cargo_home_real) {
            pairs.push((home.clone(), CARGO_HOME_NAME));
        }
        pairs.retain(|(from, _)| mappable(from));
        Self { pairs: outer_first(pairs) }
    }

    /// The arguments for rustc, to be put before the user's own so that those win.
    #[must_use]
    pub fn args(&self) -> Vec<OsString> {
        let mut args = Vec::with_capacity(self.pairs.len());
        for (from, to) in &self.pairs {
            let mut arg = OsString::from("--remap-path-prefix=");
            arg.push(from);
            arg.push("=");
            arg.push(to);
            args.push(arg);
        }
        args
    }

    /// Canonical text of what is mapped to what, for the recipe: the names, not the places.
    #[must_use]
    pub fn canonical(&self, place: &Place) -> Vec<u8> {
        let pair = |(from, to): &(PathBuf, &str)| {
            [&place.template(from).to_bytes(), &[0][..], to.as_bytes(), &[0]].concat()
        };
        let mut pairs: Vec<_> = self.pairs.iter().map(pair).collect();
        // The arguments' order follows what holds what, and that changes no name.
        pairs.sort_unstable();
        pairs.concat()
    }

    /// The path here of a name that rustc prints for a mapped file; `None` when it is not mapped.
    #[must_use]
    pub fn reverse(&self, name: &str) -> Option<PathBuf> {
        let best = self.pairs.iter().filter_map(|(from, to)| {
            let rest = name.strip_prefix(to)?.strip_prefix('/')?;
            Some((to.len(), from.join(rest)))
        });
        best.max_by_key(|(len, _)| *len).map(|(_, path)| path)
    }
}

/// Puts each directory before those inside it, and otherwise keeps the order: which is the same in
/// every place where the same directories hold each other.
fn outer_first(pairs: Vec<(PathBuf, &'static str)>) -> Vec<(PathBuf, &'static str)> {
    let mut sorted: Vec<(PathBuf, &'static str)> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let inside = sorted.iter().position(|(other, _)| other.starts_with(&pair.0));
        sorted.insert(inside.unwrap_or(sorted.len()), pair);
    }
    sorted
}

/// rustc splits the argument at its last `=` (`rustc_session::config::parse_remap_path_prefix`)
/// and takes text only.
fn mappable(path: &Path) -> bool {
    path.is_absolute() && path.to_str().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_depends_on_what_holds_what_and_not_on_depth() {
        let order = |pairs: &[(&str, &'static str)]| -> Vec<&'static str> {
            let pairs = pairs.iter().map(|(from, to)| ((*from).into(), *to)).collect();
            outer_first(pairs).into_iter().map(|(_, to)| to).collect()
        };
        assert_eq!(order(&[("/x/y/w", "w"), ("/t", "t"), ("/h/c", "c")]), ["w", "t", "c"]);
        assert_eq!(order(&[("/w", "w"), ("/x/y/t", "t"), ("/h/i/c", "c")]), ["w", "t", "c"]);
        assert_eq!(order(&[("/c/git/w", "w"), ("/c/git/w/t", "t"), ("/c", "c")]), ["c", "w", "t"]);
    }

    #[test]
    fn reverse_prefers_the_longest_name() {
        let remap = Remap {
            pairs: vec![
                ("/w".into(), "."),
                ("/t".into(), "./target"),
                ("/home/c".into(), "/cargo"),
            ],
        };
        assert_eq!(remap.reverse("./target/x.rs"), Some("/t/x.rs".into()));
        assert_eq!(remap.reverse("./src/x.rs"), Some("/w/src/x.rs".into()));
        assert_eq!(remap.reverse("/cargo/registry/x.rs"), Some("/home/c/registry/x.rs".into()));
        assert_eq!(remap.reverse("src/x.rs"), None);
        assert_eq!(remap.reverse("/cargos/x.rs"), None);
    }
}
