//! `@path` arguments.
//!
//! As in `rustc_driver_impl::args`: the file is UTF-8, each of its lines is one argument (a
//! trailing `\r` is dropped, an empty line is an empty argument), its lines are not expanded
//! again, and expansion comes before any parsing, so that `--cfg @file` expands too.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Reason;

/// More than any command line: a file beyond it (or one without end, such as a device) is left
/// to rustc.
const MAX_BYTES: u64 = 64 << 20;

/// The text of the argument files of one command line, in their order.
#[derive(Default)]
pub(super) struct Argfiles {
    pub(super) paths: Vec<PathBuf>,
    texts: Vec<String>,
}

impl Argfiles {
    /// Reads every argument file that `args` name, relative to `cwd`.
    pub(super) fn read(args: &[OsString], cwd: &Path) -> Result<Self, Reason> {
        let mut files = Self::default();
        for arg in args {
            let Some(name) = arg.to_str().and_then(|arg| arg.strip_prefix('@')) else {
                continue;
            };
            let path = cwd.join(name);
            files.texts.push(read_text(&path).ok_or(Reason::ArgfileUnreadable)?);
            files.paths.push(path);
        }
        Ok(files)
    }

    /// The arguments with each `@path` replaced by the lines of its file.
    pub(super) fn expand<'a>(&'a self, args: &'a [OsString]) -> Result<Vec<&'a str>, Reason> {
        let mut texts = self.texts.iter();
        let mut expanded = Vec::with_capacity(args.len());
        for arg in args {
            let arg = arg.to_str().ok_or(Reason::NonUnicodeArgument)?;
            if arg.starts_with('@') {
                expanded.extend(texts.next().into_iter().flat_map(|text| text.lines()));
            } else {
                expanded.push(arg);
            }
        }
        Ok(expanded)
    }
}

fn read_text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        // A pipe (`@/dev/fd/63`) can be read once, and rustc needs to.
        return None;
    }
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text).ok()?;
    (read as u64 <= MAX_BYTES).then_some(text)
}
