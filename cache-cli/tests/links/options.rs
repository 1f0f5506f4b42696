//! Options that change what a linker makes, or what lies beside it.

use crate::harness::{Files, Lab, app};
use crate::support::{all_hits, expect, oracle, tool};

/// [`app`] with this development profile.
fn profile(text: &str) -> Files {
    let files = app();
    let manifest = &files.0.iter().find(|(path, _)| path == "Cargo.toml").expect("a manifest").1;
    let manifest = format!("{manifest}[profile.dev]\n{text}\n");
    files.with("Cargo.toml", &manifest)
}

/// Builds, changes the crate furthest from the program, changes it back.
#[track_caller]
fn follows_a_dependency(files: &Files) {
    let lab = Lab::new();
    let (first, second) = oracle(&lab, files, &["target/debug/app"], |checkout| {
        for value in ["1", "2", "1"] {
            let text = format!("pub fn text() -> &'static str {{ \"leaf {value}\" }}\n");
            checkout.write("leaf/src/lib.rs", text);
            assert_eq!(checkout.build_and_run(), format!("app 1, mid 1, leaf {value}\n"));
        }
    });
    for (run, result) in first.runs().iter().zip(["miss", "miss", "hit"]) {
        expect(run, "bin", "app", result);
    }
    second.runs().iter().for_each(all_hits);
}

#[test]
fn no_lto() {
    follows_a_dependency(&profile("lto = \"off\""));
}

#[test]
fn fat_lto() {
    follows_a_dependency(&profile("lto = true"));
}

#[test]
fn thin_lto() {
    follows_a_dependency(&profile("lto = \"thin\""));
}

/// Each of these profiles is a program of its own, in one checkout and in the next.
#[track_caller]
fn told_apart(profiles: &[&str], says: impl Fn(&str) -> bool) {
    let lab = Lab::new();
    let (first, second) = oracle(&lab, &app(), &["target/debug/app"], |checkout| {
        let mut seen = Vec::new();
        for text in profiles {
            let files = profile(text);
            let manifest = files.0.iter().find(|(path, _)| path == "Cargo.toml");
            checkout.write("Cargo.toml", &manifest.expect("a manifest").1);
            assert_eq!(checkout.build_and_run(), "app 1, mid 1, leaf 1\n");
            let said = tool(&lab, &checkout.root, "readelf", &["-SW", "target/debug/app"]);
            seen.push(says(&said));
        }
        assert_eq!(seen, [true, false], "of {profiles:?}");
    });
    for at in 0..profiles.len() {
        expect(&first.runs()[at], "bin", "app", "miss");
        all_hits(&second.runs()[at]);
    }
}

#[test]
fn stripped_or_not() {
    told_apart(&["strip = \"none\"", "strip = \"symbols\""], |said| said.contains(".symtab"));
}

#[test]
fn stripped_of_debug_information_or_not() {
    told_apart(&["strip = \"none\"", "strip = \"debuginfo\""], |said| said.contains(".debug_info"));
}

#[test]
fn optimised_or_not() {
    let lab = Lab::new();
    let (first, second) = oracle(&lab, &app(), &["target/debug/app"], |checkout| {
        for level in ["0", "2", "0"] {
            checkout.remove_if_there("target");
            let run = checkout
                .cargo_with(&["build"], |cargo| cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", level));
            run.good();
            assert_eq!(checkout.program("target/debug/app"), "app 1, mid 1, leaf 1\n");
        }
    });
    for (run, result) in first.runs().iter().zip(["miss", "miss", "hit"]) {
        expect(run, "bin", "app", result);
    }
    second.runs().iter().for_each(all_hits);
}

/// The files in the target directory that are no one's business but the compiler's, without the
/// hashes in their names.
#[track_caller]
fn same_files(files: &Files, args: &[&str], kinds: &[&str]) {
    let lab = Lab::new();
    oracle(&lab, files, &["target/debug/app"], |checkout| {
        for _ in 0..2 {
            checkout.remove_if_there("target");
            checkout.cargo(args).good();
            assert_eq!(checkout.program("target/debug/app"), "app 1, mid 1, leaf 1\n");
            for kind in kinds {
                let found = checkout.find("target/debug", |name| name.ends_with(kind));
                assert!(!found.is_empty(), "no {kind}: {}", checkout.last().describe());
            }
        }
    });
}

#[test]
fn debug_information_packed() {
    same_files(&profile("split-debuginfo = \"packed\""), &["build"], &[".dwp"]);
}

#[test]
fn debug_information_unpacked() {
    same_files(&profile("split-debuginfo = \"unpacked\""), &["build"], &[".dwo"]);
}

#[test]
fn more_to_emit() {
    let args = ["rustc", "--bin", "app", "--", "--emit", "asm,llvm-ir,llvm-bc,mir,obj,link"];
    same_files(&profile(""), &args, &[".s", ".ll", ".bc", ".mir", ".o"]);
}

#[test]
fn temporary_files_kept() {
    same_files(&profile(""), &["rustc", "--bin", "app", "--", "-C", "save-temps"], &[".o", ".bc"]);
}

/// A map that the linker writes beside the program must be there.
#[test]
fn map_of_the_linker() {
    let args = ["rustc", "--bin", "app", "--", "-C", "link-arg=-Wl,-Map=target/debug/app.map"];
    same_files(&profile(""), &args, &[".map"]);
    let args = ["rustc", "--bin", "app", "--", "-C", "link-arg=-Wl,-Map=target/debug/deps/app.map"];
    same_files(&profile(""), &args, &[".map"]);
}

/// An instrumented program writes its profile where it is told, not where it was linked.
#[test]
fn instrumented_for_coverage() {
    let lab = Lab::new();
    let files = app()
        .with(".cargo/config.toml", "[build]\nrustflags = [\"-C\", \"instrument-coverage\"]\n");
    let (_, second) = oracle(&lab, &files, &["target/debug/app"], |checkout| {
        let set = |cargo: &mut std::process::Command| {
            cargo.env("LLVM_PROFILE_FILE", checkout.path("out.profraw"));
        };
        let run = checkout.cargo_with(&["run", "-q"], |cargo| {
            set(cargo);
            cargo
        });
        assert_eq!(run.good().stdout, "app 1, mid 1, leaf 1\n");
        assert!(checkout.path("out.profraw").is_file());
    });
    assert!(second.last().ok());
}
