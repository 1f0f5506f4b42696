//! Options that change what is compiled or what is said about it.

use crate::harness::{Checkout, Lab, Run, app, one_lib};

const UNUSED: &str = "fn unused() {}\npub fn text() -> &'static str { \"1\" }\n";

fn build_with(checkout: &Checkout<'_>, name: &str, value: &str) -> Run {
    checkout.cargo_with(&["build"], |cargo| cargo.env(name, value))
}

#[test]
fn denied_warnings_fail_and_allowed_ones_do_not() {
    let lab = Lab::new();
    let (_, second) = lab.oracle(&one_lib(UNUSED), |checkout| {
        checkout.cargo(&["build"]).good();
        assert!(!build_with(checkout, "RUSTFLAGS", "-D warnings").ok());
        let quiet = build_with(checkout, "RUSTFLAGS", "-A dead_code").good();
        assert!(!quiet.stderr.contains("warning"));
        checkout.cargo(&["build"]).good();
    });
    let runs = second.runs();
    runs[0].expect(&["one"], &[]);
    assert_eq!(runs[1].hits(), [""; 0], "a failing compile is never a hit");
    runs[2].expect(&["one"], &[]);
}

#[test]
fn lint_tables_in_the_manifest() {
    let lab = Lab::new();
    let table = |level: &str| format!("[lints.rust]\ndead_code = \"{level}\"\n");
    let files = one_lib(UNUSED);
    let manifests = ["warn", "allow", "deny", "warn"]
        .map(|level| files.clone().package("one", "one", &table(level)).0.pop().unwrap().1);
    let (_, second) = lab.oracle(&files, |checkout| {
        for (manifest, ok) in manifests.iter().zip([true, true, false, true]) {
            checkout.write("one/Cargo.toml", manifest);
            assert_eq!(checkout.cargo(&["build"]).ok(), ok);
        }
    });
    for (run, hit) in second.runs().iter().zip([true, true, false, true]) {
        assert_eq!(run.hits() == ["one"], hit, "{}", run.describe());
    }
}

#[test]
fn check_cfg_changes() {
    let lab = Lab::new();
    let lib =
        "#[cfg(e2e)]\npub fn text() -> u8 { 1 }\n#[cfg(not(e2e))]\npub fn text() -> u8 { 0 }\n";
    let table = "[lints.rust]\nunexpected_cfgs = { level = \"warn\", check-cfg = ['cfg(e2e)'] }\n";
    let files = one_lib(lib);
    let manifests =
        ["", table, ""].map(|rest| files.clone().package("one", "one", rest).0.pop().unwrap().1);
    lab.oracle(&files, |checkout| {
        for (manifest, warns) in manifests.iter().zip([true, false, true]) {
            checkout.write("one/Cargo.toml", manifest);
            let run = checkout.cargo(&["build"]).good();
            assert_eq!(run.stderr.contains("unexpected `cfg`"), warns, "{}", run.describe());
        }
    });
}

#[test]
fn capped_lints() {
    let lab = Lab::new();
    lab.oracle(&one_lib(UNUSED), |checkout| {
        for cap in ["allow", "warn", "forbid"] {
            let run = build_with(checkout, "RUSTFLAGS", &format!("--cap-lints {cap}")).good();
            assert_eq!(run.stderr.contains("unused"), cap != "allow", "{cap}");
        }
    });
}

#[test]
fn features_change() {
    let lab = Lab::new();
    let files = one_lib("pub fn text() -> bool { cfg!(feature = \"f\") }\n")
        .package("one", "one", "[features]\nf = []\ng = []\n")
        .with("src/main.rs", "fn main() { println!(\"{}\", one::text()); }\n")
        .package(
            "",
            "app",
            "[features]\nf = [\"one/f\"]\ng = [\"one/g\"]\n[dependencies]\none = { path = \"one\" }\n[workspace]\n",
        );
    let (first, second) = lab.oracle(&files, |checkout| {
        for (features, text) in
            [("", "false\n"), ("f", "true\n"), ("g", "false\n"), ("f,g", "true\n")]
        {
            checkout.cargo(&["build", "--features", features]).good();
            assert_eq!(checkout.program("target/debug/app"), text);
        }
    });
    first.runs().iter().for_each(|run| run.expect(&[], &["one"]));
    second.runs().iter().for_each(|run| run.expect(&["one"], &[]));
}

#[test]
fn edition_changes() {
    let lab = Lab::new();
    // `dyn` is a name in the 2015 edition; the array is iterated by value since 2021.
    let lib =
        "pub fn text() -> usize { [1u8].into_iter().map(|x| std::mem::size_of_val(&x)).sum() }\n";
    let files = one_lib(lib);
    lab.oracle(&files, |checkout| {
        for (edition, text) in [("2018", "8\n"), ("2021", "1\n"), ("2018", "8\n")] {
            checkout.write(
                "one/Cargo.toml",
                format!(
                    "[package]\nname = \"one\"\nversion = \"0.1.0\"\nedition = \"{edition}\"\n"
                ),
            );
            checkout.cargo(&["build"]).good();
            assert_eq!(checkout.program("target/debug/app"), text);
        }
    });
}

#[test]
fn profile_and_codegen_options_change() {
    let lab = Lab::new();
    let lib = "pub fn text() -> String { format!(\"{} {}\", cfg!(debug_assertions), cfg!(overflow_checks_seen)) }\n";
    let files = one_lib(&lib.replace(
        "cfg!(overflow_checks_seen)",
        "std::panic::catch_unwind(|| std::hint::black_box(255u8) + 1).is_err()",
    ));
    let (first, second) = lab.oracle(&files, |checkout| {
        for (variable, value, text) in [
            ("CARGO_PROFILE_DEV_DEBUG", "0", "true true\n"),
            ("CARGO_PROFILE_DEV_DEBUG", "2", "true true\n"),
            ("CARGO_PROFILE_DEV_OPT_LEVEL", "2", "true true\n"),
            ("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "false", "false true\n"),
            ("CARGO_PROFILE_DEV_OVERFLOW_CHECKS", "false", "true false\n"),
            ("RUSTFLAGS", "-C target-feature=+avx", "true true\n"),
        ] {
            build_with(checkout, variable, value).good();
            let run = checkout.program("target/debug/app");
            assert_eq!(run, text, "{variable}={value}");
        }
    });
    // Full debug information is the default of the profile, but `2` is the same command line only
    // by chance; what counts is that no two different ones share an outcome.
    for (at, run) in first.runs().iter().enumerate() {
        assert_eq!(run.misses(), ["one"], "step {at}: {}", run.describe());
    }
    second.runs().iter().for_each(|run| run.expect(&["one"], &[]));
}

#[test]
fn a_dependency_that_changes_rebuilds_its_users() {
    let lab = Lab::new();
    let (first, second) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
        checkout.write("leaf/src/lib.rs", "pub fn text() -> &'static str { \"leaf 2\" }\n");
        assert_eq!(checkout.build_and_run(), "app 1, mid 1, leaf 2\n");
    });
    first.runs().iter().for_each(|run| run.expect(&[], &["leaf", "mid"]));
    second.runs().iter().for_each(|run| run.expect(&["leaf", "mid"], &[]));
}
