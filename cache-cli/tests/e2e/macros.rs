//! Proc macros that read the world behind rustc's back.

use crate::harness::{Checkout, Files, Lab, macros};

const LIB: &str = "pub fn text() -> &'static str { MACRO }\n";

fn using(call: &str) -> Files {
    macros(&LIB.replace("MACRO", call))
}

/// Builds in a checkout of its own, from nothing, and says how `one` was served and what it says.
fn fresh(checkout: &Checkout<'_>) -> (String, String) {
    let text = checkout.build_and_run();
    let served = checkout.last();
    let one = served.events.iter().find(|event| event.name == "one").expect("one was compiled");
    (one.result.clone(), text.trim_end().to_owned())
}

fn pair(result: &str, text: &str) -> (String, String) {
    (result.into(), text.into())
}

#[test]
fn a_file_read_by_a_macro_is_an_input() {
    let lab = Lab::new();
    let files = using("reader::content!(\"data.txt\")").with("one/data.txt", "v1");
    assert_eq!(fresh(&lab.checkout("a", &files)), pair("miss", "v1"));
    assert_eq!(fresh(&lab.checkout("deep/b", &files)), pair("hit", "v1"));
    let changed = files.with("one/data.txt", "v2");
    assert_eq!(fresh(&lab.checkout("c", &changed)), pair("miss", "v2"));
    assert_eq!(fresh(&lab.checkout("d", &changed)), pair("hit", "v2"));
    let c = lab.checkout("c", &changed.with("one/data.txt", "v1"));
    c.remove("target");
    let again = fresh(&c);
    assert_eq!(again, pair("hit", "v1"), "an older outcome is still known: {:?}", c.last().events);
}

#[test]
fn a_checkout_in_memory_is_no_special_place() {
    let shm = std::path::Path::new("/dev/shm");
    if !shm.is_dir() {
        eprintln!("skipped: no /dev/shm here");
        return;
    }
    let lab = Lab::inside(shm, "lab");
    let files = using("reader::content!(\"data.txt\")").with("one/data.txt", "v1");
    assert_eq!(fresh(&lab.checkout("a", &files)), pair("miss", "v1"));
    assert_eq!(fresh(&lab.checkout("b", &files)), pair("hit", "v1"));
    assert_eq!(fresh(&lab.checkout("c", &files.with("one/data.txt", "v2"))), pair("miss", "v2"));
}

#[test]
fn a_directory_listed_by_a_macro_is_an_input() {
    let lab = Lab::new();
    let files = using("reader::names!(\"d\")").with("one/d/x", "").with("one/d/y", "");
    assert_eq!(fresh(&lab.checkout("a", &files)), pair("miss", "x,y"));
    assert_eq!(fresh(&lab.checkout("b", &files)), pair("hit", "x,y"));
    let added = files.clone().with("one/d/z", "");
    assert_eq!(fresh(&lab.checkout("c", &added)), pair("miss", "x,y,z"));
    let renamed = Files(files.0.into_iter().filter(|(path, _)| path != "one/d/y").collect());
    assert_eq!(fresh(&lab.checkout("d", &renamed)), pair("miss", "x"));
}

#[test]
fn content_of_files_in_a_listed_directory_is_no_input_unless_read() {
    let lab = Lab::new();
    let files = using("reader::names!(\"d\")").with("one/d/x", "1");
    assert_eq!(fresh(&lab.checkout("a", &files)), pair("miss", "x"));
    assert_eq!(fresh(&lab.checkout("b", &files.with("one/d/x", "2"))), pair("hit", "x"));
}

#[test]
fn a_variable_read_by_a_macro_is_an_input() {
    let lab = Lab::new();
    let files = using("reader::variable!(\"E2E_VALUE\")");
    lab.set_env("E2E_VALUE", "1");
    assert_eq!(fresh(&lab.checkout("a", &files)), pair("miss", "1"));
    assert_eq!(fresh(&lab.checkout("b", &files)), pair("hit", "1"));
    lab.set_env("E2E_VALUE", "2");
    assert_eq!(fresh(&lab.checkout("c", &files)), pair("miss", "2"));
    lab.unset_env("E2E_VALUE");
    assert_eq!(fresh(&lab.checkout("d", &files)), pair("miss", "unset"));
    lab.set_env("E2E_VALUE", "1");
    lab.set_env("E2E_OTHER", "not read");
    assert_eq!(fresh(&lab.checkout("e", &files)), pair("hit", "1"));
}

#[test]
fn all_variables_read_by_a_macro_are_inputs() {
    let lab = Lab::new();
    let files = using("greedy::variables!(\"E2E_\")");
    lab.set_env("E2E_A", "1");
    assert_eq!(fresh(&lab.checkout("a", &files)), pair("miss", "E2E_A=1"));
    assert_eq!(fresh(&lab.checkout("b", &files)), pair("hit", "E2E_A=1"));
    lab.set_env("E2E_B", "2");
    assert_eq!(fresh(&lab.checkout("c", &files)), pair("miss", "E2E_A=1,E2E_B=2"));
    lab.unset_env("E2E_A");
    assert_eq!(fresh(&lab.checkout("d", &files)), pair("miss", "E2E_B=2"));
}

/// The crate that uses the macro names no proc macro among its externs.
fn through_a_re_export(call: &str) -> Files {
    macros(&LIB.replace("MACRO", &format!("facade::{call}")))
        .package("one", "one", "[dependencies]\nfacade = { path = \"../facade\" }\n")
        .package("facade", "facade", "[dependencies]\nreader = { path = \"../reader\" }\ngreedy = { path = \"../greedy\" }\n")
        .with("facade/src/lib.rs", "pub use greedy::*;\npub use reader::*;\n")
}

#[test]
fn a_macro_through_a_re_export_is_seen() {
    let lab = Lab::new();
    let files = through_a_re_export("content!(\"data.txt\")").with("one/data.txt", "v1");
    assert_eq!(fresh(&lab.checkout("a", &files)), pair("miss", "v1"));
    assert_eq!(fresh(&lab.checkout("b", &files)), pair("hit", "v1"));
    let changed = files.with("one/data.txt", "v2");
    assert_eq!(fresh(&lab.checkout("c", &changed)), pair("miss", "v2"));
}

#[test]
fn all_variables_read_through_a_re_export_are_inputs() {
    let lab = Lab::new();
    let files = through_a_re_export("variables!(\"E2E_\")");
    lab.set_env("E2E_A", "1");
    assert_eq!(fresh(&lab.checkout("a", &files)), pair("miss", "E2E_A=1"));
    lab.set_env("E2E_A", "2");
    assert_eq!(fresh(&lab.checkout("b", &files)), pair("miss", "E2E_A=2"));
}

#[test]
fn a_changed_macro_behind_a_re_export_is_noticed() {
    let lab = Lab::new();
    let files = through_a_re_export("variable!(\"E2E_NONE\")");
    assert_eq!(fresh(&lab.checkout("a", &files)), pair("miss", "unset"));
    let (path, reader) = files.0.iter().find(|(path, _)| path == "reader/src/lib.rs").unwrap();
    let other = reader.replace("\"unset\"", "\"none\"");
    let changed = files.clone().with(path, &other);
    assert_eq!(fresh(&lab.checkout("b", &changed)), pair("miss", "none"));
}

#[test]
fn a_probed_file_that_appears_is_noticed() {
    let lab = Lab::new();
    let files = using("reader::exists!(\"flag\")");
    assert_eq!(fresh(&lab.checkout("a", &files)), pair("miss", "not there"));
    assert_eq!(fresh(&lab.checkout("b", &files)), pair("hit", "not there"));
    let flagged = files.clone().with("one/flag", "");
    assert_eq!(fresh(&lab.checkout("c", &flagged)), pair("miss", "there"));
    assert_eq!(fresh(&lab.checkout("d", &flagged)), pair("hit", "there"));
    assert_eq!(fresh(&lab.checkout("e", &files)), pair("hit", "not there"));
}

#[test]
fn a_missing_file_that_appears_is_noticed() {
    let lab = Lab::new();
    let files = using("reader::content!(\"data.txt\")");
    assert_eq!(fresh(&lab.checkout("a", &files)), pair("miss", "no file"));
    assert_eq!(fresh(&lab.checkout("b", &files.with("one/data.txt", "v"))), pair("miss", "v"));
}

#[test]
fn a_macro_that_puts_the_place_into_the_code_binds_it() {
    let lab = Lab::new();
    let files = using("reader::place!()");
    for name in ["a", "b"] {
        let checkout = lab.checkout(name, &files);
        let (result, text) = fresh(&checkout);
        assert_eq!((result.as_str(), text), ("miss", checkout.path("one").display().to_string()));
        checkout.remove("target");
        assert_eq!(fresh(&checkout).0, "hit", "in the same place");
    }
}

#[test]
fn a_macro_used_by_several_crates_builds_the_same_as_plain_cargo() {
    let lab = Lab::new();
    let files = using("reader::content!(\"data.txt\")").with("one/data.txt", "v1");
    let (first, second) = lab.oracle(&files, |checkout| {
        checkout.build_and_run();
        checkout.write("one/data.txt", "v2");
        // Nothing tells cargo of the file: the oracle does not rebuild either.
        checkout.build_and_run();
        checkout.write("one/src/lib.rs", LIB.replace("MACRO", "reader::content!( \"data.txt\" )"));
        checkout.build_and_run();
    });
    first.runs()[0].expect(&[], &["one"]);
    second.runs()[0].expect(&["one"], &[]);
    second.runs()[2].expect(&["one"], &[]);
}
