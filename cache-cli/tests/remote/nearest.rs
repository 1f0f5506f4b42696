//! A build that is not known is like one that is.

use crate::bucket::Bucket;
use crate::machine::Machine;
use crate::project::{PRINTS, project};

#[test]
fn another_lock_file_takes_the_nearest_index_and_fetches_the_difference() {
    let bucket = Bucket::directory();
    let first = Machine::new(&bucket.vars);
    first.build("ws");
    first.push();
    let second = Machine::new(&bucket.vars).with("LARDER_REMOTE_MODE", "read");
    second.status();
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
    let checkout = second.checkout("ws", &files);
    assert_eq!(checkout.cargo(&["build", "--locked"]).good().rebuilt().len(), 9);
    assert_eq!(checkout.program("target/debug/app"), PRINTS);
    let status = second.status();
    let asked = |what: &str| status["requests"][what].as_u64().unwrap_or(0);
    let compiled = second.compiled();
    // The build's two keys, of which the second is there; its index and its pack; and each of the two
    // units that the index does not name.
    assert_eq!(compiled, ["app", "lib7"], "{status:#}");
    assert_eq!((asked("ReadBlob"), asked("GetRecord")), (2, 4), "{status:#}");
}
