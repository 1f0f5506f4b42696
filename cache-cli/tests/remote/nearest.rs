//! A build that is not known is like one that is.

use crate::bucket::Bucket;
use crate::harness::Files;
use crate::machine::Machine;
use crate::project::{PRINTS, project};

/// A machine that has built `files`, with a bucket that has [`project`] and nothing else.
fn after_another(files: &Files) -> Machine {
    let bucket = Bucket::directory();
    let first = Machine::new(&bucket.vars);
    first.build("ws");
    first.push();
    let second = Machine::new(&bucket.vars).with("LARDER_REMOTE_MODE", "read");
    second.status();
    let checkout = second.checkout("ws", files);
    assert_eq!(checkout.cargo(&["build", "--locked"]).good().rebuilt().len(), 9);
    assert_eq!(checkout.program("target/debug/app"), PRINTS);
    drop(checkout);
    second
}

/// Requests for records and for blobs.
fn requests(machine: &Machine) -> (u64, u64) {
    let status = machine.status();
    let asked = |what: &str| status["requests"][what].as_u64().unwrap_or(0);
    (asked("GetRecord"), asked("ReadBlob"))
}

#[test]
fn another_lock_file_takes_the_nearest_index_and_fetches_the_difference() {
    // The last library has another version.
    let mut files = project();
    for (path, content) in &mut files.0 {
        let version = if path == "Cargo.lock" {
            "name = \"lib7\"\nversion = \"0.1.0\""
        } else {
            "version = \"0.1.0\""
        };
        if path == "Cargo.lock" || path == "lib7/Cargo.toml" {
            assert!(content.contains(version), "{content}");
            *content = content.replace(version, &version.replace("0.1.0", "0.2.0"));
        }
    }
    let machine = after_another(&files);
    // The build's two first keys, of which the second is there; its index and its pack; and each of the
    // two units that the index does not name.
    assert_eq!(requests(&machine), (4, 2), "{:#}", machine.status());
    assert_eq!(machine.compiled(), ["app", "lib7"]);
}

#[test]
fn a_new_package_in_the_workspace_takes_the_nearest_index_too() {
    let mut files = project().package("fresh", "fresh", "").with("fresh/src/lib.rs", "");
    for (path, content) in &mut files.0 {
        if path == "Cargo.toml" {
            *content = content.replace("members = [", "members = [\"fresh\", ");
        } else if path == "Cargo.lock" {
            let new = "[[package]]\nname = \"fresh\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"lib0\"";
            *content = content.replace("[[package]]\nname = \"lib0\"", new);
        }
    }
    let machine = after_another(&files);
    // The build's own key, that of all its packages, and one or two of single packages; then all is known.
    let (records, blobs) = requests(&machine);
    assert!(records <= 4 && blobs == 2, "{:#}", machine.status());
    machine.compiled_nothing();
}
