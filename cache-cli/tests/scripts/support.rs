//! Projects with build scripts, and how their runs were served.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::harness::{Checkout, Files, Lab, Run, one_lib, walk};

/// A program `app` that prints what the build script of its library `one` set as `E2E_VALUE`. `body` is
/// the script's `main`; `set(value)` sets it, `out(name)` is a path in `OUT_DIR`.
pub(crate) fn script(body: &str) -> Files {
    let source = format!(
        "#![allow(dead_code)]\n\
         use std::path::PathBuf;\n\
         fn set(value: impl std::fmt::Display) {{ println!(\"cargo:rustc-env=E2E_VALUE={{value}}\"); }}\n\
         fn out(name: &str) -> PathBuf {{ PathBuf::from(std::env::var(\"OUT_DIR\").unwrap()).join(name) }}\n\
         fn main() {{\n{body}\n}}\n"
    );
    one_lib("pub fn text() -> &'static str { env!(\"E2E_VALUE\") }\n").with("one/build.rs", &source)
}

/// A workspace with [`script`]'s packages and one more, whose script needs nothing.
pub(crate) const ONE: &str = "one";

/// How the run of a package's script was served in the last build: `hit`, `miss`, `through`, or empty
/// when it did not run or was not served.
pub(crate) fn served(run: &Run, package: &str) -> String {
    let scripts = run.scripts();
    let found = scripts.iter().find(|(name, _)| *name == package);
    found.map(|(_, result)| (*result).to_owned()).unwrap_or_default()
}

/// Asserts how the run of the script of `one` was served.
#[track_caller]
pub(crate) fn expect(run: &Run, result: &str) {
    assert_eq!(served(run, ONE), result, "the run of one's script in\n{}", run.describe());
}

/// Why the run of the script of `one` was not stored.
#[track_caller]
pub(crate) fn not_stored(run: &Run) -> String {
    let event = run.events.iter().find(|event| event.runs_a_script());
    event.unwrap_or_else(|| panic!("no run of a script in\n{}", run.describe())).not_stored.clone()
}

/// The files in `OUT_DIR` of a package with their contents (a link's target, `/` for a directory), the
/// checkout's path taken out.
pub(crate) fn left(checkout: &Checkout<'_>, package: &str) -> BTreeMap<PathBuf, String> {
    let dir = out_dir(checkout, package);
    let mut paths = Vec::new();
    walk(&dir, &mut paths);
    let root = checkout.root.to_str().expect("UTF-8 paths in tests");
    let mut found = BTreeMap::new();
    for path in paths {
        let content = match std::fs::read_link(&path) {
            Ok(target) => target.display().to_string(),
            Err(_) => String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned(),
        };
        let name = path.strip_prefix(&dir).expect("inside").to_path_buf();
        found.insert(name, content.replace(root, "[ROOT]"));
    }
    found
}

/// `OUT_DIR` of a package that has one.
#[track_caller]
pub(crate) fn out_dir(checkout: &Checkout<'_>, package: &str) -> PathBuf {
    let build = checkout.path("target/debug/build");
    let runs = std::fs::read_dir(build).expect("build directory").flatten();
    let prefix = format!("{package}-");
    let is_of = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    };
    let mut dirs = runs.map(|entry| entry.path()).filter(is_of).map(|path| path.join("out"));
    dirs.find(|dir| dir.is_dir()).expect("an OUT_DIR")
}

/// Builds in a plain checkout and two that share a store; the first must miss, the second hit, and all
/// give the same.
#[track_caller]
pub(crate) fn hits_elsewhere(lab: &Lab, files: &Files) {
    let plain = lab.plain("plain/ws", files);
    let (first, second) =
        (lab.checkout("first/ws", files), lab.checkout("second/deeper/ws", files));
    for checkout in [&plain, &first, &second] {
        checkout.build_and_run();
        checkout.cargo(&["build"]).good();
    }
    plain.assert_same(&first);
    plain.assert_same(&second);
    expect(&first.runs()[0], "miss");
    assert_eq!(not_stored(&first.runs()[0]), "");
    expect(&second.runs()[0], "hit");
    assert_eq!(left(&plain, ONE), left(&first, ONE));
    assert_eq!(left(&plain, ONE), left(&second, ONE));
}

/// Builds in a plain checkout and two that share a store; both must run the script, for `reason`.
#[track_caller]
pub(crate) fn runs_everywhere(lab: &Lab, files: &Files, reason: &str) {
    let plain = lab.plain("plain/ws", files);
    let (first, second) = (lab.checkout("first/ws", files), lab.checkout("second/ws", files));
    for checkout in [&plain, &first, &second] {
        checkout.build_and_run();
    }
    plain.assert_same(&first);
    plain.assert_same(&second);
    for checkout in [&first, &second] {
        expect(&checkout.last(), "miss");
        let said = not_stored(&checkout.last());
        assert!(said.starts_with(reason), "{said}");
    }
}
