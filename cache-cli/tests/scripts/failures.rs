//! Scripts that fail, and a cache that fails.

use crate::harness::{Lab, walk};
use crate::support::{expect, left, script};

/// Makes cargo fail the same with and without the wrapper, then work when `in.txt` says `good`.
fn fails_then_works(bad: &str) {
    let lab = Lab::new();
    let body = format!(
        "println!(\"cargo:rerun-if-changed=in.txt\"); if std::fs::read_to_string(\"in.txt\").unwrap() == \"bad\" {{ {bad} }} std::fs::write(out(\"b\"), \"b\").unwrap(); set(1);"
    );
    let files = script(&body).with("one/in.txt", "bad");
    let plain = lab.plain("plain/ws", &files);
    let (first, second) = (lab.checkout("first/ws", &files), lab.checkout("second/ws", &files));
    for checkout in [&plain, &first, &second] {
        assert!(!checkout.cargo(&["build"]).ok());
        assert!(!checkout.cargo(&["build"]).ok());
        checkout.write("one/in.txt", "good");
        assert_eq!(checkout.build_and_run(), "1\n");
        assert_eq!(left(checkout, "one"), left(&plain, "one"));
    }
    plain.assert_same(&first);
    plain.assert_same(&second);
    assert!(first.runs()[..2].iter().all(|run| run.scripts() == [("one", "miss")]));
}

#[test]
fn one_that_fails_after_half_its_work() {
    fails_then_works(
        "std::fs::write(out(\"a\"), \"half\").unwrap(); eprintln!(\"no\"); std::process::exit(3);",
    );
}

#[test]
fn one_that_panics() {
    fails_then_works("panic!(\"no\");");
}

#[test]
fn one_that_is_killed() {
    fails_then_works(
        "let me = std::process::id().to_string(); std::process::Command::new(\"kill\").args([\"-9\", &me]).status().unwrap(); loop { std::thread::yield_now(); }",
    );
}

#[test]
fn a_build_that_is_killed_while_a_script_hangs() {
    let lab = Lab::new();
    let body = "if std::path::Path::new(\"hang\").exists() { std::fs::write(out(\"half\"), \"half\").unwrap(); std::fs::write(\"hangs\", \"\").unwrap(); loop { std::thread::park(); } } set(1);";
    let files = script(body).with("one/hang", "");
    let checkout = lab.checkout("first/ws", &files);
    let mut command = checkout.command(&["build"]);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut cargo = command.stderr(std::process::Stdio::null()).spawn().expect("cargo");
    while !checkout.path("one/hangs").exists() {
        std::thread::yield_now();
    }
    let group = format!("-{}", cargo.id());
    assert!(lab.command("kill").args(["-9", "--", &group]).status().expect("kill").success());
    cargo.wait().expect("its end");
    checkout.remove("one/hang");
    assert_eq!(checkout.build_and_run(), "1\n");
    let second = lab.checkout("second/ws", &files);
    second.remove("one/hang");
    assert_eq!(second.build_and_run(), "1\n");
}

#[test]
fn damaged_blobs_mean_running_it() {
    let lab = Lab::new();
    let files = script("std::fs::write(out(\"a\"), \"a\".repeat(5000)).unwrap(); set(1);");
    let first = lab.checkout("first/ws", &files);
    first.build_and_run();
    let mut blobs = Vec::new();
    walk(&lab.store(), &mut blobs);
    blobs.retain(|path| std::fs::read(path).is_ok_and(|bytes| bytes == [b'a'; 5000]));
    assert_eq!(blobs.len(), 1, "the file's blob");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&blobs[0], mode).expect("mode");
    std::fs::write(&blobs[0], vec![b'b'; 5000]).expect("damage");
    for place in ["second/ws", "third/ws"] {
        let checkout = lab.checkout(place, &files);
        assert_eq!(checkout.build_and_run(), "1\n");
        assert_eq!(left(&checkout, "one"), left(&first, "one"));
    }
    expect(&lab.checkout("fourth/ws", &files).cargo(&["build"]).good(), "hit");
}

#[test]
fn without_a_store_it_runs() {
    let lab = Lab::new();
    std::fs::write(lab.store(), "no directory").expect("a file in the way");
    lab.oracle(&script("std::fs::write(out(\"a\"), \"a\").unwrap(); set(1);"), |checkout| {
        checkout.build_and_run();
    });
}
