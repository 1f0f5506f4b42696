//! Whether a run would have gone otherwise in an `OUT_DIR` that was not empty.
//!
//! cargo leaves what an earlier run of the script left. A run that only wrote whole files there does
//! the same beside those; one that looked first, or made what can be made only once, may not.

use std::path::{Path, PathBuf};

use cache_core::Fact;

use super::super::facts::empty_listing;
use super::run::ScriptRun;
use crate::trace::{Entry, Event};

/// The fact that `OUT_DIR` was empty, for a run to which that matters.
pub(super) fn fact(run: &ScriptRun, entries: &[Entry]) -> Option<Fact> {
    let mut dirs = vec![run.out_dir.clone()];
    dirs.extend(std::fs::canonicalize(&run.out_dir));
    let looked = entries.iter().any(|entry| matters(&entry.event, &dirs));
    looked.then(|| Fact::Dir { path: run.place.template(&run.out_dir), listing: empty_listing() })
}

fn matters(event: &Event, dirs: &[PathBuf]) -> bool {
    let inside = |path: &Path| dirs.iter().any(|dir| path.starts_with(dir));
    match event {
        Event::Opened { path, flags, result } => {
            let whole = flags.truncates() && !flags.exclusive();
            inside(path) && (result.is_err() || flags.writes() && !whole && !path.is_dir())
        }
        Event::Stat { path, result: Err(_), .. }
        | Event::Checked { path, result: Err(_) }
        | Event::Listed { path, .. }
        | Event::Walked { path }
        | Event::LinkRead { path, result: Err(_) }
        | Event::Resolved { path, result: Err(_) }
        | Event::Symlinked { path, .. }
        | Event::DirMade { path } => inside(path),
        Event::HardLinked { to, .. } => inside(to),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Errno, FileKind, OpenFlags};

    #[test]
    fn whole_files_are_written_beside_what_was_there_and_all_else_looks_first() {
        let dirs = [PathBuf::from("/t/out")];
        let path = PathBuf::from("/t/out/gen.rs");
        let open = |flags: u32, result| Event::Opened {
            path: path.clone(),
            flags: OpenFlags(flags),
            result,
        };
        let stat = |path: &str, result| Event::Stat { path: path.into(), follow: true, result };
        let (create, truncate, append, exclusive) = (0o101, 0o1000, 0o2000, 0o200);
        assert!(!matters(&open(create | truncate, Ok(())), &dirs));
        assert!(!matters(&open(0, Ok(())), &dirs));
        assert!(!matters(&stat("/t/out/gen.rs", Ok(FileKind::Regular)), &dirs));
        assert!(!matters(&stat("/t/other", Err(Errno(2))), &dirs));
        assert!(matters(&open(create | append, Ok(())), &dirs));
        assert!(matters(&open(create | exclusive, Ok(())), &dirs));
        assert!(matters(&open(0, Err(Errno(2))), &dirs));
        assert!(matters(&stat("/t/out/gen.rs", Err(Errno(2))), &dirs));
        assert!(matters(&Event::Listed { path: "/t/out".into(), result: Ok(()) }, &dirs));
    }
}
