//! What the compiler says is what it says without the wrapper.

use crate::harness::one_lib;
use crate::support::{all_sent, engine, how, lab_on, project};

#[test]
fn warnings_name_files_of_this_checkout() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let (plain, checkout) = (lab.plain("a/ws", &project()), lab.checkout("b/ws", &project()));
    for checkout in [&plain, &checkout] {
        let run = checkout.cargo(&["build", "--message-format=json"]).good();
        let root = checkout.root.to_str().unwrap();
        assert!(run.stdout.contains("unused variable"), "{}", run.describe());
        assert!(run.stdout.contains(root), "{}", run.describe());
        // Told again by cargo, which has kept it.
        let again = checkout.cargo(&["build"]).good();
        assert!(again.stderr.contains("one/src/lib.rs:3"), "{}", again.describe());
        checkout.program("target/debug/app");
    }
    all_sent(&checkout.runs()[0]);
    assert_eq!(plain.program("target/debug/app"), checkout.program("target/debug/app"));
}

#[test]
fn a_mistake_in_the_source_is_told_once_and_mended() {
    let Some(engine) = engine() else { return };
    let lab = lab_on(&engine);
    let wrong = one_lib("pub fn text() -> &'static str { 1 }\n");
    let (plain, checkout) = (lab.plain("a/ws", &wrong), lab.checkout("b/ws", &wrong));
    for checkout in [&plain, &checkout] {
        let run = checkout.cargo(&["build"]);
        assert!(!run.ok());
        assert_eq!(run.stderr.matches("error[E0308]").count(), 1, "{}", run.describe());
        checkout.write("one/src/lib.rs", "pub fn text() -> &'static str { \"1\" }\n");
        checkout.build_and_run();
    }
    plain.assert_same(&checkout);
    assert_eq!(how(&checkout.runs()[0], "one"), "failed: failed: exit code 1");
    all_sent(&checkout.last());
}
