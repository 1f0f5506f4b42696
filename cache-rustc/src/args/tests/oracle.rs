//! Predicted outputs against the files that the real rustc writes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// All files below `dir`, relative to it.
fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => dirs.push(entry.path()),
                false => _ = found.insert(entry.path().strip_prefix(dir).unwrap().to_owned()),
            }
        }
    }
    found
}

/// Compiles in an empty directory with a directory `out` in it, and compares.
fn check(options: &str) {
    let root = tempfile::tempdir().unwrap();
    let cwd = root.path().join("cwd");
    fs::create_dir_all(cwd.join("out")).unwrap();
    fs::write(root.path().join("lib.rs"), "pub fn f() {}").unwrap();
    fs::write(root.path().join("main.rs"), "fn main() {}").unwrap();
    fs::write(root.path().join("empty.rs"), "").unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let args = words(&format!("--crate-name a {options}"));
    let output = Command::new(rustc).args(&args).current_dir(&cwd).output().unwrap();
    assert!(output.status.success(), "{options}: {}", String::from_utf8_lossy(&output.stderr));
    let Invocation::Compile(compile) = parse(&args, &cwd) else { panic!("{options}") };
    let predicted: BTreeSet<PathBuf> = compile
        .predicted_outputs(&cwd)
        .into_iter()
        .map(|output| output.path.strip_prefix(&cwd).unwrap().to_owned())
        .collect();
    assert_eq!(predicted, files(&cwd), "{options}");
}

const ALL_BUT_LINK: &str = "--emit=dep-info,metadata,asm,llvm-ir,llvm-bc,obj,mir";

#[test]
fn crate_types() {
    for kind in ["rlib", "dylib", "cdylib", "staticlib", "lib,cdylib,staticlib"] {
        check(&format!("--crate-type={kind} ../lib.rs --emit=dep-info,link -C extra-filename=-x1"));
        check(&format!("--crate-type={kind} ../lib.rs --emit=dep-info,metadata --out-dir out"));
        check(&format!("--crate-type={kind} ../lib.rs --emit=dep-info,metadata,link"));
    }
    check("--crate-type=proc-macro ../empty.rs --emit=dep-info,metadata,link");
    for kind in ["--crate-type=bin", "--test"] {
        check(&format!("{kind} ../main.rs"));
        check(&format!("{kind} ../main.rs --emit=dep-info,metadata,link -Cextra-filename=-x1"));
        check(&format!("{kind} ../main.rs --emit=dep-info,metadata -g --out-dir=out"));
    }
}

#[test]
fn kinds() {
    for options in ["", "-C extra-filename=-1.2", "--out-dir out -g -C incremental=../inc"] {
        check(&format!("--crate-type=lib ../lib.rs {options} {ALL_BUT_LINK},link"));
        check(&format!("--crate-type=lib ../lib.rs {options} {ALL_BUT_LINK}"));
        check(&format!("--crate-type=bin ../main.rs {options} {ALL_BUT_LINK},link"));
    }
}

#[test]
fn named_outputs() {
    for name in ["x", "x.y.rlib", "out/x.y", ".x", "x."] {
        check(&format!("--crate-type=lib ../lib.rs -o {name}"));
        check(&format!("--crate-type=bin ../main.rs -o {name} --emit=link"));
        check(&format!("--crate-type=lib ../lib.rs -o {name} --emit=obj -C codegen-units=4"));
        check(&format!("--crate-type=lib ../lib.rs -o {name} --emit=metadata --out-dir elsewhere"));
        check(&format!(
            "--crate-type=lib ../lib.rs -o {name} {ALL_BUT_LINK},link -Cextra-filename=-1"
        ));
        check(&format!(
            "--crate-type=lib ../lib.rs -o {name} --emit=metadata=m,dep-info=out/d,link"
        ));
        check(&format!("--crate-type=lib,cdylib ../lib.rs -o {name} --emit=metadata,link"));
    }
    check("--crate-type=lib ../lib.rs --emit=metadata=out/m,link,dep-info=d");
    check("--crate-type=lib ../lib.rs --emit=metadata,metadata=m --out-dir=out");
}

#[test]
fn debug_information() {
    check("--crate-type=lib ../lib.rs -g -C split-debuginfo=packed");
    check("--crate-type=lib ../lib.rs -C split-debuginfo=unpacked");
    check("--crate-type=lib ../lib.rs -g --emit=metadata,mir -C split-debuginfo=unpacked");
    check("--crate-type=bin ../main.rs -g -C split-debuginfo=off");
}

#[test]
fn outputs_that_would_have_one_path() {
    assert_eq!(lib_refused("--emit=link=x,metadata=x"), "outputs-collide");
    assert_eq!(refused("--crate-name a --crate-type=lib,cdylib a.rs -o x"), "outputs-collide");
}
