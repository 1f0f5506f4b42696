//! Turning it off, and target directories that outlive the wrapper.

use crate::harness::{Checkout, Lab};
use crate::support::{expect, script};

const BODY: &str = "println!(\"cargo:rerun-if-changed=in.txt\"); set(std::fs::read_to_string(\"in.txt\").unwrap());";

/// Whether a launcher lies at the compiled script's output path.
fn has_launcher(checkout: &Checkout<'_>) -> bool {
    let scripts = checkout.find("target/debug/build", |name| name == "build-script-build");
    assert_eq!(scripts.len(), 1, "one script");
    std::fs::read(checkout.path(scripts[0].to_str().expect("UTF-8")))
        .expect("a file")
        .starts_with(b"#!")
}

#[test]
fn off_for_all() {
    let lab = Lab::new();
    lab.set_env("LARDER_BUILD_SCRIPTS", "off");
    let files = script(BODY).with("one/in.txt", "1");
    let (first, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "1\n");
    });
    for checkout in [&first, &second] {
        expect(&checkout.last(), "");
        assert!(!has_launcher(checkout));
    }
}

#[test]
fn off_for_one_package() {
    let lab = Lab::new();
    std::fs::write(lab.root.join("larder.toml"), "build-scripts-except = [\"one\"]\n")
        .expect("config");
    let files = script(BODY)
        .with("one/in.txt", "1")
        .package("one", "one", "[dependencies]\ntwo = { path = \"../two\" }\n")
        .package("two", "two", "")
        .with("two/src/lib.rs", "")
        .with("two/build.rs", "fn main() {}\n");
    lab.checkout("first/ws", &files).build_and_run();
    let second = lab.checkout("second/ws", &files);
    second.build_and_run();
    assert_eq!(second.last().scripts(), [("two", "hit")]);
}

#[test]
fn off_after_it_was_on() {
    let lab = Lab::new();
    let files = script(BODY).with("one/in.txt", "1");
    let checkout = lab.checkout("first/ws", &files);
    checkout.build_and_run();
    assert!(has_launcher(&checkout));
    lab.set_env("LARDER_BUILD_SCRIPTS", "off");
    checkout.write("one/in.txt", "2");
    assert_eq!(checkout.build_and_run(), "2\n");
    expect(&checkout.last(), "");
}

#[test]
fn plain_cargo_goes_on_in_the_same_target_directory() {
    let lab = Lab::new();
    let files = script(BODY).with("one/in.txt", "1");
    let plain = lab.plain("plain/ws", &files);
    let checkout = lab.checkout("first/ws", &files);
    for checkout in [&plain, &checkout] {
        checkout.build_and_run();
        checkout.cargo_with(&["build"], |cargo| cargo.env_remove("RUSTC_WRAPPER")).good();
        for value in ["2", "3"] {
            checkout.write("one/in.txt", value);
            checkout.cargo_with(&["build", "-v"], |cargo| cargo.env_remove("RUSTC_WRAPPER")).good();
            assert_eq!(checkout.program("target/debug/app").trim_end(), value);
        }
        checkout.cargo(&["build"]).good();
    }
    plain.assert_same(&checkout);
}

#[test]
fn it_runs_by_itself_when_the_wrapper_is_gone() {
    let lab = Lab::new();
    let copy = lab.root.join("bin/larder");
    std::fs::create_dir_all(copy.parent().expect("parent")).expect("directory");
    assert!(
        lab.command("cp").arg(crate::harness::LARDER).arg(&copy).status().expect("cp").success()
    );
    let files = script(BODY).with("one/in.txt", "1");
    let checkout = lab.checkout("first/ws", &files);
    checkout.cargo_with(&["build"], |cargo| cargo.env("RUSTC_WRAPPER", &copy)).good();
    std::fs::remove_file(&copy).expect("removed");
    checkout.write("one/in.txt", "2");
    checkout.cargo_with(&["build"], |cargo| cargo.env_remove("RUSTC_WRAPPER")).good();
    assert_eq!(checkout.program("target/debug/app"), "2\n");
}

#[test]
fn a_compiled_script_that_is_restored_is_fresh() {
    let lab = Lab::new();
    let files = script(BODY).with("one/in.txt", "1");
    lab.checkout("first/ws", &files).build_and_run();
    let second = lab.checkout("second/ws", &files);
    second.build_and_run();
    let again = second.cargo(&["build", "--message-format=json"]).good();
    assert!(again.freshness().iter().all(|(_, fresh)| *fresh), "{}", again.describe());
    assert!(again.events.is_empty(), "{}", again.describe());
}
