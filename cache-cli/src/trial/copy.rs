//! Copying a project without what was built in it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Copies the tree at `from` to `to`: everything but version control data and target directories
/// (which cargo marks with a `CACHEDIR.TAG`). Symbolic links stay links; sockets and the like are
/// left out.
///
/// # Errors
/// When something cannot be read or written, with its path.
pub(super) fn tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let entries = fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", from.display()))?;
        let (source, dest) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        let failed = || format!("cannot copy {}", source.display());
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &dest).with_context(failed)?;
        } else if kind.is_dir() {
            if !is_left_out(&source) {
                tree(&source, &dest)?;
            }
        } else if kind.is_file() {
            fs::copy(&source, &dest).with_context(failed)?;
        }
    }
    Ok(())
}

fn is_left_out(dir: &Path) -> bool {
    let name = dir.file_name().unwrap_or_default();
    [".git", ".hg", ".jj", ".svn"].iter().any(|vcs| name == *vcs)
        || dir.join("CACHEDIR.TAG").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_built_and_version_control_stay_behind() {
        let dir = tempfile::tempdir().expect("temp dir");
        let from = dir.path().join("from");
        for (path, text) in [
            ("src/lib.rs", "//"),
            ("target/CACHEDIR.TAG", "Signature"),
            ("target/debug/x", "x"),
            ("src/target/mod.rs", "//"),
            (".git/HEAD", "ref"),
            (".cargo/config.toml", ""),
        ] {
            let path = from.join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            fs::write(path, text).expect("write");
        }
        std::os::unix::fs::symlink("src/lib.rs", from.join("link")).expect("link");
        let to = dir.path().join("to");
        tree(&from, &to).expect("copy");
        for (path, there) in [
            ("src/lib.rs", true),
            ("src/target/mod.rs", true),
            (".cargo/config.toml", true),
            ("target", false),
            (".git", false),
        ] {
            assert_eq!(to.join(path).exists(), there, "{path}");
        }
        assert_eq!(fs::read_link(to.join("link")).ok().as_deref(), Some(Path::new("src/lib.rs")));
    }
}
