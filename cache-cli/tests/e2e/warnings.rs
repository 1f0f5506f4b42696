//! Diagnostics are replayed as rustc would have given them here, exactly once.

use crate::harness::{Files, Lab, one_lib};

const UNUSED: &str = "fn unused() {}\npub fn text() -> &'static str { \"1\" }\n";

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn warnings_are_replayed_once_and_again_by_cargo_when_fresh() {
    let lab = Lab::new();
    let (_, second) = lab.oracle(&one_lib(UNUSED), |checkout| {
        for _ in 0..3 {
            let run = checkout.cargo(&["build"]).good();
            assert_eq!(count(&run.stderr, "function `unused` is never used"), 1);
            assert!(run.stderr.contains("--> one/src/lib.rs:1:4"), "{}", run.stderr);
        }
    });
    second.runs()[0].expect(&["one"], &[]);
    assert!(second.runs()[1].rebuilt().is_empty());
}

fn generated() -> Files {
    let script = "fn main() { let out = std::env::var(\"OUT_DIR\").unwrap(); std::fs::write(format!(\"{out}/gen.rs\"), \"fn unused() {}\\n\").unwrap(); }\n";
    one_lib("include!(concat!(env!(\"OUT_DIR\"), \"/gen.rs\"));\npub fn text() -> u8 { 1 }\n")
        .with("one/build.rs", script)
}

#[test]
fn warnings_in_generated_code_name_this_checkouts_file() {
    let lab = Lab::new();
    let (first, second) = lab.oracle(&generated(), |checkout| {
        for _ in 0..2 {
            let run = checkout.cargo(&["build"]).good();
            let here = checkout.path("target/debug/build");
            assert!(run.stderr.contains(here.to_str().unwrap()), "{}", run.stderr);
        }
    });
    first.runs()[0].expect(&[], &["one"]);
    second.runs()[0].expect(&["one"], &[]);
}

#[test]
fn warnings_in_odd_places() {
    let lab = Lab::named("a b é \"q\" 'x' $H #1");
    let (_, second) = lab.oracle(&generated(), |checkout| {
        checkout.cargo(&["build"]).good();
        checkout.cargo(&["build"]).good();
    });
    second.runs()[0].expect(&["one"], &[]);
}

#[test]
fn warnings_with_the_target_directory_elsewhere() {
    let lab = Lab::new();
    let (_, second) = lab.oracle(&generated(), |checkout| {
        let target = checkout.path("../other target/x");
        std::fs::create_dir_all(&target).unwrap();
        let target = target.canonicalize().unwrap().display().to_string();
        for _ in 0..2 {
            checkout.cargo_with(&["build"], |cargo| cargo.env("CARGO_TARGET_DIR", &target)).good();
        }
        checkout.program(&format!("{target}/debug/app"));
    });
    second.runs()[0].expect(&["one"], &[]);
}

#[test]
fn warnings_with_a_target_directory_whose_name_goes_on_from_the_workspaces() {
    let lab = Lab::new();
    lab.oracle(&generated(), |checkout| {
        let target = format!("{} target", checkout.root.display());
        for _ in 0..2 {
            checkout.cargo_with(&["build"], |cargo| cargo.env("CARGO_TARGET_DIR", &target)).good();
        }
        checkout.program(&format!("{target}/debug/app"));
    });
}

#[test]
fn errors_and_warnings_across_crates_and_macros() {
    let lab = Lab::new();
    let lib = "#[macro_export]\nmacro_rules! twice { ($x:ident) => { fn $x() { let unused = 1; } fn other() {} }; }\n#[deprecated(note = \"old\")]\npub fn old() {}\npub fn text() -> u8 { 1 }\n";
    let files = one_lib(lib)
        .package(
            "",
            "app",
            "[dependencies]\none = { path = \"one\" }\ntwo = { path = \"two\" }\n[workspace]\n",
        )
        .package("two", "two", "[dependencies]\none = { path = \"../one\" }\n")
        .with("two/src/lib.rs", "one::twice!(f);\npub fn g() { one::old() }\n");
    let (first, second) = lab.oracle(&files, |checkout| {
        checkout.cargo(&["build"]).good();
    });
    first.runs()[0].expect(&[], &["one", "two"]);
    second.runs()[0].expect(&["one", "two"], &[]);
}

#[test]
fn colours_and_formats_do_not_leak_from_one_build_into_another() {
    let lab = Lab::new();
    let files = one_lib(UNUSED);
    lab.oracle(&files, |checkout| {
        for args in [
            &["build", "--color=never"][..],
            &["build", "--color=always"],
            &["build", "--message-format=short"],
            &["build", "--message-format=json"],
            &["build", "--message-format=json-diagnostic-rendered-ansi"],
            &["build", "--message-format=json-diagnostic-short"],
        ] {
            checkout.remove_if_there("target");
            checkout.cargo(args).good();
        }
    });
}

#[test]
fn a_crate_without_warnings_hits_whatever_the_format() {
    let lab = Lab::new();
    let files = one_lib("pub fn text() -> u8 { 1 }\n");
    lab.checkout("a", &files).cargo(&["build"]).good();
    let b = lab.checkout("b", &files);
    b.cargo(&["build", "--message-format=json-diagnostic-rendered-ansi"]).good();
    b.last().expect(&["one"], &[]);
}

#[test]
fn a_failing_crate_fails_in_the_same_words_and_is_not_stored() {
    let lab = Lab::new();
    let files = one_lib("pub fn text() -> u8 { \"no number\" }\n");
    let (first, second) = lab.oracle(&files, |checkout| {
        for _ in 0..2 {
            let run = checkout.cargo(&["build"]);
            assert_eq!(run.status.code(), Some(101));
            assert_eq!(count(&run.stderr, "mismatched types"), 1);
        }
        checkout.write("one/src/lib.rs", UNUSED);
        checkout.build_and_run();
    });
    first.runs()[1].expect(&[], &["one"]);
    second.runs()[0].expect(&[], &["one"]);
    second.runs()[2].expect(&["one"], &[]);
}

#[test]
fn a_failure_among_dependents() {
    let lab = Lab::new();
    let files =
        crate::harness::app().with("mid/src/lib.rs", "pub fn text() -> String { leaf::none() }\n");
    let (_, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.cargo(&["build"]).status.code(), Some(101));
        assert_eq!(checkout.cargo(&["build", "--keep-going"]).status.code(), Some(101));
        checkout.write("mid/src/lib.rs", "pub fn text() -> String { leaf::text().into() }\n");
        assert_eq!(checkout.build_and_run(), "app 1, leaf 1\n");
    });
    second.runs()[0].expect(&["leaf"], &["mid"]);
}

#[test]
fn future_incompatibility_reports() {
    let lab = Lab::new();
    // A lint that reports into the future: a macro ending in a semicolon in expression position.
    let lib = "macro_rules! m { () => { 1; } }\n#[allow(dead_code)]\npub fn text() -> u8 { let _x = m!(); 1 }\n";
    lab.oracle(&one_lib(lib), |checkout| {
        checkout.cargo(&["build", "--future-incompat-report"]);
        checkout.cargo(&["build", "--future-incompat-report"]);
    });
}
