//! A source file whose function is changed, again and again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A source file with the place where edits go.
pub(super) struct Edited {
    /// Its path in the checkout.
    pub(super) file: PathBuf,
    before: String,
    after: String,
}

impl Edited {
    /// `file`, or the largest source below a `src` of the checkout; edits go into the middle one of
    /// its functions.
    ///
    /// # Errors
    /// When there is no such file, or no function in it.
    pub(super) fn find(checkout: &Path, file: Option<&Path>) -> Result<Self> {
        let file = match file {
            Some(file) => file.to_path_buf(),
            None => largest(checkout)?,
        };
        let path = checkout.join(&file);
        let text =
            fs::read_to_string(&path).with_context(|| format!("no source {}", path.display()))?;
        let at = body(&text).with_context(|| format!("no function in {}", path.display()))?;
        let (before, after) = text.split_at(at);
        Ok(Self { file, before: before.into(), after: after.into() })
    }

    /// Writes the file in its state of edit `number`, or as it was at first, into a checkout.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn apply(&self, checkout: &Path, number: Option<usize>) -> Result<()> {
        let (before, after) = (&self.before, &self.after);
        let edit = number
            .map(|number| format!("let _ = ::core::hint::black_box({number}_usize);\n"))
            .unwrap_or_default();
        fs::write(checkout.join(&self.file), format!("{before}{edit}{after}"))
            .context("cannot edit")
    }
}

fn largest(checkout: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    walk(checkout, checkout, &mut found)?;
    let (_, file) = found.into_iter().max().context("no source files")?;
    Ok(file)
}

/// Sources that have a function to change, with their sizes.
fn walk(root: &Path, directory: &Path, found: &mut Vec<(u64, PathBuf)>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            if !["target", "tests", "benches", "examples", ".git"]
                .iter()
                .any(|out| path.ends_with(out))
            {
                walk(root, &path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix(root)?;
            let is_source = inside.components().any(|part| part.as_os_str() == "src");
            if is_source && fs::read_to_string(&path).is_ok_and(|text| body(&text).is_some()) {
                found.push((path.metadata()?.len(), inside.to_path_buf()));
            }
        }
    }
    Ok(())
}

/// Where the body of the middle one of the functions starts that have their signature on one line
/// and are not constant.
fn body(text: &str) -> Option<usize> {
    // Unit tests are not part of a build.
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut starts = Vec::new();
    let mut at = 0;
    for line in code.split_inclusive('\n') {
        at += line.len();
        let words = line.trim_start();
        let words = words.strip_prefix("pub").map_or(words, |rest| {
            let rest = rest
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(')'))
                .map_or(rest, |(_, rest)| rest);
            rest.trim_start()
        });
        if words.starts_with("fn ") && line.trim_end().ends_with('{') {
            starts.push(at);
        }
    }
    starts.get(starts.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_function_is_changed_and_constant_ones_are_not() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let source = "const fn no() {\n}\nfn a() {\n}\n    pub(crate) fn b(x: u8) -> u8 {\n x }\npub fn c() {\n}\n#[cfg(test)]\nfn t() {\n}\n";
        fs::create_dir(directory.path().join("src"))?;
        fs::write(directory.path().join("src/lib.rs"), source)?;
        let edited = Edited::find(directory.path(), None)?;
        assert_eq!(edited.file, Path::new("src/lib.rs"));
        edited.apply(directory.path(), Some(7))?;
        let text = fs::read_to_string(directory.path().join("src/lib.rs"))?;
        assert!(
            text.contains("-> u8 {\nlet _ = ::core::hint::black_box(7_usize);\n x }"),
            "{text}"
        );
        edited.apply(directory.path(), None)?;
        let text = fs::read_to_string(directory.path().join("src/lib.rs"))?;
        assert_eq!(text, source);
        Ok(())
    }

    #[test]
    fn a_source_without_functions_is_no_source() {
        assert_eq!(body("pub struct A;\n"), None);
    }
}
