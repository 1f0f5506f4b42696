//! Two machines share a bucket.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cache_core::Digest;

use crate::bucket::Bucket;
use crate::harness::{Checkout, walk};
use crate::machine::Machine;
use crate::project::{PRINTS, crates, project};

/// What cargo and others would take from the target directory: libraries, metadata, programs.
fn outputs(checkout: &Checkout<'_>) -> BTreeMap<PathBuf, Digest> {
    let mut files = Vec::new();
    walk(&checkout.path("target/debug/deps"), &mut files);
    files.retain(|path| path.extension().is_none_or(|ext| ext != "d"));
    files
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).expect("an output");
            (path.strip_prefix(&checkout.root).expect("inside").into(), Digest::of(&bytes))
        })
        .collect()
}

fn a_second_machine_starts_no_compiler(bucket: &Bucket) {
    let first = Machine::new(&bucket.vars);
    let oracle = first.plain("plain/ws", &project());
    assert_eq!(oracle.build_and_run(), PRINTS);
    assert_eq!(first.compiled(), crates());
    let built = first.build("ws");
    assert_eq!(first.compiled(), crates());
    let pushed = first.push();
    assert!(pushed.stdout.starts_with("uploaded "), "{}", pushed.stdout);
    assert_eq!(first.spooled(), 0);
    let (wanted, names) = (outputs(&built), |outputs: &BTreeMap<PathBuf, Digest>| {
        outputs.keys().cloned().collect::<Vec<_>>()
    });
    let second = Machine::new(&bucket.vars);
    second.status();
    let brought = second.build("elsewhere/deeper/ws");
    // The same names as without the wrapper, the same bytes as on the machine that compiled.
    let outputs = outputs(&brought);
    assert_eq!(names(&outputs), names(&wanted));
    assert_eq!(outputs, wanted);
    second.compiled_nothing();
}

#[test]
fn a_second_machine_starts_no_compiler_with_a_directory() {
    a_second_machine_starts_no_compiler(&Bucket::directory());
}

#[test]
fn a_second_machine_starts_no_compiler_with_s3() {
    if let Some(bucket) = Bucket::s3() {
        a_second_machine_starts_no_compiler(&bucket);
    }
}

#[test]
fn a_target_directory_that_is_there_is_served_unit_by_unit() {
    let bucket = Bucket::directory();
    let first = Machine::new(&bucket.vars);
    let built = first.build("ws");
    built.write("lib0/src/lib.rs", "pub fn value() -> u32 { 2 }\n");
    built.cargo(&["build"]).good();
    first.push();
    // Nobody asks about a build here: the first unit that misses finds no agent, and starts one.
    let second = Machine::new(&[]);
    let checkout = second.build("ws");
    second.set_vars(&bucket.vars);
    checkout.write("lib0/src/lib.rs", "pub fn value() -> u32 { 2 }\n");
    assert_eq!(checkout.build_and_run(), PRINTS.replace('8', "9"));
    assert_eq!(second.agents().len(), 1, "{}", checkout.last().describe());
    assert!(second.figure("brought") > 0, "compiled {:?}", second.compiled());
}
