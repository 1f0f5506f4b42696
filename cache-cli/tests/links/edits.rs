//! Edits back and forth, places in programs, and what may be done with a restored program.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::{Files, Lab, app, write_program};
use crate::kinds::{macro_source, with_macro};
use crate::support::{all_hits, expect, oracle, served, tool};

#[test]
fn a_proc_macro_and_back() {
    let lab = Lab::new();
    let (first, second) = oracle(&lab, &with_macro("one"), &["target/debug/app"], |checkout| {
        for word in ["one", "two", "one"] {
            checkout.write("mac/src/lib.rs", macro_source(word));
            assert_eq!(checkout.build_and_run(), format!("macro {word}\n"));
            let rebuilt = checkout.last().rebuilt();
            assert!(rebuilt.contains("mac") && rebuilt.contains("app"), "{rebuilt:?}");
        }
    });
    for (run, result) in first.runs().iter().zip(["miss", "miss", "hit"]) {
        expect(run, "proc-macro", "mac", result);
        expect(run, "bin", "app", result);
    }
    second.runs().iter().for_each(all_hits);
}

#[test]
fn a_program_and_back() {
    let lab = Lab::new();
    let (first, _) = oracle(&lab, &app(), &["target/debug/app"], |checkout| {
        for (at, path) in ["mid", "leaf"].into_iter().enumerate() {
            let source = format!("{path}/src/lib.rs");
            let before = std::fs::read_to_string(checkout.path(&source)).expect("source");
            checkout.build_and_run();
            checkout.write(&source, before.replace(" 1", " 2"));
            assert!(checkout.build_and_run().contains(&format!("{path} 2")), "step {at}");
            checkout.write(&source, before);
            assert_eq!(checkout.build_and_run(), "app 1, mid 1, leaf 1\n");
        }
    });
    for at in [2, 5] {
        all_hits(&first.runs()[at]);
    }
    expect(&first.runs()[1], "bin", "app", "miss");
    expect(&first.runs()[4], "bin", "app", "miss");
}

#[test]
fn a_test_program_and_back() {
    let lab = Lab::new();
    let source =
        |value: u8| format!("#[test] fn it() {{ assert_eq!(mid::text().len(), {value}); }}\n");
    let (first, _) = oracle(&lab, &app(), &[], |checkout| {
        for (value, ok) in [(13, true), (14, false), (13, true)] {
            checkout.write("tests/it.rs", source(value));
            let run = checkout.cargo(&["test", "--test", "it"]);
            assert_eq!(run.ok(), ok, "{}", run.describe());
        }
    });
    for (run, result) in first.runs().iter().zip(["miss", "miss", "hit"]) {
        expect(run, "test", "it", result);
    }
}

#[test]
fn the_place_of_a_package_is_its_own() {
    let lab = Lab::new();
    let files = app()
        .with("src/main.rs", "fn main() { println!(\"{}\", env!(\"CARGO_MANIFEST_DIR\")); }\n");
    let (first, second) = oracle(&lab, &files, &["target/debug/app"], |checkout| {
        for _ in 0..2 {
            checkout.remove_if_there("target");
            let said = checkout.build_and_run();
            assert_eq!(said.trim_end(), checkout.root.to_str().expect("UTF-8 paths in tests"));
        }
    });
    for checkout in [first, second] {
        expect(&checkout.runs()[0], "bin", "app", "miss");
        expect(&checkout.runs()[1], "bin", "app", "hit");
    }
}

#[test]
fn programs_that_tests_start() {
    let lab = Lab::new();
    let test = "#[test] fn starts() {\n    let out = std::process::Command::new(env!(\"CARGO_BIN_EXE_app\")).output().unwrap();\n    assert!(env!(\"CARGO_BIN_EXE_app\").starts_with(env!(\"CARGO_MANIFEST_DIR\")));\n    assert_eq!(out.stdout, b\"app 1, mid 1, leaf 1\\n\");\n    assert!(std::path::Path::new(env!(\"CARGO_TARGET_TMPDIR\")).is_dir());\n}\n";
    let (first, second) = oracle(&lab, &app().with("tests/starts.rs", test), &[], |checkout| {
        for _ in 0..2 {
            checkout.remove_if_there("target");
            checkout.cargo(&["test", "--test", "starts"]).good();
        }
    });
    expect(&first.runs()[0], "test", "starts", "miss");
    all_hits(&first.runs()[1]);
    // It holds the path of the program, so it is made anew in each place; the program is not.
    expect(&second.runs()[0], "test", "starts", "miss");
    expect(&second.runs()[0], "bin", "app", "hit");
    all_hits(&second.runs()[1]);
}

#[test]
fn two_programs_of_one_name() {
    let lab = Lab::new();
    let mut files = Files::default()
        .with("Cargo.toml", "[workspace]\nresolver = \"2\"\nmembers = [\"one\", \"two\"]\n");
    for name in ["one", "two"] {
        let source = format!("fn main() {{ println!(\"tool of {name}\"); }}\n");
        files = files.package(name, name, "[[bin]]\nname = \"tool\"\npath = \"tool.rs\"\n");
        files = files.with(&format!("{name}/tool.rs"), &source);
    }
    let (_, second) = oracle(&lab, &files, &["target/debug/tool"], |checkout| {
        for name in ["one", "two", "one"] {
            checkout.cargo(&["build", "-p", name]).good();
            assert_eq!(checkout.program("target/debug/tool"), format!("tool of {name}\n"));
        }
    });
    second.runs()[..2].iter().for_each(all_hits);
}

#[test]
fn a_restored_program_may_be_changed() {
    let lab = Lab::new();
    let (first, second) = (lab.checkout("first/ws", &app()), lab.checkout("second/ws", &app()));
    first.build_and_run();
    assert_eq!(second.build_and_run(), "app 1, mid 1, leaf 1\n");
    expect(&second.last(), "bin", "app", "hit");
    for checkout in [&first, &second] {
        let path = checkout.path("target/debug/app");
        let meta = std::fs::metadata(&path).expect("a program");
        assert_eq!(meta.permissions().mode() & 0o311, 0o311 & meta.permissions().mode() | 0o300);
        // In place: the inode is kept.
        let mut bytes = std::fs::read(&path).expect("bytes");
        let at = bytes.windows(6).position(|part| part == b"leaf 1").expect("the text");
        bytes[at..at + 6].copy_from_slice(b"LEAF 9");
        write_program(&path, bytes);
        assert_eq!(checkout.program("target/debug/app"), "app 1, mid 1, LEAF 9\n");
    }
    let third = lab.checkout("third/ws", &app());
    assert_eq!(third.build_and_run(), "app 1, mid 1, leaf 1\n");
    all_hits(&third.last());
    first.remove("target");
    assert_eq!(first.build_and_run(), "app 1, mid 1, leaf 1\n");
    all_hits(&first.last());
}

#[test]
fn a_panic_names_the_same_place() {
    let lab = Lab::new();
    let files = app()
        .with("leaf/src/lib.rs", "pub fn text() -> &'static str {\n    panic!(\"no text\")\n}\n");
    let (_, second) = oracle(&lab, &files, &["target/debug/app"], |checkout| {
        checkout.cargo(&["build"]).good();
        let run = checkout.cargo_with(&["run", "-q"], |cargo| cargo.env("RUST_BACKTRACE", "1"));
        assert!(run.stderr.contains("leaf/src/lib.rs:2:5"), "{}", run.describe());
    });
    all_hits(&second.runs()[0]);
}

#[test]
fn a_debugger_finds_the_sources() {
    if Command::new("gdb").arg("--version").output().is_err() {
        eprintln!("skipped: no gdb here");
        return;
    }
    let lab = Lab::new();
    let (first, second) = (lab.checkout("first/ws", &app()), lab.checkout("second/ws", &app()));
    for (checkout, result) in [(&first, "miss"), (&second, "hit")] {
        checkout.build_and_run();
        assert_eq!(served(&checkout.last(), "bin", "app"), result);
    }
    // Nothing of the first may help.
    std::fs::remove_dir_all(&first.root).expect("removal");
    let words = ["list app::main", "info source", "list leaf::text"];
    let args = words.iter().flat_map(|words| ["-ex", words]);
    let args: Vec<_> =
        ["-nx", "-batch"].into_iter().chain(args).chain(["target/debug/app"]).collect();
    let said = tool(&lab, &second.root, "gdb", &args);
    assert!(said.contains("fn main() { println!"), "{said}");
    assert!(said.contains("\"leaf 1\""), "{said}");
    let located = second.path("src/main.rs");
    assert!(said.contains(located.to_str().expect("UTF-8 paths in tests")), "{said}");
}
