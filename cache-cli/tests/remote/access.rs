//! Who may do what: only reading, and whose signatures count.

use crate::bucket::Bucket;
use crate::harness::walk;
use crate::machine::{Machine, Vars};
use crate::project::crates;

/// A key of a machine's own, and its public half.
fn new_key(machine: &Machine) -> (String, String) {
    let path = machine.root.join("key");
    let path = path.to_str().expect("UTF-8").to_owned();
    let made = machine.larder(&["key", "new", &path]).good();
    let public = made.stdout.split_whitespace().find(|word| word.starts_with("ed25519:"));
    (path, public.expect("the public key").to_owned())
}

#[test]
fn who_only_reads_uploads_nothing() {
    let bucket = Bucket::directory();
    let first = Machine::new(&bucket.vars);
    first.build("ws");
    first.push();
    let objects = || {
        let mut files = Vec::new();
        walk(&bucket.path(), &mut files);
        files.sort();
        files
    };
    let before = objects();
    assert!(!before.is_empty());
    let developer = Machine::new(&bucket.vars).with("LARDER_REMOTE_MODE", "read");
    let checkout = developer.build("ws");
    checkout.write("src/main.rs", "fn main() { println!(\"of my own\"); }\n");
    assert_eq!(checkout.build_and_run(), "of my own\n");
    developer.written_down();
    assert_eq!(developer.spooled(), 0);
    let pushed = developer.push();
    assert_eq!(pushed.stdout, "uploaded 0 outcomes\n");
    assert_eq!(objects(), before);
    assert!(developer.figure("brought") > 0);
}

#[test]
fn who_may_not_write_can_still_read() {
    let Some(bucket) = Bucket::s3() else { return };
    let first = Machine::new(&bucket.vars);
    first.build("ws");
    first.push();
    // The mode is left as it is: read-write.
    let reader = Machine::new(&bucket.vars)
        .with("AWS_ACCESS_KEY_ID", "reader")
        .with("AWS_SECRET_ACCESS_KEY", "reader-secret");
    let checkout = reader.build("ws");
    let brought = reader.figure("brought");
    checkout.write("src/main.rs", "fn main() { println!(\"of my own\"); }\n");
    assert_eq!(checkout.build_and_run(), "of my own\n");
    reader.written_down();
    let pushed = reader.larder(&["push", "--wait"]);
    assert!(!pushed.ok(), "{}", pushed.describe());
    for said in [pushed.stdout.clone(), reader.larder(&["remote", "status"]).good().stdout] {
        let names = said.contains("set remote.mode (now read-write, default) to read");
        assert!(names && said.contains("nothing can be written"), "{said}");
    }
    assert!(reader.spooled() > 0, "what is not there stays noted");
    assert!(brought > 0);
}

/// Builds on a machine that trusts one key; what came, and what was refused by whether it was unsigned,
/// foreign or forged.
fn trusting(bucket: &Vars, key: &str) -> (u64, [u64; 3], Vec<String>) {
    let machine = Machine::new(bucket)
        .with("LARDER_REMOTE_MODE", "read")
        .with("LARDER_REMOTE_TRUSTED_KEYS", key);
    machine.status();
    machine.build("ws");
    let status = machine.status();
    let refused = ["unsigned", "foreign", "forged"]
        .map(|kind| status["ignored"][kind].as_u64().expect("a number"));
    (status["brought"].as_u64().expect("a number"), refused, machine.compiled())
}

#[test]
fn only_what_a_trusted_key_signed_is_used() {
    let bucket = Bucket::directory();
    let ci = Machine::new(&bucket.vars);
    let (secret, public) = new_key(&ci);
    let ci = ci.with("LARDER_REMOTE_SIGNING_KEY", &secret);
    ci.build("ws");
    ci.push();
    let (_, stranger) = new_key(&Machine::new(&[]));
    let (brought, refused, compiled) = trusting(&bucket.vars, &stranger);
    assert_eq!((brought, refused[0], refused[2]), (0, 0, 0));
    assert!(refused[1] > 0, "the build's own record at least was looked at");
    assert_eq!(compiled, crates(), "nothing of a stranger's is accepted");
    let (brought, refused, compiled) = trusting(&bucket.vars, &format!("{stranger},{public}"));
    assert_eq!(refused, [0, 0, 0]);
    assert!(compiled.is_empty() && brought > 0, "{compiled:?}");
}

#[test]
fn what_nobody_signed_does_not_count() {
    let bucket = Bucket::directory();
    let first = Machine::new(&bucket.vars);
    first.build("ws");
    first.push();
    let (secret, public) = new_key(&first);
    let (brought, refused, compiled) = trusting(&bucket.vars, &public);
    assert_eq!((brought, refused[1], refused[2]), (0, 0, 0));
    assert!(refused[0] > 0);
    assert_eq!(compiled, crates());
    // Who signs replaces it: an unsigned record occupies no key for ever.
    let ci = Machine::new(&bucket.vars).with("LARDER_REMOTE_SIGNING_KEY", &secret);
    ci.build("ws");
    ci.push();
    let (brought, _, compiled) = trusting(&bucket.vars, &public);
    assert!(compiled.is_empty() && brought > 0, "{compiled:?}");
}
