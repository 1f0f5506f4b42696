//! What was sent once, and nothing looked at, is not sent again; and is when it is wanted after all.

use crate::harness::{Files, one_lib};
use crate::support::{all_sent, engine, how, lab_on, offered};

fn text(file: &str) -> String {
    format!("pub fn text() -> &'static str {{ include_str!(\"../{file}\") }}\n")
}

/// A library with the text of one file, next to twenty that it does not read.
fn project() -> Files {
    (0..20).fold(one_lib(&text("a.txt")).with("one/a.txt", "a"), |files, n| {
        files.with(&format!("one/notes/{n}.txt"), &format!("note {n}"))
    })
}

#[test]
fn files_that_nothing_looked_at_are_not_sent_again() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let first = lab.checkout("ws", &project());
    assert_eq!(first.build_and_run(), "a\n");
    all_sent(&first.last());
    let before = offered(&first.last(), "one").files;
    // What is known is about the crate, wherever it lies.
    let second = lab.checkout("deeper/down/ws", &project());
    let more = text("a.txt") + "pub fn more() {}\n";
    second.write("one/src/lib.rs", &more);
    assert_eq!(second.build_and_run(), "a\n");
    all_sent(&second.last());
    let after = offered(&second.last(), "one");
    assert!(after.files + 20 <= before, "{} of {before}", after.files);
    assert!(after.lacked.is_empty(), "{:?}", after.lacked);
}

#[test]
fn a_file_that_was_left_out_and_is_wanted_is_sent() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let checkout = lab.checkout("ws", &project());
    checkout.build_and_run();
    let build = |source: &str| {
        checkout.write("one/src/lib.rs", source);
        checkout.remove("target");
        let said = checkout.build_and_run();
        all_sent(&checkout.last());
        (said, offered(&checkout.last(), "one").lacked)
    };
    let (said, lacked) = build(&text("notes/7.txt"));
    assert_eq!(said, "note 7\n");
    assert!(lacked.iter().any(|lacked| lacked.ends_with("/notes/7.txt")), "{lacked:?}");
    // A file that was not there when the others were found useless.
    checkout.write("one/new.txt", "new");
    assert_eq!(build(&text("new.txt")), ("new\n".to_owned(), vec![]));
}

#[test]
fn a_library_that_was_left_out_and_is_needed_is_sent() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let needs = |name: &str| format!("[dependencies]\n{name} = {{ path = \"../{name}\" }}\n");
    let files = one_lib("pub fn text() -> String { \"alone\".into() }\n")
        .package("one", "one", &needs("two"))
        .package("two", "two", &needs("three"))
        .with("two/src/lib.rs", "pub fn two() -> three::Three { three::Three(3) }\n")
        .package("three", "three", "")
        .with("three/src/lib.rs", "pub struct Three(pub u32);\n");
    let checkout = lab.checkout("ws", &files);
    assert_eq!(checkout.build_and_run(), "alone\n");
    all_sent(&checkout.last());
    checkout.write("one/src/lib.rs", "pub fn text() -> String { two::two().0.to_string() }\n");
    checkout.remove("target");
    assert_eq!(checkout.build_and_run(), "3\n");
    assert_eq!(how(&checkout.last(), "one"), "used");
    let lacked = &offered(&checkout.last(), "one").lacked;
    assert!(lacked.iter().any(|lacked| lacked.starts_with("pruned: ")), "{lacked:?}");
}

#[test]
fn a_directory_that_was_not_sent_whole_is_when_it_is_listed() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let source = |text: &str| format!("pub fn text() -> &'static str {{ {text} }}\n");
    let files = crate::harness::macros(&source("\"nothing\""));
    let files = files.with("one/d/x", "").with("one/d/y", "");
    let checkout = lab.checkout("ws", &files);
    assert_eq!(checkout.build_and_run(), "nothing\n");
    checkout.write("one/src/lib.rs", source("reader::names!(\"d\")"));
    checkout.remove("target");
    assert_eq!(checkout.build_and_run(), "x,y\n");
    all_sent(&checkout.last());
}
