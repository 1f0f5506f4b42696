//! Shared by the tracer's tests: programs to trace, and running them with and without the tracer.
#![allow(dead_code, reason = "each test file uses its part")]

use cache_rustc::trace::{Event, Trace, Tracer};
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The tracer; these tests run where it must be available.
pub(crate) fn tracer(dir: &Path) -> Tracer {
    Tracer::available(dir).expect("the tracer is available")
}

/// Runs a command under the tracer.
pub(crate) fn traced(dir: &Path, command: &mut Command) -> (Output, Trace) {
    let session = tracer(dir).session(&unused(dir, "log")).unwrap();
    session.apply(command);
    let output = command.output().unwrap();
    (output, session.finish().unwrap())
}

/// A path in `dir` that nothing has yet.
pub(crate) fn unused(dir: &Path, stem: &str) -> PathBuf {
    (0..).map(|n| dir.join(format!("{stem}{n}"))).find(|p| !p.exists()).unwrap()
}

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

/// Compiles a C program.
pub(crate) fn cc(dir: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (program, file) = (dir.join(name), dir.join(format!("{name}.c")));
    std::fs::write(&file, source).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-O0", "-w", "-D_GNU_SOURCE", "-o"]).arg(&program).arg(&file).args(flags);
    succeed(&mut cc);
    program
}

/// Compiles a Rust program or library.
pub(crate) fn rustc(dir: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (out, file) = (dir.join(name), dir.join(format!("{name}.rs")));
    std::fs::write(&file, source).unwrap();
    succeed(
        Command::new("rustc")
            .args(["--edition=2024", "--crate-name=x", "-o"])
            .arg(&out)
            .arg(&file)
            .args(flags),
    );
    out
}

/// Runs a command that must succeed; gives its standard output.
pub(crate) fn succeed(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub(crate) fn assert_same(plain: &Output, traced: &Output) {
    assert_eq!(String::from_utf8_lossy(&plain.stdout), String::from_utf8_lossy(&traced.stdout));
    assert_eq!(String::from_utf8_lossy(&plain.stderr), String::from_utf8_lossy(&traced.stderr));
    assert_eq!(plain.status, traced.status);
}

/// Whether some event of the trace is like that.
pub(crate) fn has(trace: &Trace, like: impl Fn(&Event) -> bool) -> bool {
    trace.events().any(like)
}

pub(crate) fn opened(trace: &Trace, path: &Path, ok: bool) -> bool {
    has(
        trace,
        |e| matches!(e, Event::Opened { path: p, result, .. } if p == path && result.is_ok() == ok),
    )
}

pub(crate) fn read_env(trace: &Trace, name: &str, value: Option<&str>) -> bool {
    has(trace, |e| match e {
        Event::EnvRead { name: n, value: v } => {
            n == name
                && match (v, value) {
                    (Some(mark), Some(value)) => mark.matches(OsStr::new(value)),
                    (None, None) => true,
                    _ => false,
                }
        }
        _ => false,
    })
}
