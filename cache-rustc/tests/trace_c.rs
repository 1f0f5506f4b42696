//! A C program makes every call the tracer interposes: each must be in the trace, with its result, and the
//! program must not notice.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod trace_support;

use cache_rustc::trace::{EscapeReason, Event, FileKind, Injection, Peer, Trace};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use trace_support::*;

const OPENS: &[&str] = &[
    "open",
    "open64",
    "openat",
    "openat64",
    "__open",
    "__open64",
    "__open_2",
    "__open64_2",
    "__openat_2",
    "__openat64_2",
    "openat2",
    "syscall-openat",
    "syscall-open",
    "fopen",
    "freopen",
    "freopen64",
    "fopen64",
    "addopen",
    "after-close",
];
const STATS: &[&str] = &[
    "stat",
    "stat64",
    "fstatat",
    "fstatat64",
    "statx",
    "syscall-statx",
    "syscall-newfstatat",
    "__xstat",
    "__xstat64",
    "__lxstat",
    "__lxstat64",
    "__fxstatat",
    "__fxstatat64",
];
const CHECKS: &[&str] = &["access", "faccessat", "euidaccess", "eaccess"];
const REALPATHS: &[&str] = &["realpath", "__realpath_chk", "canonicalize_file_name"];
const LINKS: &[&str] = &[
    "readlink",
    "readlinkat",
    "__readlink_chk",
    "__readlinkat_chk",
    "lstat",
    "lstat64",
    "realpath",
];
const LISTS: &[&str] = &["opendir", "fdopendir", "scandir", "scandir64", "scandirat", "getdents"];
const WALKS: &[&str] = &["glob", "glob64", "ftw", "nftw", "fts_open"];
const STARTS: &[&str] = &[
    "execve",
    "execv",
    "execvp",
    "execvpe",
    "execl",
    "execlp",
    "execle",
    "fexecve",
    "execveat",
    "syscall-execve",
    "null-env",
    "failing",
    "vfork",
    "posix_spawn",
    "posix_spawnp",
    "addopen",
    "system",
    "popen",
    "closed",
];

/// The child prints its arguments and environment, and opens a file that tells which call started it.
const HI: &str = r#"
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
    char exe[4096]; int n = readlink("/proc/self/exe", exe, sizeof exe - 6); strcpy(exe + n, ".seen");
    close(open(exe, O_RDONLY));
    for (int i = 0; i < argc; i++) printf("%s ", argv[i]);
    for (char **e = environ; e && *e; e++) if (argc > 1) printf("%s ", *e);
    printf("\n");
    return argc;
}"#;

struct Run {
    dir: PathBuf,
    trace: Trace,
}

/// Makes a fresh working directory at the same place for each run.
fn prepare(dir: &Path, hi: &Path) {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir.join("dir")).unwrap();
    for name in OPENS.iter().chain(STATS).chain(CHECKS).chain(REALPATHS) {
        fs::write(dir.join(format!("in.{name}")), name).unwrap();
    }
    for name in LINKS {
        std::os::unix::fs::symlink("in.open", dir.join(format!("ln.{name}"))).unwrap();
    }
    for name in LISTS.iter().chain(WALKS) {
        fs::create_dir(dir.join(format!("dir.{name}"))).unwrap();
        fs::write(dir.join(format!("dir.{name}/file")), "").unwrap();
    }
    for name in STARTS {
        fs::copy(hi, dir.join(format!("hi.{name}"))).unwrap();
    }
}

fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .arg(dir)
        .env("TRACE_SET", "yes")
        .env("TRACE_SECURE", "")
        .env("HOME", "/nonexistent");
    command.env("PATH", format!("/usr/bin:/bin:{}", dir.display()));
    command
}

/// Runs the program plainly and traced; what it prints must not differ.
fn run(base: &Path) -> Run {
    let program = cc(base, "calls", include_str!("trace_support/calls.c"), &[]);
    let hi = cc(base, "hi", HI, &["-include", "string.h"]);
    let dir = base.join("wörk dir");
    prepare(&dir, &hi);
    let plain = command(&program, &dir).output().unwrap();
    assert_eq!(plain.status.code(), Some(42), "{}", String::from_utf8_lossy(&plain.stderr));
    prepare(&dir, &hi);
    let (traced, trace) = traced(base, &mut command(&program, &dir));
    assert_same(&plain, &traced);
    Run { dir, trace }
}

/// Each check names what it looks for.
#[test]
fn every_interposed_call_is_seen() {
    let base = tempfile::tempdir().unwrap();
    let run = run(base.path());
    let mut missing = Vec::new();
    let mut check = |what: String, found: bool| {
        if !found {
            missing.push(what);
        }
    };
    reading(&run, &mut check);
    listing(&run, &mut check);
    changing(&run, &mut check);
    reaching(&run, &mut check);
    starting(&run, &mut check);
    assert!(missing.is_empty(), "not in the trace: {missing:#?}");
}

fn reading(Run { dir, trace }: &Run, check: &mut impl FnMut(String, bool)) {
    let at = |kind: &str, name: &str| dir.join(format!("{kind}.{name}"));
    for name in OPENS {
        check(format!("open by {name}"), opened(trace, &at("in", name), true));
    }
    check("failed open".into(), opened(trace, &at("no", "open"), false));
    check("failed fopen".into(), opened(trace, &at("no", "fopen"), false));
    for name in ["creat", "creat64", "open", "fopen"] {
        let path = at("out", name);
        let like = |e: &Event| matches!(e, Event::Opened { path: p, flags, result: Ok(()) } if *p == path && flags.creates() && flags.writes());
        check(format!("created by {name}"), has(trace, like));
    }
    for name in ["mkstemp", "mkostemp", "mkstemps", "mkostemps"] {
        let prefix = format!("{name}.");
        let like = |e: &Event| matches!(e, Event::Opened { path, flags, .. } if flags.exclusive() && file_name(path).starts_with(&prefix) && !file_name(path).contains("XXX"));
        check(format!("temporary file by {name}"), has(trace, like));
    }
    let stat = |path: PathBuf, kind: FileKind| {
        has(
            trace,
            |e| matches!(e, Event::Stat { path: p, result: Ok(k), .. } if *p == path && *k == kind),
        )
    };
    for name in STATS {
        check(format!("stat by {name}"), stat(at("in", name), FileKind::Regular));
    }
    check("stat of directory".into(), stat(dir.join("dir"), FileKind::Directory));
    check(
        "lstat".into(),
        stat(at("ln", "lstat"), FileKind::Symlink) && stat(at("ln", "lstat64"), FileKind::Symlink),
    );
    let absent = |path: PathBuf| {
        has(
            trace,
            |e| matches!(e, Event::Stat { path: p, result: Err(e), .. } if *p == path && e.is_absent()),
        )
    };
    check("absent stat".into(), absent(at("no", "stat")) && absent(dir.join("in.stat/x")));
    for name in CHECKS {
        let path = at("in", name);
        check(
            format!("access by {name}"),
            has(trace, |e| matches!(e, Event::Checked { path: p, result: Ok(()) } if *p == path)),
        );
    }
    for name in ["readlink", "readlinkat", "__readlink_chk", "__readlinkat_chk"] {
        let path = at("ln", name);
        let like = |e: &Event| matches!(e, Event::LinkRead { path: p, result: Ok(t) } if *p == path && t == Path::new("in.open"));
        check(format!("link read by {name}"), has(trace, like));
    }
    let resolved = |from: PathBuf, to: PathBuf| {
        has(
            trace,
            |e| matches!(e, Event::Resolved { path, result: Ok(p) } if *path == from && *p == to),
        )
    };
    for name in REALPATHS {
        check(format!("path resolved by {name}"), resolved(at("in", name), at("in", name)));
    }
    check("link resolved".into(), resolved(at("ln", "realpath"), at("in", "open")));
    check("getenv".into(), read_env(trace, "TRACE_SET", Some("yes")));
    check("getenv of unset".into(), read_env(trace, "TRACE_UNSET", None));
    check("secure_getenv".into(), read_env(trace, "TRACE_SECURE", Some("")));
    check("own value".into(), read_env(trace, "TRACE_OWN", Some("mine")));
    check(
        "tracer hidden".into(),
        read_env(trace, "LD_PRELOAD", None) && read_env(trace, "LARDER_TRACE_LOG", None),
    );
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn listing(Run { dir, trace }: &Run, check: &mut impl FnMut(String, bool)) {
    for name in LISTS {
        let path = dir.join(format!("dir.{name}"));
        check(
            format!("listed by {name}"),
            has(trace, |e| matches!(e, Event::Listed { path: p, result: Ok(()) } if *p == path)),
        );
    }
    let path = dir.join("no.opendir");
    check(
        "absent directory".into(),
        has(
            trace,
            |e| matches!(e, Event::Listed { path: p, result: Err(e) } if *p == path && e.is_absent()),
        ),
    );
    for name in WALKS {
        let path = dir.join(format!("dir.{name}"));
        check(
            format!("walked by {name}"),
            has(trace, |e| matches!(e, Event::Walked { path: p } if p.starts_with(&path))),
        );
    }
}

fn changing(Run { dir, trace }: &Run, check: &mut impl FnMut(String, bool)) {
    let mut one = |what: &str, event: Event| check(what.into(), has(trace, |e| *e == event));
    let at = |name: &str| dir.join(name);
    one("mkdir", Event::DirMade { path: at("new.mkdir") });
    one("mkdirat", Event::DirMade { path: at("new.mkdirat") });
    one("syscall mkdirat", Event::DirMade { path: at("new.syscall") });
    one("rename", Event::Renamed { from: at("a"), to: at("a.rename") });
    one("renameat", Event::Renamed { from: at("a.rename"), to: at("a.renameat") });
    one("renameat2", Event::Renamed { from: at("a.renameat"), to: at("a.renameat2") });
    one("syscall renameat2", Event::Renamed { from: at("a.renameat2"), to: at("a.syscall") });
    one("link", Event::HardLinked { from: at("a.renameat2"), to: at("a.link") });
    one("linkat", Event::HardLinked { from: at("a.link"), to: at("a.linkat") });
    for name in ["a.symlink", "a.symlinkat"] {
        one(name, Event::Symlinked { path: at(name), target: "to/nowhere".into() });
    }
    one("truncate", Event::Truncated { path: at("a.link") });
    one("truncate64", Event::Truncated { path: at("a.linkat") });
    for name in ["a.link", "a.linkat", "a.symlink", "new.mkdir", "new.syscall"] {
        one(name, Event::Removed { path: at(name) });
    }
    one("chdir", Event::DirChanged { path: at("dir") });
    one("fchdir", Event::DirChanged { path: dir.clone() });
    let made = |e: &Event| matches!(e, Event::DirMade { path } if file_name(path).starts_with("mkdtemp.") && !file_name(path).contains("XXX"));
    let refused = |name: &str, errno: u16| {
        has(
            trace,
            |e| matches!(e, Event::Checked { path, result: Err(e) } if *path == dir.join(name) && e.0 == errno),
        )
    };
    check("failed unlink".into(), refused("a.link", 2));
    check("failed mkdir".into(), refused("dir", 17));
    check("mkdtemp".into(), has(trace, made));
}

fn reaching(Run { dir, trace }: &Run, check: &mut impl FnMut(String, bool)) {
    let mut peer = |what: Peer| {
        check(
            format!("{what:?}"),
            has(trace, |e| matches!(e, Event::Connected { peer, .. } if *peer == what)),
        );
    };
    peer(Peer::Unix(dir.join("no.socket")));
    peer(Peer::Ip("127.0.0.1:1".parse().unwrap()));
    peer(Peer::Ip("[::1]:2".parse().unwrap()));
    peer(Peer::Ip("127.0.0.1:9".parse().unwrap()));
    peer(Peer::Name("host.invalid".into()));
    check(
        "dlopen by name".into(),
        has(trace, |e| *e == Event::DlOpen { path: "libm.so.6".into() }),
    );
    let absent = dir.join("./no.so");
    check("dlopen by path".into(), has(trace, |e| *e == Event::DlOpen { path: absent.clone() }));
    let loaded =
        |name: &str| has(trace, |e| matches!(e, Event::Loaded { path } if file_name(path) == name));
    check("start-up object".into(), loaded("libc.so.6"));
    check("dlopened object".into(), loaded("libm.so.6"));
}

fn starting(Run { dir, trace }: &Run, check: &mut impl FnMut(String, bool)) {
    for name in STARTS {
        let exe = dir.join(format!("hi.{name}"));
        let began = trace.processes.iter().filter(|p| p.exe == exe).count();
        check(format!("{name} started once, not {began} times"), began == 1);
        check(
            format!("the child of {name} is traced"),
            opened(trace, &dir.join(format!("hi.{name}.seen")), false),
        );
        // What a shell starts, or a descriptor names, has the same path once written plainly.
        let told = |e: &Event| matches!(e, Event::Exec { path, injected: Injection::Traced, .. } if path.components().eq(exe.components()));
        check(format!("exec by {name}"), has(trace, told));
    }
    check("root".into(), trace.processes.first().is_some_and(|p| file_name(&p.exe) == "calls"));
    let shells = trace
        .processes
        .iter()
        .filter(|p| ["dash", "bash", "sh"].contains(&&*file_name(&p.exe)))
        .count();
    check(format!("a shell each for system and popen, not {shells}"), shells == 2);
    let hidden =
        |e: &cache_rustc::trace::Escape| e.reason == EscapeReason::Hidden("wordexp".into());
    check(
        format!("only wordexp is unseen: {:?}", trace.escaped),
        trace.escaped.len() == 1 && trace.escaped.iter().all(hidden),
    );
}
