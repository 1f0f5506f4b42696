use crate::support::{Home, Ran};

#[test]
fn a_misspelt_command_is_a_usage_error() {
    let home = Home::new();
    for args in [&["nonsense"][..], &["stast"], &["stats", "--nope"], &["why"], &[]] {
        let ran = home.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains("Usage: larder"), "{args:?}: {}", ran.err);
    }
    assert!(home.run(&["stast"]).err.contains("stats"), "a near name is suggested");
    assert!(!home.store().exists());
}

#[test]
fn help_and_version_succeed() {
    let home = Home::new();
    let help = home.run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for command in ["try", "setup", "stats", "why", "doctor", "gc", "verify", "key", "config"] {
        assert!(help.out.lines().any(|line| line.trim_start().starts_with(command)), "{command}");
    }
    let version = home.run(&["--version"]);
    assert_eq!(version.out, concat!("larder ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_compiler_that_is_not_there_exits_like_env() {
    let home = Home::new();
    let ran = home.run(&["/nonexistent/rustc", "-vV"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(127), ""));
    assert!(ran.err.starts_with("larder: cannot run /nonexistent/rustc: "), "{}", ran.err);
}

#[test]
fn the_compilers_streams_and_exit_code_are_passed_on_and_its_signal_too() {
    let home = Home::new();
    let script = home.write_program("rustc", "#!/bin/sh\necho out; echo err >&2; eval \"$DO\"\n");
    let run = |args: &[&str], act: &str| {
        let mut command = home.larder();
        command.arg(&script).args(args).env("DO", act);
        command.output().expect("larder runs")
    };
    let unit = ["--crate-name", "a", "--crate-type", "lib", "--emit=metadata", "a.rs"];
    for args in [&["-vV"][..], &unit] {
        let output = run(args, "exit 3");
        let ran = Ran::of(&output);
        assert_eq!((ran.code, ran.out, ran.err), (Some(3), "out\n".into(), "err\n".into()));
        let output = run(args, "kill -SEGV $$");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(11));
    }
}

#[test]
fn off_runs_the_compiler_and_leaves_no_trace() {
    let home = Home::new();
    let mut command = home.larder();
    let ran = Ran::of(&command.args(["rustc", "-vV"]).env("LARDER", "off").output().expect("runs"));
    assert!(ran.out.starts_with("rustc "), "{}", ran.out);
    assert!(!home.store().exists());
}

#[test]
fn who_reads_no_more_is_told_no_more() {
    let home = Home::new();
    for args in [&["config"][..], &["stats"], &["stats", "--json"], &["key", "new"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = home.larder().args(args).stdout(writer).output().expect("runs");
        let ran = Ran::of(&output);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_an_error() {
    let home = Home::new();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let output = home.larder().arg("config").stdout(full).output().expect("runs");
    let ran = Ran::of(&output);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.starts_with("larder: standard output: No space left"), "{}", ran.err);
}
