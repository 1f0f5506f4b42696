//! Scenarios of links: what is built, with what C files, and how it was served.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::{Checkout, Files, Lab, Run, write_program};

/// How the unit of this crate name and kind was served: `hit`, `miss`, `through`, or empty when it
/// was not built.
pub(crate) fn served(run: &Run, kind: &str, name: &str) -> String {
    let mut units = run.events.iter();
    let unit = units.find(|event| event.kind == kind && event.name == name);
    unit.map(|event| event.result.clone()).unwrap_or_default()
}

/// Asserts how the unit of this kind and name was served.
#[track_caller]
pub(crate) fn expect(run: &Run, kind: &str, name: &str, result: &str) {
    assert_eq!(served(run, kind, name), result, "{kind} {name} of\n{}", run.describe());
}

/// Asserts that all units were hits, and that there were some.
#[track_caller]
pub(crate) fn all_hits(run: &Run) {
    let hits = run.events.iter().all(|event| event.result == "hit");
    assert!(hits && !run.events.is_empty(), "not all hits:\n{}", run.describe());
}

/// Plays a scenario without the wrapper, through it on what is there, and through it again in
/// another checkout. All three must give the same, down to what the loader sees of the files
/// `elf`; the last two are returned.
pub(crate) fn oracle<'l>(
    lab: &'l Lab,
    files: &Files,
    elf: &[&str],
    scenario: impl Fn(&Checkout<'_>),
) -> (Checkout<'l>, Checkout<'l>) {
    let plain = lab.plain("plain/ws", files);
    let (first, second) =
        (lab.checkout("first/ws", files), lab.checkout("second/deeper/ws", files));
    for checkout in [&plain, &first, &second] {
        scenario(checkout);
    }
    for checkout in [&first, &second] {
        plain.assert_same(checkout);
        for path in elf {
            assert_eq!(dynamic(lab, &plain, path), dynamic(lab, checkout, path), "{path}");
            let mode = |checkout: &Checkout<'_>| {
                let meta = std::fs::metadata(checkout.path(path)).expect("a file");
                meta.permissions().mode()
            };
            assert_eq!(mode(&plain), mode(checkout), "mode of {path}");
        }
    }
    (first, second)
}

/// What `readelf -d` says of a file, addresses and sizes left out: the names of all tags, and the
/// values of those that have words.
pub(crate) fn dynamic(lab: &Lab, checkout: &Checkout<'_>, path: &str) -> Vec<String> {
    let root = checkout.root.to_str().expect("UTF-8 paths in tests");
    let text = tool(lab, &checkout.root, "readelf", &["-dW", path]).replace(root, "[ROOT]");
    let words = ["(NEEDED)", "(SONAME)", "(RPATH)", "(RUNPATH)", "(FLAGS)", "(FLAGS_1)"];
    let tag = |line: &str| {
        let name = line.split_whitespace().nth(1)?;
        Some(if words.contains(&name) { line.trim().to_owned() } else { name.to_owned() })
    };
    text.lines().filter(|line| line.starts_with(" 0x")).filter_map(tag).collect()
}

/// Runs a program in a directory, which must go well, and gives its output.
#[track_caller]
pub(crate) fn tool(lab: &Lab, dir: &Path, program: &str, args: &[&str]) -> String {
    Run::of(lab.command(program).current_dir(dir).args(args), None).good().stdout
}

/// A program `app` that prints what the C function `foo_value` gives, built with these flags.
pub(crate) fn foreign(flags: &[&str]) -> Files {
    // The standard library's debug information would be most of what is copied and compared.
    let flags = flags.iter().chain(&["-C", "strip=debuginfo"]);
    let flags: Vec<_> = flags.map(|flag| format!("{flag:?}")).collect();
    Files::default()
        .package("", "app", "")
        .with("src/main.rs", &format!("{DECLARATION}{MAIN}"))
        .with(".cargo/config.toml", &format!("[build]\nrustflags = [{}]\n", flags.join(", ")))
}

pub(crate) const DECLARATION: &str = "extern \"C\" { fn foo_value() -> i32; }\n";
pub(crate) const MAIN: &str = "fn main() { println!(\"foo {}\", unsafe { foo_value() }); }\n";

/// Compiles a C file whose `foo_value` gives this value to an object.
#[track_caller]
pub(crate) fn object(lab: &Lab, checkout: &Checkout<'_>, path: &str, value: u8) {
    checkout.write(path, "");
    let source = lab.root.join("foo.c");
    std::fs::write(&source, format!("int foo_value(void) {{ return {value}; }}\n")).expect("foo.c");
    let source = source.to_str().expect("UTF-8 paths in tests");
    tool(lab, &checkout.root, "cc", &["-c", "-fPIC", source, "-o", path]);
}

/// Makes `{dir}/lib{name}.a` of such an object.
#[track_caller]
pub(crate) fn archive(lab: &Lab, checkout: &Checkout<'_>, dir: &str, name: &str, value: u8) {
    let path = format!("{dir}/lib{name}.a");
    checkout.remove_if_there(&path);
    object(lab, checkout, &format!("{dir}/foo.o"), value);
    tool(lab, &checkout.root, "ar", &["rcsD", &path, &format!("{dir}/foo.o")]);
    checkout.remove(&format!("{dir}/foo.o"));
}

/// Makes `{dir}/lib{name}.so` of such an object.
#[track_caller]
pub(crate) fn shared(lab: &Lab, checkout: &Checkout<'_>, dir: &str, name: &str, value: u8) {
    object(lab, checkout, &format!("{dir}/foo.o"), value);
    let path = format!("{dir}/lib{name}.so");
    let soname = format!("-Wl,-soname,lib{name}.so");
    tool(lab, &checkout.root, "cc", &["-shared", "-o", &path, &soname, &format!("{dir}/foo.o")]);
    checkout.remove(&format!("{dir}/foo.o"));
}

/// Writes a program of a shell script.
pub(crate) fn script(checkout: &Checkout<'_>, path: &str, text: &str) {
    write_program(&checkout.path(path), format!("#!/bin/sh\n{text}\n"));
}

/// Builds `app` from nothing and gives what it prints.
#[track_caller]
pub(crate) fn rebuild(checkout: &Checkout<'_>) -> String {
    checkout.remove_if_there("target");
    checkout.build_and_run().trim_end().to_owned()
}

/// The scenario of most tests here: something the linker reads is made, then changed behind
/// cargo's back, then made as it was. The program must follow each time; the change must be a
/// miss, what was seen before a hit, in the same checkout and in another.
#[track_caller]
pub(crate) fn follows(
    files: &Files,
    make: impl Fn(&Lab, &Checkout<'_>),
    change: impl Fn(&Lab, &Checkout<'_>),
    undo: impl Fn(&Lab, &Checkout<'_>),
    says: [&str; 2],
) {
    let lab = Lab::new();
    let (first, second) = oracle(&lab, files, &["target/debug/app"], |checkout| {
        make(&lab, checkout);
        assert_eq!(rebuild(checkout), says[0]);
        change(&lab, checkout);
        assert_eq!(rebuild(checkout), says[1], "after the change: {}", checkout.last().describe());
        undo(&lab, checkout);
        assert_eq!(rebuild(checkout), says[0], "as it was: {}", checkout.last().describe());
    });
    for (run, result) in first.runs().iter().zip(["miss", "miss", "hit"]) {
        expect(run, "bin", "app", result);
    }
    for run in second.runs() {
        expect(&run, "bin", "app", "hit");
    }
}
