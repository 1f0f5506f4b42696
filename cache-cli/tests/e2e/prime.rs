//! What was restored is made ready for its first edit, for who wants that.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::fill::{know, project, written_down};
use crate::harness::{Checkout, Lab};

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(300);

fn lab() -> Lab {
    let lab = Lab::new();
    lab.set_env("LARDER_FILL", "on");
    lab.set_env("CARGO_INCREMENTAL", "1");
    lab
}

/// The finished states of a crate: `<crate>-<hash>/s-<time>-<random>-<hash>`.
fn states(checkout: &Checkout<'_>, name: &str) -> Vec<PathBuf> {
    let below = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let named = |path: &PathBuf, begin: &str| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin))
    };
    let crates = below(&checkout.path("target/debug/incremental"));
    let crates = crates.into_iter().filter(|path| named(path, &format!("{name}-")));
    let states = crates.flat_map(|path| below(&path));
    states
        .filter(|path| named(path, "s-") && !path.to_string_lossy().ends_with("-working"))
        .collect()
}

/// The inodes of the object files in a crate's states.
fn objects(checkout: &Checkout<'_>, name: &str) -> BTreeSet<u64> {
    let files = states(checkout, name).into_iter().flat_map(|dir| std::fs::read_dir(dir).unwrap());
    let objects =
        files.map(Result::unwrap).filter(|file| file.path().extension() == Some("o".as_ref()));
    objects.map(|file| file.metadata().unwrap().ino()).collect()
}

#[track_caller]
fn primed(checkout: &Checkout<'_>, name: &str) {
    let since = Instant::now();
    while states(checkout, name).is_empty() {
        assert!(since.elapsed() < LIMIT, "{name} was not made ready");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_first_edit_of_a_restored_crate_is_incremental() {
    let lab = lab();
    let source = "mod a { pub fn one() -> u32 { 1 } }\nmod b { pub fn value() -> u32 { super::a::one() + lib10::value() } }\npub use b::value;\n";
    let files = project().with("lib11/src/lib.rs", source);
    know(&lab, &files).remove("");
    lab.set_env("LARDER_PRIME", "on");
    let second = lab.checkout("second/ws", &files);
    assert_eq!(second.build_and_run(), "12 made\n");
    assert!(second.last().rebuilt().is_empty(), "{}", second.last().describe());
    // In cargo's order, so all are ready when the last is.
    primed(&second, "app");
    assert_eq!(states(&second, "lib3").len(), 1);
    let before = objects(&second, "lib11");
    second.write("lib11/src/lib.rs", source.replace("{ 1 }", "{ 2 }"));
    assert_eq!(second.build_and_run(), "13 made\n");
    let after = objects(&second, "lib11");
    assert!(after.intersection(&before).next().is_some(), "what did not change is reused");
    assert!(second.cargo(&["build"]).good().rebuilt().is_empty());
}

#[test]
fn nothing_is_compiled_ahead_unless_asked_for() {
    let lab = lab();
    know(&lab, &project()).remove("");
    let second = lab.checkout("second/ws", &project());
    second.build_and_run();
    written_down(&lab);
    assert!(states(&second, "app").is_empty());
}
