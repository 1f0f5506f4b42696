//! Every kind of thing that is linked: a second checkout gets it from the store, it works, and
//! cargo finds it fresh.

use std::fmt::Write as _;

use crate::harness::{Checkout, Files, Lab, app};
use crate::support::{all_hits, expect, oracle, tool};

/// Runs these cargo commands, the last one again, which must find nothing to do.
#[track_caller]
fn build(checkout: &Checkout<'_>, args: &[&str]) {
    checkout.cargo(args).good();
    let again = checkout.cargo(args).good();
    assert!(again.rebuilt().is_empty() && again.events.is_empty(), "{}", again.describe());
}

#[test]
fn a_program() {
    let lab = Lab::new();
    let (first, second) = oracle(&lab, &app(), &["target/debug/app"], |checkout| {
        build(checkout, &["build"]);
        assert_eq!(checkout.program("target/debug/app"), "app 1, mid 1, leaf 1\n");
    });
    expect(&first.runs()[0], "bin", "app", "miss");
    expect(&second.runs()[0], "bin", "app", "hit");
    all_hits(&second.runs()[0]);
}

#[test]
fn a_release_program() {
    let lab = Lab::new();
    let (_, second) = oracle(&lab, &app(), &["target/release/app"], |checkout| {
        build(checkout, &["build", "--release"]);
        assert_eq!(checkout.program("target/release/app"), "app 1, mid 1, leaf 1\n");
    });
    all_hits(&second.runs()[0]);
}

#[test]
fn test_programs() {
    let lab = Lab::new();
    let files = app()
        .with("mid/tests/outer.rs", "#[test] fn outer() { assert_eq!(mid::text(), \"mid 1, leaf 1\"); }\n")
        .with(
            "mid/src/lib.rs",
            "pub fn text() -> String { format!(\"mid 1, {}\", leaf::text()) }\n#[test] fn inner() { assert!(text().starts_with(\"mid\")); }\n",
        );
    let (first, second) = oracle(&lab, &files, &[], |checkout| {
        build(checkout, &["test", "--no-run", "-p", "mid"]);
        let run = checkout.cargo(&["test", "-p", "mid", "--lib", "--tests"]).good();
        assert!(
            run.stdout.contains("test outer ... ok") && run.stdout.contains("test inner ... ok")
        );
    });
    expect(&first.runs()[0], "test", "outer", "miss");
    expect(&second.runs()[0], "test", "outer", "hit");
    expect(&second.runs()[0], "test", "mid", "hit");
    all_hits(&second.runs()[0]);
}

/// A proc macro that gives a string, and a program that prints it.
pub(crate) fn with_macro(says: &str) -> Files {
    Files::default()
        .package(
            "",
            "app",
            "[dependencies]\nmac = { path = \"mac\" }\n[workspace]\nmembers = [\"mac\"]\n",
        )
        .with("src/main.rs", "fn main() { println!(\"macro {}\", mac::word!()); }\n")
        .package("mac", "mac", "[lib]\nproc-macro = true\n")
        .with("mac/src/lib.rs", &macro_source(says))
}

pub(crate) fn macro_source(says: &str) -> String {
    format!(
        "use proc_macro::TokenStream;\n#[proc_macro]\npub fn word(_: TokenStream) -> TokenStream {{ {says:?}.parse().unwrap() }}\n",
        says = format!("{says:?}")
    )
}

#[test]
fn a_proc_macro() {
    let lab = Lab::new();
    let (first, second) = oracle(&lab, &with_macro("one"), &["target/debug/app"], |checkout| {
        build(checkout, &["build"]);
        assert_eq!(checkout.program("target/debug/app"), "macro one\n");
    });
    expect(&first.runs()[0], "proc-macro", "mac", "miss");
    all_hits(&second.runs()[0]);
}

/// A library for C with one function, of this crate type.
fn for_c(kind: &str) -> Files {
    Files::default()
        .package("", "answers", &format!("[lib]\ncrate-type = [\"{kind}\"]\n"))
        .with(
            "src/lib.rs",
            "#[no_mangle]\npub extern \"C\" fn answer() -> i32 { \"six\".len() as i32 * 14 }\n",
        )
        .with(
            "main.c",
            "#include <stdio.h>\nint answer(void);\nint main(void) { printf(\"C says %d\\n\", answer()); }\n",
        )
}

/// Builds a library for C and a C program with it.
fn c_program(lab: &Lab, kind: &str, file: &str, libs: &[&str]) {
    let elf: &[&str] = if kind == "cdylib" { &["target/debug/libanswers.so"] } else { &[] };
    let (first, second) = oracle(lab, &for_c(kind), elf, |checkout| {
        build(checkout, &["build"]);
        let rpath = "-Wl,-rpath,$ORIGIN/target/debug";
        let args = [&["main.c", "-o", "main", rpath, file][..], libs].concat();
        tool(lab, &checkout.root, "cc", &args);
        assert_eq!(checkout.program("main"), "C says 42\n");
    });
    expect(&first.runs()[0], kind, "answers", "miss");
    expect(&second.runs()[0], kind, "answers", "hit");
}

#[test]
fn a_shared_library_for_c() {
    c_program(&Lab::new(), "cdylib", "target/debug/libanswers.so", &[]);
}

#[test]
fn a_static_library_for_c() {
    c_program(&Lab::new(), "staticlib", "target/debug/libanswers.a", &["-lpthread", "-ldl", "-lm"]);
}

#[test]
fn a_shared_library_for_rust() {
    let lab = Lab::new();
    let files = app()
        .package("leaf", "leaf", "[lib]\ncrate-type = [\"dylib\"]\n")
        .with(".cargo/config.toml", "[build]\nrustflags = [\"-C\", \"prefer-dynamic\"]\n");
    let elf = ["target/debug/libleaf.so", "target/debug/app"];
    let (first, second) = oracle(&lab, &files, &elf, |checkout| {
        build(checkout, &["build"]);
        let run = checkout.cargo(&["run", "-q"]).good();
        assert_eq!(run.stdout, "app 1, mid 1, leaf 1\n");
        // The program holds the hash of the library it was linked with.
        checkout.write("leaf/src/lib.rs", "pub fn text() -> &'static str { \"leaf 2\" }\n");
        let run = checkout.cargo(&["run", "-q"]).good();
        assert_eq!(run.stdout, "app 1, mid 1, leaf 2\n");
    });
    expect(&first.runs()[0], "dylib", "leaf", "miss");
    expect(&first.runs()[3], "bin", "app", "miss");
    all_hits(&second.runs()[0]);
    all_hits(&second.runs()[3]);
}

#[test]
fn an_example() {
    let lab = Lab::new();
    let files =
        app().with("examples/show.rs", "fn main() { println!(\"example, {}\", mid::text()); }\n");
    let (first, second) = oracle(&lab, &files, &["target/debug/examples/show"], |checkout| {
        build(checkout, &["build", "--examples"]);
        assert_eq!(checkout.program("target/debug/examples/show"), "example, mid 1, leaf 1\n");
    });
    expect(&first.runs()[0], "bin", "show", "miss");
    all_hits(&second.runs()[0]);
}

#[test]
fn a_benchmark() {
    let lab = Lab::new();
    let files = Files::default()
        .package("", "app", "[[bench]]\nname = \"speed\"\nharness = false\n")
        .with("src/lib.rs", "pub fn text() -> &'static str { \"lib 1\" }\n")
        .with("benches/speed.rs", "fn main() { println!(\"bench, {}\", app::text()); }\n");
    let (_, second) = oracle(&lab, &files, &[], |checkout| {
        build(checkout, &["bench", "--no-run"]);
        let run = checkout.cargo(&["bench", "--bench", "speed"]).good();
        assert_eq!(run.stdout, "bench, lib 1\n");
    });
    all_hits(&second.runs()[0]);
}

#[test]
fn a_build_script() {
    let lab = Lab::new();
    let files = Files::default()
        .package("", "app", "build = \"build.rs\"\n")
        .with(
            "build.rs",
            "fn main() { println!(\"cargo:rerun-if-changed=build.rs\"); println!(\"cargo:rustc-env=WORD=built {}\", 1); }\n",
        )
        .with("src/main.rs", "fn main() { println!(\"{}\", env!(\"WORD\")); }\n");
    let (first, second) = oracle(&lab, &files, &["target/debug/app"], |checkout| {
        build(checkout, &["build"]);
        assert_eq!(checkout.program("target/debug/app"), "built 1\n");
        let text = "fn main() { println!(\"cargo:rustc-env=WORD=built {}\", 2); }\n";
        checkout.write("build.rs", text);
        assert_eq!(checkout.build_and_run(), "built 2\n");
    });
    for at in [0, 2] {
        expect(&first.runs()[at], "build-script", "build_script_build", "miss");
        expect(&second.runs()[at], "build-script", "build_script_build", "hit");
        expect(&second.runs()[at], "bin", "app", "hit");
    }
}

#[test]
fn several_crate_types_at_once() {
    let lab = Lab::new();
    let files = for_c("rlib\", \"cdylib\", \"staticlib");
    let (_, second) = oracle(&lab, &files, &["target/debug/libanswers.so"], |checkout| {
        build(checkout, &["build"]);
        let mut said = String::new();
        for library in ["libanswers.so", "libanswers.a", "libanswers.rlib"] {
            let there = checkout.path("target/debug").join(library).is_file();
            writeln!(said, "{library} {there}").expect("a string");
        }
        assert!(!said.contains("false"), "{said}");
        tool(&lab, &checkout.root, "cc", &["main.c", "-o", "main", "target/debug/libanswers.a"]);
        assert_eq!(checkout.program("main"), "C says 42\n");
    });
    all_hits(&second.runs()[0]);
}
