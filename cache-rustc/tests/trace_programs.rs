//! Real programs under the tracer: a Rust program with the standard library's own calls, shells and tools,
//! programs that cannot carry the tracer, and what a traced program can see of it.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod trace_support;

use cache_rustc::trace::{
    EscapeReason, Event, FileKind, Injection, TraceError, Tracer, Unavailable, imports_environ,
};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use trace_support::*;

const RUST: &str = r#"
use std::{env, fs, process::Command, io::Read};
fn main() {
    let mut text = String::new();
    fs::File::open("read.txt").unwrap().read_to_string(&mut text).unwrap();
    print!("{text}{}", fs::read_to_string("sub/../read2.txt").unwrap());
    println!("{:?}", fs::read("absent.txt").map_err(|e| e.raw_os_error()));
    println!("{:?} {:?}", fs::metadata("stat.txt").unwrap().len(), fs::symlink_metadata("link").unwrap().is_symlink());
    println!("{:?} {:?}", std::path::Path::new("exists-not").exists(), fs::read_link("link"));
    println!("{}", fs::read_dir("sub").unwrap().count());
    println!("{:?}", fs::canonicalize("link").unwrap().file_name());
    fs::write("written.txt", "x").unwrap();
    fs::copy("copied.txt", "copy.txt").unwrap();
    fs::rename("copy.txt", "renamed.txt").unwrap();
    fs::create_dir_all("made/deep").unwrap();
    fs::remove_dir_all("made").unwrap();
    println!("{:?} {:?}", env::var("TRACED_SET"), env::var("TRACED_UNSET"));
    let threads: Vec<_> = (0..8).map(|t| std::thread::spawn(move || for i in 0..200 { let _ = fs::metadata(format!("thread-{t}-{i}")); })).collect();
    for t in threads { t.join().unwrap(); }
    let out = |c: &mut Command| println!("{}", String::from_utf8_lossy(&c.output().unwrap().stdout));
    out(Command::new("sh").arg("-c").arg("cat child-inherit.txt"));
    out(Command::new("/bin/cat").env_clear().arg("child-cleared.txt"));
    out(Command::new("cat").env("EXTRA", "1").current_dir("sub").arg("child-cwd.txt"));
    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut Command::new("cat"), || Ok(())).arg("child-forked.txt").status().unwrap(); }
    println!("{:?}", Command::new("/no/such/program").spawn().map_err(|e| e.raw_os_error()).err());
    let mut all: Vec<_> = env::vars_os().collect();
    all.sort();
    println!("{all:?}");
    std::process::exit(3);
}"#;

#[test]
fn a_rust_program_is_seen_and_notices_nothing() {
    let base = tempfile::tempdir().unwrap();
    let program = rustc(base.path(), "program", RUST, &[]);
    let dir = base.path().join("work");
    fs::create_dir_all(dir.join("sub")).unwrap();
    for name in [
        "read.txt",
        "read2.txt",
        "stat.txt",
        "copied.txt",
        "child-inherit.txt",
        "child-cleared.txt",
        "child-forked.txt",
    ] {
        fs::write(dir.join(name), name).unwrap();
    }
    fs::write(dir.join("sub/child-cwd.txt"), "cwd").unwrap();
    std::os::unix::fs::symlink("read.txt", dir.join("link")).unwrap();
    let command = || {
        let mut c = Command::new(&program);
        c.current_dir(&dir).env("TRACED_SET", "so").env_remove("TRACED_UNSET");
        c
    };
    let plain = command().output().unwrap();
    assert_eq!(plain.status.code(), Some(3), "{}", String::from_utf8_lossy(&plain.stderr));
    let (with, trace) = traced(base.path(), &mut command());
    assert_same(&plain, &with);

    for name in [
        "read.txt",
        "sub/../read2.txt",
        "copied.txt",
        "child-inherit.txt",
        "child-cleared.txt",
        "sub/child-cwd.txt",
        "child-forked.txt",
    ] {
        assert!(opened(&trace, &dir.join(name), true), "{name} was opened");
    }
    assert!(opened(&trace, &dir.join("absent.txt"), false));
    let stat = |name: &str| {
        trace.events().find_map(|e| match e {
            Event::Stat { path, result, .. } if *path == dir.join(name) => Some(*result),
            _ => None,
        })
    };
    assert_eq!(stat("stat.txt"), Some(Ok(FileKind::Regular)));
    assert_eq!(stat("link"), Some(Ok(FileKind::Symlink)));
    assert!(stat("exists-not").unwrap().unwrap_err().is_absent());
    let asked: BTreeSet<_> = (0..8)
        .flat_map(|t| (0..200).map(move |i| format!("thread-{t}-{i}")))
        .filter(|n| stat(n).is_some())
        .collect();
    assert_eq!(asked.len(), 1600, "events of all threads are logged whole");
    assert!(has(&trace, |e| *e == Event::Listed { path: dir.join("sub"), result: Ok(()) }));
    assert!(has(&trace, |e| *e
        == Event::LinkRead { path: dir.join("link"), result: Ok("read.txt".into()) }));
    assert!(has(
        &trace,
        |e| matches!(e, Event::Resolved { path, result: Ok(to) } if *path == dir.join("link") && to.ends_with("read.txt"))
    ));
    assert!(has(&trace, |e| *e
        == Event::Renamed { from: dir.join("copy.txt"), to: dir.join("renamed.txt") }));
    let wrote = |e: &Event| matches!(e, Event::Opened { path, flags, .. } if *path == dir.join("written.txt") && flags.truncates() && flags.creates());
    assert!(has(&trace, wrote));
    assert!(read_env(&trace, "TRACED_SET", Some("so")) && read_env(&trace, "TRACED_UNSET", None));
    assert_eq!(trace.escaped, []);
    assert_eq!(trace.processes.len(), 6, "{:#?}", trace.processes);
}

/// Every variable as `env` prints it, in order.
#[test]
fn the_environment_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    let other = cc(dir.path(), "other.so", "int other;", &["-shared", "-fPIC"]);
    for preload in [None, Some(""), other.to_str()] {
        let command = || {
            let mut c = Command::new("env");
            c.env("AAA", "first").env("ZZZ", "last");
            if let Some(p) = preload {
                c.env("LD_PRELOAD", p);
            }
            c
        };
        let plain = command().output().unwrap();
        let (with, trace) = traced(dir.path(), &mut command());
        assert_same(&plain, &with);
        assert_eq!(trace.escaped, []);
        let loaded = has(&trace, |e| matches!(e, Event::Loaded { path } if *path == other));
        assert_eq!(loaded, preload == other.to_str(), "the user's own preload is in force");
    }
}

#[test]
fn a_users_preload_reaches_grandchildren_behind_the_tracer() {
    let dir = tempfile::tempdir().unwrap();
    let other = cc(dir.path(), "other.so", "int other;", &["-shared", "-fPIC"]);
    let mut shell = Command::new("sh");
    shell.env("LD_PRELOAD", &other).args(["-c", "sh -c 'env | grep LD_PRELOAD; true'; true"]);
    let (output, trace) = traced(dir.path(), &mut shell);
    assert_eq!(output.stdout, format!("LD_PRELOAD={}\n", other.display()).as_bytes());
    assert_eq!(trace.escaped, []);
    assert!(trace.processes.len() >= 4);
}

#[test]
fn what_cannot_carry_the_tracer_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let hello = "#include <stdio.h>\nint main() { puts(\"hi\"); }";
    let program = cc(dir.path(), "static", hello, &["-static"]);
    let script = dir.path().join("script");
    write_program(&script, format!("#!{}\n", program.display()));
    for start in [&program, &script] {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("'{}'; echo $?", start.display()));
        let (output, trace) = traced(dir.path(), &mut shell);
        assert_eq!(output.stdout, b"hi\n0\n");
        assert_eq!(output.stderr, b"", "no loader complains");
        let [escape] = &trace.escaped[..] else { panic!("{:?}", trace.escaped) };
        assert_eq!(&escape.path, start);
        assert_eq!(escape.reason, EscapeReason::NotInjected(Injection::Static));
    }
    // A program of another loader, as one of another C library.
    let foreign =
        cc(dir.path(), "foreign", hello, &["-Wl,--dynamic-linker=/tmp/no-such-loader.so"]);
    let (_, trace) = traced(
        dir.path(),
        Command::new("sh").arg("-c").arg(format!("'{}'; true", foreign.display())),
    );
    // The kernel refuses it, so it is no escape; told all the same.
    assert!(has(
        &trace,
        |e| matches!(e, Event::Exec { path, injected: Injection::Foreign, .. } if *path == foreign)
    ));
    let tracer = tracer(dir.path());
    for bad in [&program, &script, &foreign, &dir.path().join("static.c")] {
        assert!(
            matches!(tracer.can_trace(bad), Err(Unavailable::Program { .. })),
            "{}",
            bad.display()
        );
    }
    tracer.can_trace(Path::new("/bin/sh")).unwrap();
}

#[test]
fn a_child_that_drops_the_tracer_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let mut env = Command::new("env");
    env.args(["LARDER_TRACE_LOG=/nowhere", "cat", "/dev/null"]);
    let (_, trace) = traced(dir.path(), &mut env);
    assert_eq!(trace.escaped.len(), 1);
    assert_eq!(trace.escaped[0].reason, EscapeReason::NotInjected(Injection::Nested));
}

#[test]
fn a_static_root_is_not_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let program = cc(dir.path(), "static", "int main() { return 0; }", &["-static"]);
    let session = tracer(dir.path()).session(&dir.path().join("log")).unwrap();
    let mut command = Command::new(program);
    session.apply(&mut command);
    assert!(command.status().unwrap().success());
    assert!(matches!(session.finish(), Err(TraceError::NotInForce)));
}

#[test]
fn events_that_cannot_be_written_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    // No descriptor is left, the held one is closed.
    let program = cc(
        dir.path(),
        "full",
        r#"
        #include <fcntl.h>
        #include <unistd.h>
        #include <sys/resource.h>
        int main() { struct rlimit r = { 4, 4 }; setrlimit(RLIMIT_NOFILE, &r);
            for (int i = 3; i < 1100; i++) close(i);
            while (open("/dev/null", O_RDONLY) >= 0); access("/lost", 0); return 0; }"#,
        &[],
    );
    let session = tracer(dir.path()).session(&dir.path().join("log")).unwrap();
    let mut command = Command::new(program);
    session.apply(&mut command);
    assert!(command.status().unwrap().success());
    assert!(matches!(session.finish(), Err(TraceError::Lost)));
}

#[test]
fn the_object_is_put_back_when_missing_or_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let object = tracer(dir.path()).object().to_owned();
    let good = fs::read(&object).unwrap();
    fs::write(&object, "rubbish").unwrap();
    tracer(dir.path());
    assert_eq!(fs::read(&object).unwrap(), good);
    fs::remove_file(&object).unwrap();
    tracer(dir.path());
    assert_eq!(fs::read(&object).unwrap(), good);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left there");
}

#[test]
fn odd_paths_are_no_obstacle() {
    let base = tempfile::tempdir().unwrap();
    let odd = base.path().join(std::ffi::OsStr::from_bytes(b"a b:c$d\xff"));
    fs::create_dir(&odd).unwrap();
    let file = odd.join(std::ffi::OsStr::from_bytes(b"f\xfe"));
    fs::write(&file, "x").unwrap();
    let (output, trace) = traced(&odd, Command::new("cat").arg(&file));
    assert_eq!(output.stdout, b"x");
    assert!(opened(&trace, &file, true));
    assert!(!Tracer::available(&odd).unwrap().object().starts_with(&odd));
}

#[test]
fn reading_the_whole_environment_shows_in_the_symbols() {
    let dir = tempfile::tempdir().unwrap();
    let one =
        "#[unsafe(no_mangle)] pub extern \"C\" fn f() -> bool { std::env::var(\"A\").is_ok() }";
    let all = "#[unsafe(no_mangle)] pub extern \"C\" fn f() -> usize { std::env::vars().count() }";
    let flags = ["--crate-type=cdylib", "-O"];
    assert!(!imports_environ(&rustc(dir.path(), "one.so", one, &flags)).unwrap());
    assert!(imports_environ(&rustc(dir.path(), "all.so", all, &flags)).unwrap());
    assert!(imports_environ(&dir.path().join("one.so.rs")).is_err());
    assert!(imports_environ(&dir.path().join("absent")).is_err());
}

#[test]
fn a_process_left_behind_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let script = "mkfifo up never; \
        sh -c 'echo > up; read x < never' >/dev/null 2>&1 & \
        read x < up; echo $!";
    let mut shell = Command::new("sh");
    shell.current_dir(dir.path()).args(["-c", script]);
    let (output, trace) = traced(dir.path(), &mut shell);
    let pid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let _ = Command::new("kill").arg(&pid).status();
    let [escape] = &trace.escaped[..] else { panic!("{:?}", trace.escaped) };
    assert_eq!(escape.pid.to_string(), pid);
    assert_eq!(escape.reason, EscapeReason::StillRunning);
}

/// An allocator may read its settings, while it holds its lock, before any constructor of the tracer ran.
#[test]
fn an_allocator_that_reads_its_settings_is_no_trap() {
    let dir = tempfile::tempdir().unwrap();
    let source = r#"
        #include <fcntl.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        static char heap[1 << 24]; static size_t used; static int locked;
        static void *take(size_t n) {
            if (locked) _exit(55);
            locked = 1;
            char b[99];
            if (!used) { secure_getenv("ALLOCATOR"); readlink("/etc/allocator.conf", b, sizeof b); open("/etc/allocator.conf", 0); }
            void *p = heap + used; used += (n + 31) / 16 * 16; *(size_t *)p = n;
            locked = 0;
            return (char *)p + 16;
        }
        void *malloc(size_t n) { return take(n); }
        void *calloc(size_t a, size_t b) { return take(a * b); }
        void *realloc(void *p, size_t n) { void *q = take(n); if (p) { size_t o = *(size_t *)((char *)p - 16); memcpy(q, p, o < n ? o : n); } return q; }
        void free(void *p) {}
        int main() { return used ? 7 : 8; }"#;
    let flags = ["-rdynamic", "-Wl,--no-as-needed", "-lstdc++"];
    let program = cc(dir.path(), "allocator", source, &flags);
    assert_eq!(Command::new(&program).status().unwrap().code(), Some(7));
    let (output, trace) = traced(dir.path(), &mut Command::new(&program));
    assert_eq!(output.status.code(), Some(7));
    assert!(read_env(&trace, "ALLOCATOR", None));
    assert!(opened(&trace, Path::new("/etc/allocator.conf"), false));
}
