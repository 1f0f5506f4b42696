//! A lab whose builds are compiled on an engine, and how its units were served.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Checkout, Files, Lab, Run, macros, walk};

/// The engine's address; `None`, after saying so, when none runs.
///
/// # Panics
/// When none runs and `LARDER_REQUIRE_SERVERS` is 1.
pub(crate) fn engine() -> Option<String> {
    named("LARDER_TEST_REAPI")
}

/// The address of an engine whose workers run actions in some directory, not in a sandbox of which
/// that is the root; otherwise as [`engine`].
pub(crate) fn unsandboxed() -> Option<String> {
    named("LARDER_TEST_REAPI_BUILDGRID")
}

/// What starts an engine of the test's own; otherwise as [`engine`].
pub(crate) fn starter() -> Option<String> {
    named("LARDER_TEST_CASD")
}

/// The address of an engine whose instances `fleet-1` and so on have no workers; otherwise as [`engine`].
pub(crate) fn fleets() -> Option<String> {
    named("LARDER_TEST_REAPI_FLEET")
}

/// What starts a worker of one of [`fleets`]; otherwise as [`engine`].
pub(crate) fn bot() -> Option<String> {
    named("LARDER_TEST_BOT")
}

fn named(variable: &str) -> Option<String> {
    let address = env::var(variable).ok();
    if address.is_none() {
        let why = format!("{variable} is not set; `cargo xtask servers` runs an engine");
        assert!(env::var("LARDER_REQUIRE_SERVERS").as_deref() != Ok("1"), "{why}");
        println!("skipped: {why}");
    }
    address
}

/// A lab outside of `/tmp`, which sandboxes have their own of.
pub(crate) fn lab() -> Lab {
    let lab = Lab::inside(Path::new(env!("CARGO_TARGET_TMPDIR")), "lab");
    // A file that is named and not there is a mistake, and with a mistake there is no engine.
    std::fs::write(lab.root.join("larder.toml"), "").expect("a configuration");
    lab
}

/// A lab that compiles on this engine whatever it can.
pub(crate) fn lab_on(engine: &str) -> Lab {
    let lab = lab();
    // Half a gigabyte of toolchain is read once for all tests, not by the agent of each.
    let known = Path::new(env!("CARGO_TARGET_TMPDIR")).join("engines");
    let state = lab.store().join("state-v1");
    std::fs::create_dir_all(&known).expect("a directory");
    std::fs::create_dir_all(&state).expect("a directory");
    std::os::unix::fs::symlink(&known, state.join("engines-v1")).expect("a link");
    lab.set_env("LARDER_EXECUTE", engine);
    lab.set_env("LARDER_EXECUTE_LOCAL", "never");
    lab
}

/// What `larder execute status` says.
#[track_caller]
pub(crate) fn status(lab: &Lab) -> Value {
    let run = lab.larder(&["execute", "status", "--json"]);
    assert!(run.ok(), "{}", run.describe());
    serde_json::from_str(&run.stdout).expect("JSON")
}

/// How each unit was sent, by crate name and kind; runs of build scripts left out.
pub(crate) fn sent(run: &Run) -> BTreeMap<(String, String), String> {
    let units = run.events.iter().filter(|event| !event.runs_a_script() && event.result == "miss");
    units.map(|event| ((event.name.clone(), event.kind.clone()), event.sent.clone())).collect()
}

/// Asserts that units were compiled, and all of them on the engine.
#[track_caller]
pub(crate) fn all_sent(run: &Run) {
    let sent = sent(run);
    let all = sent.values().all(|sent| sent == "used");
    assert!(all && !sent.is_empty(), "{sent:?}\n{}", run.describe());
}

/// What was sent of a unit.
pub(crate) struct Offered {
    /// How many files, at last.
    pub(crate) files: usize,
    /// What was lacking at first.
    pub(crate) lacked: Vec<String>,
}

/// What was sent of the unit of this crate name.
#[track_caller]
pub(crate) fn offered(run: &Run, name: &str) -> Offered {
    let mut units = run.events.iter().filter(|event| !event.runs_a_script());
    let found = units.find(|event| event.name == name && event.result == "miss");
    let found = found.unwrap_or_else(|| panic!("{name} was not compiled in\n{}", run.describe()));
    Offered { files: found.sent_files, lacked: found.lacked.clone() }
}

/// How the unit of this crate name was sent.
#[track_caller]
pub(crate) fn how(run: &Run, name: &str) -> String {
    let found = sent(run).into_iter().find(|((crate_name, _), _)| crate_name == name);
    found.unwrap_or_else(|| panic!("{name} was not compiled in\n{}", run.describe())).1
}

/// A workspace with all that is not plain: a program, a library with a proc macro, and one with a
/// build script whose output is included.
pub(crate) fn project() -> Files {
    macros(
        "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\n\
         pub fn text() -> String { format!(\"{} {}\", MADE, reader::content!(\"data.txt\")) }\n\
         pub fn loud() { let unused = 1; }\n",
    )
    .with("one/data.txt", "data")
    .with(
        "one/build.rs",
        "fn main() {\n\
         let dir = std::env::var(\"OUT_DIR\").unwrap();\n\
         std::fs::write(dir + \"/made.rs\", \"pub const MADE: &str = \\\"made\\\";\").unwrap();\n\
         }\n",
    )
}

/// The same files, with something else in their sources that does the same.
pub(crate) fn varied(files: Files, with: &str) -> Files {
    let other = |(path, text): (String, String)| match Path::new(&path)
        .extension()
        .is_some_and(|extension| extension == "rs")
    {
        true => (path, format!("{text}\n// {with}\n")),
        false => (path, text),
    };
    Files(files.0.into_iter().map(other).collect())
}

/// What cargo and users look at of a target directory: libraries, metadata, programs, dependency
/// information, with their bytes.
pub(crate) fn products(checkout: &Checkout<'_>) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut paths = Vec::new();
    walk(&checkout.path("target/debug"), &mut paths);
    let kept = |path: &PathBuf| {
        let text = path.to_string_lossy();
        !text.contains("/.fingerprint/") && !text.contains("/incremental/")
    };
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).expect("a file");
        (path.strip_prefix(&checkout.root).expect("inside").to_path_buf(), bytes)
    };
    paths.into_iter().filter(kept).map(read).collect()
}
