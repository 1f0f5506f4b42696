//! Writing files that are going to be run.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a file that is going to be run, keeping the inode of one that is there, and makes it
/// executable.
///
/// A shell does the writing. Were it this process, a process that another test's thread forks
/// meanwhile would hold the file open for writing, and running it would fail with `ETXTBSY`.
#[track_caller]
pub(crate) fn write_program(path: &Path, content: impl AsRef<[u8]>) {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).expect("directories");
    }
    let mut shell = Command::new("sh")
        .args(["-c", "cat >\"$0\" && chmod u+rwx,go+rx \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut stdin = shell.stdin.take().expect("its input");
    stdin.write_all(content.as_ref()).expect("a shell that reads");
    drop(stdin);
    assert!(shell.wait().expect("its end").success(), "writing {}", path.display());
}
