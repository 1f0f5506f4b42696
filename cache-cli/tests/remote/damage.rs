//! Wrong bytes from a remote.

use crate::bucket::Bucket;
use crate::harness::{Lab, until, walk};
use crate::machine::Machine;
use crate::project::{crates, project};
use crate::proxy::{Fault, Rule};

/// One in so many answers has a wrong bit.
const ONE_IN: u64 = 10;

#[test]
fn wrong_bytes_in_one_of_ten_answers_are_found_and_counted() {
    let Some(bucket) = Bucket::s3() else { return };
    let first = Machine::new(&bucket.vars);
    first.build("ws");
    first.push();
    let lab = Lab::new();
    let oracle = lab.plain("plain/ws", &project());
    oracle.build_and_run();
    // By unit, so that there are many objects; each time others are struck.
    for turn in 0..ONE_IN {
        let (proxy, vars) = bucket.behind_proxy();
        proxy.add(Rule::always(Fault::Flip(40)).on("GET").one_in(ONE_IN, turn));
        // Who only reads asks for nothing but what is used.
        let second = Machine::new(&vars).with("LARDER_FILL", "off");
        let second = second.with("LARDER_REMOTE_MODE", "read");
        second.status();
        oracle.assert_same(&second.build("ws"));
        until("nothing is under way", || second.figure("under_way") == 0);
        // A bit of a record's first bytes makes it one of another version, or not ours.
        let counts = ["damaged", "other_version", "not_ours"];
        let counted: u64 = counts.iter().map(|name| second.figure(name)).sum();
        let struck = proxy.struck();
        assert!(struck > 0, "none in {} answers", proxy.requests());
        assert_eq!(counted, struck, "in {} answers: {:#}", proxy.requests(), second.status());
    }
}

#[test]
fn whatever_is_damaged_is_found_and_the_build_is_right() {
    let bucket = Bucket::directory();
    let first = Machine::new(&bucket.vars);
    first.build("ws");
    first.push();
    let mut objects = Vec::new();
    walk(&bucket.path(), &mut objects);
    assert!(objects.len() > crates().len(), "{objects:?}");
    let flip = |path: &std::path::Path| {
        let mut bytes = std::fs::read(path).expect("an object");
        let at = bytes.len() * 2 / 3;
        bytes[at] ^= 1;
        std::fs::write(path, bytes).expect("written");
    };
    // All of one kind at a time: the build's record, which leads to the index; the index and the packs;
    // the units' records.
    for kind in ["records", "blobs"] {
        let damaged: Vec<_> =
            objects.iter().filter(|path| path.to_string_lossy().contains(kind)).collect();
        damaged.iter().for_each(|path| flip(path));
        let second = Machine::new(&bucket.vars);
        second.status();
        second.build("ws");
        // What lies before the damage in a pack is good, and is used where it holds.
        let compiled = second.compiled();
        let all = compiled == crates();
        assert!(all || kind == "blobs" && compiled.contains(&"lib0".to_owned()), "{compiled:?}");
        assert!(second.figure("damaged") > 0, "{kind}: {:#}", second.status());
        let shown = second.larder(&["remote", "status"]).good().stdout;
        assert!(shown.contains("\nDamaged "), "{shown}");
        damaged.iter().for_each(|path| flip(path));
    }
}
