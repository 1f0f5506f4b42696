//! What the engine makes is what this machine makes.

use crate::harness::{Files, one_lib};
use crate::support::{all_sent, engine, how, lab, lab_on, products, project, unsandboxed};

/// Builds on this machine and on an engine, in one directory, and compares all that is made.
fn same_bytes(engine: Option<String>, files: &Files, args: &[&str], programs: usize) {
    let Some(engine) = engine else { return };
    let lab = lab();
    let checkout = lab.checkout("ws", files);
    checkout.cargo(args).good();
    let here = products(&checkout);
    checkout.remove("target");
    lab.set_env("LARDER_EXECUTE", &engine);
    lab.set_env("LARDER_EXECUTE_LOCAL", "never");
    *lab.store.borrow_mut() = lab.root.join("another-store");
    let run = checkout.cargo(args).good();
    all_sent(&run);
    let there = products(&checkout);
    let is_elf = |bytes: &&Vec<u8>| bytes.starts_with(b"\x7fELF");
    assert!(here.values().filter(is_elf).count() >= programs, "{:?}", here.keys());
    assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
    for (path, bytes) in &here {
        assert!(there[path] == *bytes, "{} differs", path.display());
    }
}

#[test]
fn libraries_macros_scripts_and_programs() {
    same_bytes(engine(), &project(), &["build"], 4);
}

#[test]
fn in_a_directory_of_the_workers_own() {
    same_bytes(unsandboxed(), &project(), &["build"], 4);
}

#[test]
fn what_carries_the_place_is_compiled_here() {
    let Some(engine) = unsandboxed() else { return };
    let lab = lab_on(&engine);
    let source = "pub fn text() -> &'static str { env!(\"CARGO_MANIFEST_DIR\") }\n";
    let checkout = lab.checkout("ws", &one_lib(source));
    let one = checkout.path("one");
    assert_eq!(checkout.build_and_run().trim_end(), one.to_str().unwrap());
    assert_eq!(how(&checkout.last(), "one"), "failed: tied");
}

#[test]
fn optimised_with_debug_information() {
    let profile = "[profile.dev]\nopt-level = 2\ndebug = 2\n";
    let files = project();
    let manifest = files.0.iter().find(|(path, _)| path == "Cargo.toml").unwrap().1.clone();
    same_bytes(engine(), &files.with("Cargo.toml", &(manifest + profile)), &["build"], 4);
}

#[test]
fn checks_and_tests() {
    let files = project();
    same_bytes(engine(), &files, &["check", "--all-targets"], 0);
    same_bytes(engine(), &files, &["test", "--no-run"], 4);
}

#[test]
fn what_was_compiled_there_is_a_hit_everywhere() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let plain = lab.plain("plain/ws", &project());
    let (first, second) =
        (lab.checkout("first/ws", &project()), lab.checkout("second/deeper/ws", &project()));
    for checkout in [&plain, &first, &second] {
        assert_eq!(checkout.build_and_run(), "made data\n");
    }
    plain.assert_same(&first);
    plain.assert_same(&second);
    all_sent(&first.last());
    let hits = second.last().events.iter().all(|event| event.result == "hit");
    assert!(hits, "{}", second.last().describe());
    let stats = lab.stats();
    assert_eq!(stats["sent"]["used"], 5, "{stats}");
}
