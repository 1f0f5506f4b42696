//! Links that go to a chosen linker (`link.linker`).
//!
//! No two linkers write the same bytes, so what is compared with the build without the wrapper is
//! what programs say. Who linked a file stands in its `.comment` section.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::harness::{Checkout, Files, Lab, Run, sysroot};
use crate::installed::installed;
use crate::support::{all_hits, expect, foreign, object, rebuild, script, tool};

/// A program with a build script and a proc macro, a shared library, and a test.
fn project() -> Files {
    Files::default()
        .package(
            "",
            "app",
            "[dependencies]\nanswer = { path = \"answer\" }\n[workspace]\nmembers = [\"answer\", \"so\"]\n",
        )
        .with("build.rs", "fn main() { println!(\"cargo::rustc-env=BUILT=script\"); }\n")
        .with(
            "src/main.rs",
            "fn main() { println!(\"{} {}\", answer::answer!(), env!(\"BUILT\")); }\n\
             #[test]\nfn works() { assert_eq!(answer::answer!(), 42); }\n",
        )
        .package("answer", "answer", "[lib]\nproc-macro = true\n")
        .with(
            "answer/src/lib.rs",
            "#[proc_macro]\npub fn answer(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\n    \
             \"42\".parse().unwrap()\n}\n",
        )
        .package("so", "so", "[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n")
        .with("so/src/lib.rs", "#[no_mangle]\npub extern \"C\" fn answer() -> i32 { 42 }\n")
}

/// The comments that compilers and the linker left in a file.
#[track_caller]
fn comments(lab: &Lab, checkout: &Checkout<'_>, path: &Path) -> String {
    let path = path.to_str().expect("UTF-8 paths in tests");
    tool(lab, &checkout.root, "readelf", &["-p", ".comment", path])
}

/// Builds everything from nothing and runs it; gives the build.
#[track_caller]
fn build(checkout: &Checkout<'_>) -> Run {
    checkout.remove_if_there("target");
    let run = checkout.cargo(&["build", "--workspace", "--all-targets"]).good();
    assert_eq!(checkout.program("target/debug/app"), "42 script\n");
    checkout.cargo(&["test", "--workspace"]).good();
    run
}

/// What was linked in a checkout, with each file's comments: all that may be executed.
#[track_caller]
fn linked(lab: &Lab, checkout: &Checkout<'_>) -> Vec<(String, String)> {
    let named = ["app-", "build_script_build-", "libso", "libanswer-"];
    let mut found =
        checkout.find("target/debug", |name| named.iter().any(|start| name.starts_with(start)));
    found.retain(|path| is_program(&checkout.root.join(path)));
    let with_comments =
        |path: &PathBuf| (path.display().to_string(), comments(lab, checkout, path));
    found.iter().map(with_comments).collect()
}

/// Whether a file is ELF and may be executed, as programs and shared libraries are.
fn is_program(path: &Path) -> bool {
    let mode = std::fs::metadata(path).expect("a file").permissions().mode();
    mode & 0o111 != 0 && std::fs::read(path).expect("a file").starts_with(b"\x7fELF")
}

/// A build for which a linker was chosen uses it for everything, is not mixed up with one for which
/// none was, and comes from the store in another checkout.
#[track_caller]
fn links_with(linker: &str, program: &str, mark: &str) {
    if installed(program).is_none() {
        return;
    }
    let lab = Lab::new();
    let (plain, first) = (lab.plain("plain/ws", &project()), lab.checkout("first/ws", &project()));
    let second = lab.checkout("second/deeper/ws", &project());
    build(&plain);
    build(&first);
    let usual = linked(&lab, &first);
    lab.set_env("LARDER_LINKER", linker);
    let chosen = build(&first);
    for (kind, name) in [
        ("bin", "app"),
        ("test", "app"),
        ("build-script", "build_script_build"),
        ("proc-macro", "answer"),
        ("cdylib", "so"),
    ] {
        expect(&chosen, kind, name, "miss");
    }
    let made = linked(&lab, &first);
    assert!(made.len() >= 5, "{made:?}");
    for (path, comments) in &made {
        assert!(comments.contains(mark), "{path} of {linker}: {comments}");
    }
    all_hits(&build(&second));
    assert_eq!(linked(&lab, &second), made);
    lab.unset_env("LARDER_LINKER");
    all_hits(&build(&first));
    assert_eq!(linked(&lab, &first), usual);
}

#[test]
fn mold_links_everything() {
    links_with("mold", "mold", "mold ");
}

#[test]
fn wild_links_everything() {
    links_with("wild", "wild", "Linker: Wild");
}

#[test]
fn lld_links_everything() {
    links_with("lld", "ld.lld", "LLD");
}

/// `PATH` with these directories of the checkout first, and without any real wild.
fn search(lab: &Lab, checkout: &Checkout<'_>, dirs: &[&str]) {
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let rest = std::env::split_paths(&usual).filter(|dir| !dir.join("wild").exists());
    let dirs = dirs.iter().map(|dir| checkout.path(dir)).chain([sysroot().join("bin")]);
    lab.set_env("PATH", std::env::join_paths(dirs.chain(rest)).expect("PATH"));
}

/// A linker of this name that also links one of two objects.
fn tampered(checkout: &Checkout<'_>, path: &str, mold: &Path, value: u8) {
    script(checkout, path, &format!("exec {} \"$@\" objects/{value}.o", mold.display()));
}

#[test]
fn linker_replaced_at_the_same_path() {
    let Some(mold) = installed("mold") else { return };
    let lab = Lab::new();
    lab.set_env("LARDER_LINKER", "mold");
    let checkout = lab.checkout("first/ws", &foreign(&[]));
    search(&lab, &checkout, &["tools"]);
    object(&lab, &checkout, "objects/1.o", 1);
    object(&lab, &checkout, "objects/2.o", 2);
    for (value, result) in [(1, "miss"), (2, "miss"), (1, "hit")] {
        tampered(&checkout, "tools/mold", &mold, value);
        assert_eq!(rebuild(&checkout), format!("foo {value}"), "{}", checkout.last().describe());
        expect(&checkout.last(), "bin", "app", result);
    }
}

#[test]
fn linker_that_appears_earlier_in_path() {
    let Some(mold) = installed("mold") else { return };
    let lab = Lab::new();
    lab.set_env("LARDER_LINKER", "mold");
    let checkout = lab.checkout("first/ws", &foreign(&[]));
    search(&lab, &checkout, &["early", "late"]);
    object(&lab, &checkout, "objects/1.o", 1);
    object(&lab, &checkout, "objects/2.o", 2);
    tampered(&checkout, "late/mold", &mold, 1);
    assert_eq!(rebuild(&checkout), "foo 1");
    tampered(&checkout, "early/mold", &mold, 2);
    assert_eq!(rebuild(&checkout), "foo 2");
    expect(&checkout.last(), "bin", "app", "miss");
    checkout.remove("early/mold");
    assert_eq!(rebuild(&checkout), "foo 1");
    expect(&checkout.last(), "bin", "app", "hit");
}

/// The build goes on with the usual linker and says nothing; `larder doctor` does.
#[test]
fn linker_that_is_gone() {
    let Some(mold) = installed("mold") else { return };
    let lab = Lab::new();
    let files = Files::default()
        .package("", "app", "")
        .with("src/main.rs", "fn main() { println!(\"here\"); }\n");
    let (plain, checkout) = (lab.plain("plain/ws", &files), lab.checkout("first/ws", &files));
    lab.set_env("LARDER_LINKER", "wild");
    search(&lab, &checkout, &["tools"]);
    assert_eq!(rebuild(&plain), "here");
    let app = Path::new("target/debug/app");
    let usual = comments(&lab, &plain, app);
    script(&checkout, "tools/wild", &format!("exec {} \"$@\"", mold.display()));
    assert_eq!(rebuild(&checkout), "here");
    assert!(comments(&lab, &checkout, app).contains("mold "), "{}", checkout.last().describe());
    checkout.remove("tools/wild");
    assert_eq!(rebuild(&checkout), "here");
    assert_eq!(comments(&lab, &checkout, app), usual);
    expect(&checkout.last(), "bin", "app", "miss");
    let doctor = lab.larder(&["doctor"]);
    let said = "link.linker = wild (environment, LARDER_LINKER): there is no program wild in PATH";
    assert!(!doctor.ok() && doctor.stdout.contains(said), "{}", doctor.describe());
    assert!(doctor.stdout.contains("-> install it (cargo install"), "{}", doctor.describe());
}

/// A project that says how it is to be linked is linked so, and shares its outcomes with builds for
/// which no linker was chosen.
#[test]
fn flags_of_the_project_win() {
    if installed("mold").is_none() {
        return;
    }
    let lab = Lab::new();
    let flags = ["-C", "link-arg=-fuse-ld=bfd", "-C", "link-arg=objects/1.o"];
    let checkout = lab.checkout("first/ws", &foreign(&flags));
    object(&lab, &checkout, "objects/1.o", 1);
    assert_eq!(rebuild(&checkout), "foo 1");
    let usual = comments(&lab, &checkout, Path::new("target/debug/app"));
    assert!(!usual.contains("mold") && !usual.contains("LLD"), "{usual}");
    for linker in ["mold", "wild", "lld"] {
        lab.set_env("LARDER_LINKER", linker);
        assert_eq!(rebuild(&checkout), "foo 1");
        expect(&checkout.last(), "bin", "app", "hit");
        assert_eq!(comments(&lab, &checkout, Path::new("target/debug/app")), usual);
    }
}

/// What is not cached is linked in the same way.
#[test]
fn links_that_are_not_cached() {
    if installed("mold").is_none() {
        return;
    }
    let lab = Lab::new();
    lab.set_env("LARDER_LINKER", "mold");
    lab.set_env("LARDER_TRACER", "off");
    let checkout = lab.checkout("first/ws", &project());
    for paths in ["portable", "exact"] {
        lab.set_env("LARDER_PATHS", paths);
        expect(&build(&checkout), "bin", "app", "through");
        for (path, comments) in linked(&lab, &checkout) {
            assert!(comments.contains("mold "), "{path} with {paths} paths: {comments}");
        }
    }
}

/// A setting that is no linker changes nothing.
#[test]
fn unknown_linker() {
    let lab = Lab::new();
    let files = Files::default()
        .package("", "app", "")
        .with("src/main.rs", "fn main() { println!(\"here\"); }\n");
    let checkout = lab.checkout("first/ws", &files);
    assert_eq!(rebuild(&checkout), "here");
    lab.set_env("LARDER_LINKER", "ld");
    assert_eq!(rebuild(&checkout), "here");
    expect(&checkout.last(), "bin", "app", "hit");
}
