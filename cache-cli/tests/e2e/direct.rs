//! The wrapper called by hand, outside cargo, and compilers that end oddly.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::harness::{LARDER, Lab, Run, app, sysroot, write_program};

/// Runs `rustc ARGS` in `dir`, through the wrapper or not, with `stdin`.
fn rustc(lab: &Lab, wrapped: bool, dir: &Path, args: &[&str], stdin: &str) -> Output {
    let compiler = sysroot().join("bin/rustc");
    let mut command = if wrapped {
        let mut command = lab.command(LARDER);
        command.arg(compiler).env("LARDER_LOG", lab.root.join("log"));
        command
    } else {
        lab.command(compiler)
    };
    command.args(args).current_dir(dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn files_in(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let bytes = std::fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect();
    files.sort();
    files
}

/// The same call without the wrapper and twice through it, in one directory made by `fill`: the
/// same streams, exit code and files. With `LARDER_PATHS=exact` the files are the same bit for bit;
/// otherwise only their names are compared.
#[track_caller]
fn same(args: &[&str], stdin: &str, fill: impl Fn(&Path)) {
    for exact in [true, false] {
        let lab = Lab::new();
        if exact {
            lab.set_env("LARDER_PATHS", "exact");
        }
        let dir = lab.root.join("work");
        let mut seen = Vec::new();
        for wrapped in [false, true, true] {
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(&dir).unwrap();
            fill(&dir);
            let out = rustc(&lab, wrapped, &dir, args, stdin);
            let mut files = files_in(&dir);
            if !exact {
                files.iter_mut().for_each(|(_, bytes)| bytes.clear());
            }
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            seen.push((out.status.code(), text(&out.stdout), text(&out.stderr), files));
        }
        for through in &seen[1..] {
            assert_eq!(seen[0].0, through.0, "{args:?}: {} {}", seen[0].2, through.2);
            assert_eq!((&seen[0].1, &seen[0].2), (&through.1, &through.2), "{args:?}");
            let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
                files.iter().map(|(name, _)| name.clone()).collect()
            };
            assert_eq!(names(&seen[0].3), names(&through.3), "{args:?}");
            assert!(seen[0].3 == through.3, "{args:?}: bit for bit");
        }
    }
}

fn a_lib(dir: &Path) {
    std::fs::write(dir.join("a.rs"), "pub fn f() -> u8 { let unused = 1; 2 }\n").unwrap();
}

#[test]
fn source_on_standard_input() {
    same(&["-", "--crate-name", "x", "--crate-type", "lib"], "pub fn f() {}\n", |_| {});
    same(&["-", "--crate-name", "x", "--crate-type", "lib"], "not Rust", |_| {});
}

#[test]
fn an_output_name() {
    same(&["a.rs", "--crate-type", "lib", "-o", "named.rlib"], "", a_lib);
    same(&["a.rs", "--crate-type=lib", "-onamed.rlib"], "", a_lib);
}

#[test]
fn emit_with_and_without_paths() {
    for emit in [
        "--emit=metadata=x.rmeta",
        "--emit=metadata",
        "--emit=dep-info,metadata,link",
        "--emit=dep-info=sub.d,link",
        "--emit=asm,llvm-ir,obj",
        "--emit=mir",
        "--emit=metadata=-",
        "--emit=dep-info=-",
    ] {
        same(&["a.rs", "--crate-type", "lib", emit], "", a_lib);
    }
}

#[test]
fn arguments_in_a_file() {
    same(&["@args"], "", |dir| {
        a_lib(dir);
        std::fs::write(dir.join("args"), "a.rs\n--crate-type\nlib\n--emit=metadata,link\n")
            .unwrap();
    });
    same(&["@missing", "a.rs"], "", a_lib);
}

#[test]
fn human_readable_diagnostics_and_colours() {
    same(&["a.rs", "--crate-type", "lib", "--color=always"], "", a_lib);
    same(&["a.rs", "--crate-type", "lib", "--error-format=short"], "", a_lib);
    same(&["a.rs", "--crate-type", "lib", "--error-format=json"], "", a_lib);
    same(&["a.rs", "--crate-type", "lib", "--diagnostic-width=20"], "", a_lib);
}

#[test]
fn mistakes_on_the_command_line() {
    for args in [
        &["a.rs", "--nonsense"][..],
        &["missing.rs", "--crate-type", "lib"],
        &["a.rs", "--crate-type", "nonsense"],
        &["a.rs", "--extern", "b=missing.rlib", "--crate-type", "lib"],
        &["a.rs", "-C", "opt-level=9", "--crate-type", "lib"],
        &[],
        &["--help"],
        &["--print", "cfg"],
        &["--explain", "E0308"],
        &["a.rs", "--crate-type", "lib", "--out-dir", "missing/dir"],
    ] {
        same(args, "", a_lib);
    }
}

#[test]
fn calls_by_hand_hit_as_well() {
    let lab = Lab::new();
    for (dir, result) in [("p", "result=miss"), ("q", "result=hit")] {
        let dir = lab.root.join(dir);
        std::fs::create_dir_all(&dir).unwrap();
        a_lib(&dir);
        let args = [
            "a.rs",
            "--crate-name=a",
            "--crate-type=lib",
            "--error-format=json",
            "--emit=dep-info,metadata,link",
        ];
        assert!(rustc(&lab, true, &dir, &args, "").status.success());
        let log = std::fs::read_to_string(lab.root.join("log")).unwrap();
        assert!(log.lines().last().unwrap().contains(result), "{log}");
    }
}

/// Compiles `a.rs` by hand, again and again in one directory and then in another: each content,
/// through the wrapper or not. cargo removes a library before it has it made again; others do not.
fn again_and_again(calls: &[(&str, bool)]) {
    let lab = Lab::new();
    let emit = "--emit=dep-info,metadata,link";
    let args = ["a.rs", "--crate-name=a", "--crate-type=lib", "--error-format=json", emit];
    for name in ["p", "q"] {
        let dir = lab.root.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        for (value, wrapped) in calls {
            let source = format!("pub fn f() -> u8 {{ {value} }}\n");
            std::fs::write(dir.join("a.rs"), source).unwrap();
            let out = rustc(&lab, *wrapped, &dir, &args, "");
            let said = String::from_utf8_lossy(&out.stderr);
            assert!(out.status.success(), "{name} {value} {wrapped}: {said}");
        }
    }
}

#[test]
fn a_later_call_overwrites_what_an_earlier_one_left() {
    again_and_again(&[("1", true), ("2", true), ("1", true), ("1", true)]);
}

#[test]
fn a_later_call_without_the_wrapper_overwrites_what_it_left() {
    again_and_again(&[("1", true), ("2", false), ("1", true)]);
}

/// A compiler that does something odd instead of compiling `leaf`.
fn odd_compiler(lab: &Lab, oddity: &str) {
    let script = lab.root.join("odd-rustc");
    let rustc = sysroot().join("bin/rustc");
    let text = format!(
        "#!/bin/sh\ncase \" $* \" in *' --crate-name leaf '*) {oddity};; esac\nexec '{}' \"$@\"\n",
        rustc.display()
    );
    write_program(&script, text);
    lab.set_env("RUSTC", script);
}

/// cargo shows the whole command line of a compiler that died, with what the wrapper is called.
fn without_commands(run: &Run) -> Vec<String> {
    let command = |line: &&str| !line.contains("--crate-name");
    run.stderr.lines().filter(command).map(str::to_owned).collect()
}

#[test]
fn a_compiler_that_is_killed_or_fails_oddly() {
    for (oddity, shown) in [
        ("kill -9 $$", "signal: 9"),
        ("kill -ABRT $$", "signal: 6"),
        ("echo 'error: internal compiler error' >&2; exit 101", "internal compiler error"),
        ("printf 'no line end' >&2; exit 7", "no line end"),
        ("exit 0", ""),
    ] {
        let lab = Lab::new();
        odd_compiler(&lab, oddity);
        let mut seen = Vec::new();
        for checkout in [lab.plain("p/ws", &app()), lab.checkout("l/ws", &app())] {
            let run = checkout.cargo(&["build", "-p", "leaf"]);
            assert!(run.stderr.contains(shown), "{oddity}: {}", run.describe());
            let place = checkout.root.display().to_string();
            let lines: Vec<_> =
                without_commands(&run).iter().map(|line| line.replace(&place, "")).collect();
            let lines: Vec<_> =
                lines.into_iter().filter(|line| !line.contains("Finished")).collect();
            seen.push((run.status.code(), lines));
        }
        assert_eq!(seen[0], seen[1], "{oddity}");
    }
}

#[test]
fn a_compiler_that_talks() {
    let lab = Lab::new();
    odd_compiler(&lab, "echo on stdout; echo on stderr >&2");
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.cargo(&["build", "-p", "leaf"]).good();
        checkout.cargo(&["build", "-p", "leaf"]).good();
    });
    assert!(second.runs()[0].stderr.contains("on stderr"));
}

#[test]
fn a_missing_compiler() {
    let lab = Lab::new();
    let out = |wrapped: bool| {
        let mut command = if wrapped { lab.command(LARDER) } else { Command::new("true") };
        command.args(["/missing/rustc", "a.rs", "--crate-type", "lib"]).current_dir(&lab.root);
        command.output().unwrap()
    };
    assert_ne!(out(true).status.code(), Some(0));
}
