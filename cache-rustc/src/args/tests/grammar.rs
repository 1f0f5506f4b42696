//! Which argument is an option, which a value, which a file.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::args::table::{Arity, CODEGEN, LONG, SHORT};

#[test]
fn spellings_of_one_option_are_the_same() {
    let expected = lib("--codegen opt-level=3");
    for options in ["-C opt-level=3", "-Copt-level=3", "--codegen=opt-level=3", "-Copt_level=3"] {
        assert_eq!(lib(options), expected, "{options}");
    }
    assert_eq!(lib("-A x -Dy"), lib("--allow=x --deny y"));
    assert_eq!(lib("-gO"), lib("-g -O"));
    assert_eq!(lib("-gLdir"), lib("-g -L dir"));
    assert_eq!(lib("-lfoo -v"), lib("-l foo --verbose"));
}

#[test]
fn values_are_taken_as_they_come() {
    assert_eq!(keyed_options("--cfg --test"), ["--cfg --test"]);
    assert_eq!(keyed_options("-C metadata=-1 --cfg=a=b"), ["-C metadata -1", "--cfg a=b"]);
    assert_eq!(refused("--crate-name"), "missing-value: --crate-name");
    assert_eq!(refused("-C"), "missing-value: --codegen");
    assert_eq!(refused("--test=yes"), "unexpected-value: --test");
    assert_eq!(lib_refused("-C extra-filename"), "missing-value: -C extra-filename");
}

#[test]
fn two_dashes_end_the_options() {
    let args = compile("--crate-name a --crate-type lib -- -odd.rs");
    assert_eq!(args.input, Path::new("-odd.rs"));
    assert_eq!(refused("--crate-name a -- --crate-type lib"), "several-inputs");
}

#[test]
fn what_is_not_in_the_table_is_refused_by_name() {
    assert_eq!(lib_refused("--frobnicate=3 --other"), "unknown-option: --frobnicate");
    assert_eq!(lib_refused("-gx"), "unknown-option: -x");
    assert_eq!(lib_refused("-é"), "unknown-option: -é");
    assert_eq!(lib_refused("--L dir"), "unknown-option: --L");
    assert_eq!(lib_refused("-C frobnicate=3"), "unknown-option: -C frobnicate");
    assert_eq!(lib_refused("-Zmir-opt-level=3"), "unstable-option: mir-opt-level");
    assert_eq!(keyed_options("-Z unstable_options"), ["-Z unstable_options"]);
}

#[test]
fn options_that_rustc_takes_once() {
    assert_eq!(lib_refused("--crate-name b"), "duplicate-option: --crate-name");
    assert_eq!(lib_refused("--test --test"), "duplicate-option: --test");
    assert_eq!(lib_refused("-o a -o b"), "duplicate-option: -o");
    assert_eq!(lib_refused("-vv"), "duplicate-option: --verbose");
}

#[test]
fn questions_to_the_compiler() {
    for line in [
        "",
        "-vV",
        "--version",
        "-h",
        "--help -v",
        "--explain E0308",
        "-C help",
        "-W help",
        "-Z help",
        "+nightly",
        "+nightly -V",
        "--print cfg",
        "--print=sysroot --frobnicate",
        "-C target-cpu=help",
        "-Ctarget-feature=help",
        "-C passes=list",
        "- --crate-name ___ --print=file-names --crate-type bin --crate-type rlib --print=cfg -Wwarnings",
    ] {
        assert_eq!(parse_line(line), Invocation::Query, "{line}");
    }
}

#[test]
fn sources() {
    assert_eq!(lib("").input, Path::new("src/lib.rs"));
    assert_eq!(lib_refused("other.rs"), "several-inputs");
    assert_eq!(refused("--crate-name a --crate-type lib -"), "stdin-input");
    assert_eq!(refused("--crate-name a --crate-type lib"), "no-input");
    assert_eq!(refused("--crate-name a lib.rs"), "no-crate-type");
    assert_eq!(refused("--crate-type lib lib.rs"), "no-crate-name");
}

#[test]
fn a_toolchain_comes_first_only() {
    let args = compile("+nightly --crate-name a --crate-type lib lib.rs");
    assert_eq!(args.toolchain.as_deref(), Some("nightly"));
    assert_eq!(lib_refused("+nightly"), "several-inputs");
}

#[test]
fn arguments_that_are_not_unicode_are_refused() {
    let mut args = words("--crate-name a --crate-type lib lib.rs");
    args.push(OsString::from_vec(b"-Lb\xff".to_vec()));
    let parsed = parse(&args, Path::new("/"));
    assert_eq!(parsed, Invocation::Uncacheable(Reason::NonUnicodeArgument));
}

#[test]
fn argument_files() {
    let dir = tempfile::tempdir().unwrap();
    let parse_in = |line: &str| parse(&words(line), dir.path());
    fs::write(dir.path().join("args"), "--cfg\r\nfeature=\"a b\"\n@nested\n--crate-type=lib\n")
        .unwrap();
    let Invocation::Compile(args) = parse_in("--crate-name a @args") else { panic!() };
    assert_eq!(keyed(&args).last().unwrap(), "--cfg feature=\"a b\"");
    assert_eq!(args.input, Path::new("@nested"), "lines are not expanded again");
    assert_eq!(args.argfiles, [dir.path().join("args")]);
    // Expansion comes before parsing, and an empty line is an empty argument.
    fs::write(dir.path().join("cfg"), "x\n\n").unwrap();
    let line = "--crate-name a --crate-type lib --cfg @cfg lib.rs";
    assert_eq!(parse_in(line), Invocation::Uncacheable(Reason::SeveralInputs));
    for unreadable in ["@missing", "@.", "@utf8"] {
        fs::write(dir.path().join("utf8"), b"--cfg\nb\xff\n").unwrap();
        let parsed = parse_in(&format!("{line} {unreadable}"));
        assert_eq!(parsed, Invocation::Uncacheable(Reason::ArgfileUnreadable), "{unreadable}");
    }
}

/// Arguments that look like rustc's.
fn argument() -> impl Strategy<Value = String> {
    let names: Vec<String> = LONG
        .iter()
        .chain(SHORT)
        .map(|opt| opt.key.to_owned())
        .chain(CODEGEN.iter().map(|opt| format!("-C{}", opt.name)))
        .chain(["lib.rs", "-", "--", "link", "dep-info=x", "native=/a"].map(str::to_owned))
        .collect();
    let value = prop_oneof![Just(String::new()), Just("=x".into()), "=?[-@=:,./a-zé ]{0,6}"];
    prop_oneof![
        4 => (prop::sample::select(names), value).prop_map(|(name, value)| name + &value),
        1 => "[-+@=:,./a-zA-Zé ]{0,8}",
    ]
}

proptest! {
    #[test]
    fn any_arguments_are_survived(
        args in prop::collection::vec(argument(), 0..12),
        valid: bool,
        odd in prop::option::of(prop::collection::vec(any::<u8>(), 0..8)),
    ) {
        let mut args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
        if valid {
            args.splice(0..0, words("--crate-name a --crate-type lib lib.rs"));
        }
        args.extend(odd.map(OsString::from_vec));
        if let Invocation::Compile(compile) = parse(&args, Path::new("/nowhere")) {
            prop_assert!(!compile.predicted_outputs(Path::new("/cwd")).is_empty());
        }
    }

    #[test]
    fn a_value_may_stand_in_the_next_argument(
        at: prop::sample::Index,
        value in "[-=:,./a-z]{1,6}",
        before in prop::collection::vec(prop::sample::select(&["-g", "--cfg=x", "-Ldir"][..]), 0..3),
        after in prop::collection::vec(argument(), 0..3),
    ) {
        let valued: Vec<_> = LONG.iter().filter(|opt| opt.arity == Arity::Value).collect();
        let key = valued[at.index(valued.len())].key;
        let line = |middle: Vec<String>| {
            let all = before.iter().map(|s| (*s).to_owned()).chain(middle).chain(after.iter().cloned());
            let mut args = words("--crate-name a --crate-type lib lib.rs");
            args.extend(all.map(OsString::from));
            parse(&args, Path::new("/nowhere"))
        };
        let joined = line(vec![format!("{key}={value}")]);
        prop_assert_eq!(line(vec![key.to_owned(), value]), joined);
    }
}
