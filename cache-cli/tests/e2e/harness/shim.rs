//! A compiler that writes down every start of the real one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Lab, sysroot, write_program};

/// What the counting script writes to: an open file that is inherited, so that the script opens
/// and writes nothing that would be an input or output of the compile.
const STARTS: u8 = 7;

/// A command line that opens the log for the counting script and becomes cargo.
pub(super) fn cargo(log: &Path) -> [OsString; 4] {
    let script = format!("exec {STARTS}>>\"$0\"; exec \"$@\"");
    ["-c".into(), script.into(), log.into(), "cargo".into()]
}

/// The counting compiler of a lab.
pub(crate) struct Counter {
    log: PathBuf,
}

impl Lab {
    /// Makes every cargo of this lab use a compiler that counts its starts.
    pub(crate) fn count_compilers(&self) -> Counter {
        self.count_compilers_of(&self.root.join("counting-rustc"))
    }

    /// The same with the script in a given place, which counts for what a compiler is.
    pub(crate) fn count_compilers_of(&self, script: &Path) -> Counter {
        let log = self.root.join("starts");
        let rustc = sysroot().join("bin/rustc");
        let text = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$*\" >&{STARTS}\nexec '{}' \"$@\"\n",
            rustc.display()
        );
        if std::fs::read(script).ok().as_deref() != Some(text.as_bytes()) {
            write_program(script, text);
        }
        self.set_env("RUSTC", script);
        *self.starts.borrow_mut() = Some(log.clone());
        Counter { log }
    }
}

impl Counter {
    /// Crate names of the compiles started since the last call, sorted. Probes (no crate name, or
    /// cargo's `___`) are left out.
    pub(crate) fn compiled(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let _ = std::fs::remove_file(&self.log);
        let mut names: Vec<_> = text.lines().filter_map(crate_name).collect();
        names.sort();
        names
    }
}

fn crate_name(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("--crate-name ")?;
    rest.split(' ').next().filter(|name| *name != "___").map(str::to_owned)
}
