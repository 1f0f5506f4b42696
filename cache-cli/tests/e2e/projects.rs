//! Where packages come from: vendored, patched, from git, beside the workspace, installed.

use std::path::Path;

use crate::harness::{Checkout, Files, Lab, app};

/// A program that prints what `leaf`, a dependency of this kind, says.
fn user(dependency: &str, rest: &str) -> Files {
    Files::default()
        .package("", "app", &format!("[dependencies]\nleaf = {dependency}\n{rest}"))
        .with("src/main.rs", "fn main() { println!(\"{}\", leaf::text()); }\n")
}

const LEAF: &str = "pub fn text() -> &'static str { \"leaf 1\" }\n";

/// Plays building, running and building again, without and with the wrapper; in the second checkout
/// all must come from the store.
#[track_caller]
fn comes_from_the_store(lab: &Lab, files: &Files) {
    let (_, second) = lab.oracle(files, |checkout| {
        assert_eq!(checkout.build_and_run(), "leaf 1\n");
        checkout.cargo(&["build", "-v"]).good();
    });
    let built = &second.runs()[0];
    assert!(built.events.iter().all(|event| event.result == "hit"), "{}", built.describe());
    assert!(built.hits().contains(&"leaf"), "{}", built.describe());
}

fn vendored(files: Files) -> Files {
    files
        .with(
            ".cargo/config.toml",
            "[source.crates-io]\nreplace-with = \"vendored-sources\"\n[source.vendored-sources]\ndirectory = \"vendor\"\n",
        )
        .package("vendor/leaf", "leaf", "")
        .with("vendor/leaf/src/lib.rs", LEAF)
        .with("vendor/leaf/.cargo-checksum.json", "{\"files\":{}}")
}

#[test]
fn vendored_sources() {
    comes_from_the_store(&Lab::new(), &vendored(user("\"0.1\"", "[workspace]\n")));
}

#[test]
fn patched_dependencies() {
    let files =
        vendored(user("\"0.1\"", "[workspace]\n[patch.crates-io]\nleaf = { path = \"mine\" }\n"))
            .with("vendor/leaf/src/lib.rs", "pub fn text() -> &'static str { \"not patched\" }\n")
            .package("mine", "leaf", "")
            .with("mine/src/lib.rs", LEAF);
    comes_from_the_store(&Lab::new(), &files);
}

#[test]
fn packages_beside_the_workspace() {
    let files = user("{ path = \"../beside/leaf\" }", "[workspace]\n")
        .package("../beside/leaf", "leaf", "")
        .with("../beside/leaf/src/lib.rs", LEAF);
    let lab = Lab::new();
    let (_, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "leaf 1\n");
        checkout
            .write("../beside/leaf/src/lib.rs", "pub fn text() -> &'static str { \"leaf 2\" }\n");
        assert_eq!(checkout.build_and_run(), "leaf 2\n");
        checkout.remove("target");
        assert_eq!(checkout.build_and_run(), "leaf 2\n");
    });
    // cargo itself takes such a package for another one in each place: its hash has the path.
    second.runs()[0].expect(&[], &["leaf"]);
    second.runs()[2].expect(&["leaf"], &[]);
}

#[test]
fn dependencies_from_git() {
    let lab = Lab::new();
    lab.set_env("CARGO_NET_OFFLINE", "false");
    let source = lab.root.join("origin");
    let origin =
        lab.plain("origin", &Files::default().package("", "leaf", "").with("src/lib.rs", LEAF));
    let git = |args: &[&str]| {
        let mut git = lab.command("git");
        git.current_dir(&source).args(["-c", "user.name=e2e", "-c", "user.email=e2e@localhost"]);
        let done = git.args(args).output().expect("git");
        assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "leaf"]);
    drop(origin);
    let url = format!("{{ git = \"file://{}\" }}", source.display());
    let files = user(&url, "[workspace]\n");
    // Once fetched, cargo says nothing of it.
    lab.plain("fetch", &files).cargo(&["fetch"]).good();
    comes_from_the_store(&lab, &files);
}

#[test]
fn two_versions_of_one_package() {
    let lab = Lab::new();
    let files = user(
        "{ path = \"leaf1\" }",
        "other = { path = \"leaf2\", package = \"leaf\" }\n[workspace]\nexclude = [\"leaf1\", \"leaf2\"]\n",
    )
    .package("leaf1", "leaf", "")
    .with("leaf1/src/lib.rs", LEAF)
    .with(
        "leaf2/Cargo.toml",
        "[package]\nname = \"leaf\"\nversion = \"0.2.0\"\nedition = \"2021\"\n",
    )
    .with("leaf2/src/lib.rs", "pub fn text() -> &'static str { \"leaf 2\" }\n")
    .with("src/main.rs", "fn main() { println!(\"{} {}\", leaf::text(), other::text()); }\n");
    let (_, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "leaf 1 leaf 2\n");
        checkout.write("leaf2/src/lib.rs", "pub fn text() -> &'static str { \"leaf 3\" }\n");
        assert_eq!(checkout.build_and_run(), "leaf 1 leaf 3\n");
    });
    second.runs()[0].expect(&["leaf", "leaf"], &[]);
}

#[test]
fn cargo_install() {
    let lab = Lab::new();
    let install = |checkout: &Checkout<'_>| {
        checkout.cargo(&["install", "--path", ".", "--root", "installed", "--no-track"]).good();
        let program = checkout.path("installed/bin/app");
        assert!(Path::new(&program).is_file());
        assert_eq!(checkout.program("installed/bin/app"), "app 1, mid 1, leaf 1\n");
    };
    let (_, second) = lab.oracle(&app(), install);
    let run = &second.runs()[0];
    assert!(run.events.iter().all(|event| event.result == "hit"), "{}", run.describe());
}

#[test]
fn documentation_tests() {
    let lab = Lab::new();
    let files = app().with(
        "leaf/src/lib.rs",
        "/// ```\n/// assert_eq!(leaf::text(), \"leaf 1\");\n/// ```\n/// ```should_panic\n/// panic!();\n/// ```\npub fn text() -> &'static str { \"leaf 1\" }\n",
    );
    let (_, second) = lab.oracle(&files, |checkout| {
        let tested = checkout.cargo(&["test", "-p", "leaf", "--", "--test-threads=1"]).good();
        assert!(tested.stdout.contains("2 passed"), "{}", tested.describe());
    });
    second.runs()[0].expect(&["leaf"], &[]);
}
