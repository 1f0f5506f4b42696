//! Completeness: real compiles and links run under the tracer and under `strace -f` at once. Every file that
//! strace saw opened must be in the trace, but for what the dynamic loader and the C library open by
//! themselves.
//!
//! Needs strace (a Debian package of that name), the right to use it, and crates.io or a filled cargo cache;
//! skips with a message otherwise, and fails instead if `LARDER_REQUIRE_STRACE=1`.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod trace_support;

use cache_rustc::trace::{Event, Trace};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use trace_support::*;

/// The crates to watch: a proc macro (compiled and linked), its user, a build script, a program linked by `cc`.
const WATCHED: &[&str] = &["serde_derive", "consumer", "build_script_build", "app"];

const MANIFEST: &str = r#"
[package]
name = "app"
version = "0.1.0"
edition = "2021"
[lib]
name = "consumer"
path = "src/lib.rs"
[dependencies]
serde = { version = "1", features = ["derive"] }
[workspace]
"#;

const LIB: &str = r#"
mod inner;
pub const TEXT: &str = include_str!("text.txt");
pub const BUILT: &str = include_str!(concat!(env!("OUT_DIR"), "/built.txt"));
#[derive(serde::Serialize, serde::Deserialize)]
pub struct S { pub a: u32, pub b: inner::T }
"#;

/// Runs rustc for a watched crate under both; for any other crate, plainly.
const WRAPPER: &str = r#"#!/bin/sh
case " $* " in *" --crate-name build_script_build "*app*) name=build_script_build;; *" --crate-name build_script_build "*) exec "$@";;
*) name=$(printf '%s\n' "$*" | sed -n 's/.*--crate-name \([a-z_]*\) .*/\1/p');; esac
[ -f "LOGS/$name.log" ] || exec "$@"
exec strace -f -qq -y -s 4096 -e trace=open,openat,openat2,creat -o "LOGS/$name.strace" \
    -E "LARDER_TRACE_LOG=LOGS/$name.log" -E "LD_PRELOAD=OBJECT" "$@"
"#;

/// Files that the dynamic loader or the C library opens on its own account.
fn private(path: &Path, own: &Path) -> bool {
    const TREES: &[&str] = &["/proc", "/dev", "/usr/lib/locale", "/usr/share/locale"];
    const FILES: &[&str] = &[
        "/etc/ld.so.cache",
        "/etc/ld.so.preload",
        "/etc/nsswitch.conf",
        "/etc/passwd",
        "/etc/localtime",
    ];
    TREES.iter().any(|tree| path.starts_with(tree))
        || FILES.iter().any(|file| path == Path::new(file))
        || path.ends_with("gconv/gconv-modules.cache")
        || path.starts_with(own)
}

/// The files opened, as `strace -y` names them: `= 3</path>`.
fn seen_by_strace(output: &str) -> BTreeSet<PathBuf> {
    let path = |line: &str| {
        let (_, result) = line.rsplit_once(" = ")?;
        let (fd, path) = result.split_once('<')?;
        fd.parse::<u32>().ok()?;
        let path = path.strip_suffix('>')?.trim_end_matches(">(deleted)");
        path.starts_with('/').then(|| path.into()) // else a pipe, as of cargo's job server
    };
    output.lines().filter_map(path).collect()
}

/// The same by the tracer: as written (without `.` and `..`), and as the file system has it.
fn seen_by_tracer(trace: &Trace) -> BTreeSet<PathBuf> {
    let mut seen = BTreeSet::new();
    for event in trace.events() {
        let (Event::Opened { path, result: Ok(()), .. }
            | Event::Listed { path, result: Ok(()) }
            | Event::Loaded { path }
            // Opened by the tracer itself, to see whether it can go along.
            | Event::Exec { path, .. }
            | Event::Started { exe: path, .. }) = event
        else {
            continue;
        };
        seen.extend(fs::canonicalize(path));
        let mut plain = PathBuf::new();
        for part in path.components() {
            if part == Component::ParentDir {
                plain.pop();
            } else {
                plain.push(part);
            }
        }
        seen.insert(plain);
    }
    seen
}

fn skip(why: &str) {
    assert!(std::env::var_os("LARDER_REQUIRE_STRACE").is_none_or(|v| v != "1"), "{why}");
    eprintln!("skipped: {why}");
}

fn project(dir: &Path) {
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
    fs::create_dir_all(dir.join("src")).unwrap();
    write("Cargo.toml", MANIFEST);
    write("src/lib.rs", LIB);
    write(
        "src/inner.rs",
        "#[derive(serde::Serialize, serde::Deserialize)] pub struct T(pub String);",
    );
    write("src/text.txt", "text");
    write("src/main.rs", "fn main() { println!(\"{}{}\", consumer::TEXT, consumer::BUILT) }");
    write(
        "build.rs",
        "fn main() { std::fs::write(std::env::var(\"OUT_DIR\").unwrap() + \"/built.txt\", \"b\").unwrap() }",
    );
}

#[test]
fn nothing_that_strace_sees_is_missing() {
    let works =
        Command::new("strace").args(["-f", "-qq", "-y", "-o", "/dev/null", "true"]).output();
    if !works.is_ok_and(|o| o.status.success()) {
        return skip("strace is missing or not allowed");
    }
    let base = tempfile::tempdir().unwrap();
    let base = base.path().canonicalize().unwrap();
    let (dir, own) = (base.join("project"), base.join("tracer"));
    project(&dir);
    fs::create_dir(&own).unwrap();
    let tracer = tracer(&own);
    let sessions: Vec<_> = WATCHED
        .iter()
        .map(|name| tracer.session(&own.join(format!("{name}.log"))).unwrap())
        .collect();
    let wrapper = own.join("wrapper");
    let script = WRAPPER
        .replace("LOGS", own.to_str().unwrap())
        .replace("OBJECT", tracer.object().to_str().unwrap());
    write_program(&wrapper, script);

    let mut cargo = Command::new("cargo");
    cargo
        .arg("build")
        .current_dir(&dir)
        .env("CARGO_TARGET_DIR", dir.join("target"))
        .env("RUSTC_WRAPPER", &wrapper);
    let fetched = Command::new("cargo").arg("fetch").current_dir(&dir).output().unwrap();
    if !fetched.status.success() {
        return skip("the dependencies of the test project cannot be fetched");
    }
    succeed(&mut cargo);

    let mut missing = BTreeSet::new();
    let mut excepted = BTreeSet::new();
    for (name, session) in WATCHED.iter().zip(sessions) {
        let output = fs::read_to_string(own.join(format!("{name}.strace"))).unwrap();
        let trace = session.finish().unwrap();
        assert_eq!(trace.escaped, [], "{name}");
        let (strace, ours) = (seen_by_strace(&output), seen_by_tracer(&trace));
        assert!(strace.len() > 20, "strace saw something");
        eprintln!(
            "{name}: {} files by strace, {} by the tracer, {} processes",
            strace.len(),
            ours.len(),
            trace.processes.len()
        );
        for path in strace.difference(&ours) {
            let to = if private(path, &own) { &mut excepted } else { &mut missing };
            to.insert(format!("{name}: {}", path.display()));
        }
    }
    eprintln!("private to the loader and the C library: {excepted:#?}");
    assert!(missing.is_empty(), "strace saw, the tracer did not: {missing:#?}");
}
