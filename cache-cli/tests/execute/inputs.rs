//! What a compile reads that nobody could know before.

use crate::harness::{Files, macros};
use crate::support::{all_sent, engine, how, lab_on, offered, sent};

fn using(call: &str) -> Files {
    macros(&format!("pub fn text() -> &'static str {{ {call} }}\n"))
}

#[test]
fn a_file_outside_of_the_package_is_learned() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let files = using("reader::content!(\"../shared/data.txt\")").with("shared/data.txt", "v1");
    let checkout = lab.checkout("ws", &files);
    assert_eq!(checkout.build_and_run(), "v1\n");
    all_sent(&checkout.last());
    checkout.write("shared/data.txt", "v2");
    checkout.remove("target");
    assert_eq!(checkout.build_and_run(), "v2\n", "it is an input");
    assert_eq!(how(&checkout.last(), "one"), "used");
}

#[test]
fn a_variable_that_a_macro_reads_is_learned_and_no_other_is_sent() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    lab.set_env("E2E_WORD", "first");
    let checkout = lab.checkout("ws", &using("reader::variable!(\"E2E_WORD\")"));
    assert_eq!(checkout.build_and_run(), "first\n");
    all_sent(&checkout.last());
    lab.set_env("E2E_WORD", "second");
    checkout.remove("target");
    assert_eq!(checkout.build_and_run(), "second\n", "it is an input");
    assert_eq!(how(&checkout.last(), "one"), "used");
}

/// One with the name of a setting too.
#[test]
fn what_the_build_script_sets_is_sent_at_first() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let library =
        "pub fn text() -> String { format!(\"{}{}\", env!(\"MADE\"), env!(\"LARDER_MADE\")) }\n";
    let script = "fn main() {\n\
                  println!(\"cargo:rustc-env=MADE=m\");\n\
                  println!(\"cargo::rustc-env=LARDER_MADE=l\");\n\
                  }\n";
    let checkout =
        lab.checkout("ws", &using("").with("one/src/lib.rs", library).with("one/build.rs", script));
    assert_eq!(checkout.build_and_run(), "ml\n");
    all_sent(&checkout.last());
    assert!(offered(&checkout.last(), "one").lacked.is_empty());
}

#[test]
fn a_directory_that_is_not_whole_there_is_listed_here() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let files = using("reader::names!(\"..\")");
    let (plain, checkout) = (lab.plain("a/ws", &files), lab.checkout("b/ws", &files));
    for checkout in [&plain, &checkout] {
        checkout.build_and_run();
    }
    plain.assert_same(&checkout);
    assert!(how(&checkout.last(), "one").starts_with("failed: listed: "));
    checkout.remove("target");
    checkout.write("one/src/lib.rs", "pub fn text() -> &'static str { reader::names!(\"..\" ) }");
    checkout.build_and_run();
    assert!(how(&checkout.last(), "one").starts_with("failed: known: listed: "), "not tried again");
}

#[test]
fn a_directory_that_is_whole_there_may_be_listed_there() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let files = using("reader::names!(\"d\")").with("one/d/x", "").with("one/d/y", "");
    let checkout = lab.checkout("ws", &files);
    assert_eq!(checkout.build_and_run(), "x,y\n");
    all_sent(&checkout.last());
    checkout.write("one/d/z", "");
    checkout.remove("target");
    assert_eq!(checkout.build_and_run(), "x,y,z\n");
    assert_eq!(how(&checkout.last(), "one"), "used");
}

#[test]
fn who_reads_all_variables_is_compiled_here() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    lab.set_env("E2E_ALL_A", "1");
    let checkout = lab.checkout("ws", &using("greedy::variables!(\"E2E_ALL_\")"));
    assert_eq!(checkout.build_and_run(), "E2E_ALL_A=1\n");
    assert_eq!(how(&checkout.last(), "one"), "failed: environ");
    // So is who loads what reads them.
    let sent = sent(&checkout.last());
    assert_eq!(sent.values().filter(|sent| *sent == "used").count(), 2, "{sent:?}");
}

/// A proc macro that makes a file and removes it, as the compiler does with its objects.
fn scratch_at(path: &str) -> Files {
    let body = format!(
        "#[proc_macro]\npub fn scratch(_: proc_macro::TokenStream) -> proc_macro::TokenStream {{\n\
         std::fs::write({path:?}, \"scratch\").unwrap();\n\
         std::fs::remove_file({path:?}).unwrap();\n\
         Default::default()\n\
         }}\n"
    );
    using("\"text\"")
        .with("reader/src/lib.rs", &body)
        .with("one/src/lib.rs", "reader::scratch!();\npub fn text() -> &'static str { \"text\" }\n")
}

/// Where a compiler on this machine races the one on the engine, its files lie where the other one's would.
#[test]
fn what_lies_here_where_scratch_was_there_is_somebody_elses() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    // On the engine this is a directory of the action's own.
    let scratch =
        tempfile::Builder::new().prefix("larder-e2e-").tempfile_in("/tmp").expect("a file");
    let path = scratch.path().to_str().expect("Unicode");
    let checkout = lab.checkout("ws", &scratch_at(path));
    assert_eq!(checkout.build_and_run(), "text\n");
    all_sent(&checkout.last());
    assert!(scratch.path().exists(), "nothing ran here");
}
