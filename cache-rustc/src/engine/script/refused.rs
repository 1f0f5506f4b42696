//! Runs that were observed once and cannot be stored: they are not observed again for a while.
//!
//! One small file for each, named by the recipe's key, with the reason. Losing them costs an
//! observation.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cache_core::RecipeKey;

/// How long a refusal is remembered.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Beginnings of reasons that lie in what the script does, not in the moment.
const LASTING: &[&str] = &[
    "escaped-tracer",
    "network",
    "out-dir-too-large",
    "output-too-large",
    "removed-elsewhere",
    "walked-tree",
    "wrote-elsewhere",
    "wrote-input",
];

/// Why a run is not worth observing.
pub(super) fn reason(state_dir: &Path, key: &RecipeKey) -> Option<String> {
    let path = dir(state_dir).join(key.0.to_hex());
    if !is_alive(&path) {
        return None;
    }
    std::fs::read_to_string(path).ok().filter(|reason| is_lasting(reason))
}

/// Remembers why a run could not be stored, if the reason will last. Trouble is ignored.
pub(super) fn note(state_dir: &Path, key: &RecipeKey, reason: &str) {
    if !is_lasting(reason) {
        return;
    }
    let dir = dir(state_dir);
    if std::fs::create_dir_all(&dir).is_err() {
        return;
    }
    sweep(&dir);
    let _ = std::fs::write(dir.join(key.0.to_hex()), reason);
}

fn dir(state_dir: &Path) -> PathBuf {
    state_dir.join("refused-scripts-v1")
}

fn is_lasting(reason: &str) -> bool {
    LASTING.iter().any(|lasting| reason.starts_with(lasting))
}

fn is_alive(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified());
    modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age < LIFE))
}

fn sweep(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if !is_alive(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cache_core::Digest;

    #[test]
    fn lasting_reasons_are_remembered_for_a_while() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let key = |text: &str| RecipeKey(Digest::of(text.as_bytes()));
        note(dir.path(), &key("a"), "network: Inet");
        note(dir.path(), &key("b"), "input-changed: /x");
        assert_eq!(reason(dir.path(), &key("a")).as_deref(), Some("network: Inet"));
        assert_eq!(reason(dir.path(), &key("b")), None);
        let file = std::fs::File::open(super::dir(dir.path()).join(key("a").0.to_hex()))?;
        file.set_modified(SystemTime::now() - LIFE)?;
        assert_eq!(reason(dir.path(), &key("a")), None);
        Ok(())
    }
}
