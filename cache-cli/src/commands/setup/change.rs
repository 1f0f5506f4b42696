//! A file that is to be changed: shown first, then written whole.

use std::fs;
use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::moved;

/// A file's text before and after.
#[derive(Debug)]
pub(super) struct Change {
    file: PathBuf,
    old: String,
    new: String,
}

/// A file's text; none is there: nothing.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(file: &Path) -> Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => other.with_context(|| format!("cannot read {}", file.display())),
    }
}

impl Change {
    pub(super) fn new(file: PathBuf, old: String, new: String) -> Self {
        Self { file, old, new }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The lines that go and come, with a line around them, and without secrets.
    pub(super) fn difference(&self) -> String {
        let (old, new): (Vec<_>, Vec<_>) = (self.old.lines().collect(), self.new.lines().collect());
        let same = |(a, b): &(&&str, &&str)| a == b;
        let head = old.iter().zip(&new).take_while(same).count();
        let rest = old.len().min(new.len()) - head;
        let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(same).count();
        let mut out = format!("{}\n", self.file.display());
        for line in &old[head.saturating_sub(1)..head] {
            out += &format!("   {line}\n");
        }
        for line in &old[head..old.len() - tail] {
            out += &format!(" - {line}\n");
        }
        for line in &new[head..new.len() - tail] {
            out += &format!(" + {line}\n");
        }
        for line in old[old.len() - tail..].iter().take(1) {
            out += &format!("   {line}\n");
        }
        let secrets = [&self.old, &self.new].map(|text| moved::secrets(text)).concat();
        secrets.iter().fold(out, |out, secret| out.replace(secret.as_str(), "(not shown)"))
    }

    /// Writes the file whole or not at all, at the end of links, with its permissions, or for its owner
    /// alone if there are secrets in it; an empty one is removed.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn write(&self) -> Result<()> {
        let file = fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone());
        if self.new.trim().is_empty() {
            return match fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            };
        }
        let dir = file.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(dir)?;
        let mut temp = tempfile::NamedTempFile::new_in(dir)?;
        temp.write_all(self.new.as_bytes())?;
        let mode = fs::metadata(&file).map_or(0o644, |meta| meta.permissions().mode());
        let mode = if moved::secrets(&self.new).is_empty() { mode } else { mode & 0o700 };
        temp.as_file().set_permissions(PermissionsExt::from_mode(mode))?;
        temp.persist(&file)?;
        Ok(())
    }
}

/// Asks whoever sits there.
///
/// # Errors
/// When nobody does.
pub(super) fn confirmed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nobody to ask; nothing was changed; run it with --yes to write the change");
    }
    say!("Write this? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::super::wrapper;
    use super::*;

    #[test]
    fn the_difference_is_the_lines_that_change() {
        let old = "[net]\nretry = 3\n[build]\njobs = 2\n[x]\n";
        let new = wrapper::with(old, "/opt/bin/larder", None).expect("understood");
        let change = Change::new("F".into(), old.into(), new.expect("a change"));
        assert_eq!(
            change.difference(),
            "F\n   jobs = 2\n + rustc-wrapper = \"/opt/bin/larder\"\n   [x]\n"
        );
    }
}
