//! What a run read, declared or not, decides whether it holds.

use crate::harness::Lab;
use crate::support::{expect, hits_elsewhere, script};

#[test]
fn a_run_is_restored_in_another_checkout() {
    hits_elsewhere(&Lab::new(), &script("std::fs::write(out(\"a\"), \"b\").unwrap(); set(1);"));
}

#[test]
fn a_file_it_did_not_declare() {
    let lab = Lab::new();
    let elsewhere = lab.root.join("elsewhere.txt");
    let body = format!(
        "println!(\"cargo:rerun-if-changed=build.rs\"); set(std::fs::read_to_string({elsewhere:?}).unwrap());"
    );
    let files = script(&body);
    for (value, place, result) in
        [("1", "a/ws", "miss"), ("1", "b/ws", "hit"), ("2", "c/ws", "miss"), ("1", "d/ws", "hit")]
    {
        std::fs::write(&elsewhere, value).expect("written");
        let checkout = lab.checkout(place, &files);
        assert_eq!(checkout.build_and_run().trim_end(), value);
        expect(&checkout.last(), result);
    }
}

#[test]
fn a_file_that_was_not_there() {
    let lab = Lab::new();
    let elsewhere = lab.root.join("elsewhere.txt");
    let files = script(&format!("set(std::path::Path::new({elsewhere:?}).exists());"));
    let first = lab.checkout("first/ws", &files);
    assert_eq!(first.build_and_run(), "false\n");
    std::fs::write(&elsewhere, "").expect("written");
    let second = lab.checkout("second/ws", &files);
    assert_eq!(second.build_and_run(), "true\n");
    expect(&second.last(), "miss");
}

#[test]
fn a_variable_it_did_not_declare() {
    let lab = Lab::new();
    let body = "println!(\"cargo:rerun-if-changed=build.rs\"); set(std::env::var(\"E2E_IN\").unwrap_or(\"-\".into()));";
    let files = script(body);
    for (value, place, result) in
        [("1", "a/ws", "miss"), ("1", "b/ws", "hit"), ("2", "c/ws", "miss")]
    {
        lab.set_env("E2E_IN", value);
        let checkout = lab.checkout(place, &files);
        assert_eq!(checkout.build_and_run().trim_end(), value);
        expect(&checkout.last(), result);
    }
    lab.unset_env("E2E_IN");
    let last = lab.checkout("d/ws", &files);
    assert_eq!(last.build_and_run(), "-\n");
}

#[test]
fn all_variables_at_once() {
    let lab = Lab::new();
    let body = "set(std::env::vars().filter(|(name, _)| name.starts_with(\"E2E_\")).count());";
    let files = script(body);
    let first = lab.checkout("first/ws", &files);
    assert_eq!(first.build_and_run(), "0\n");
    lab.set_env("E2E_ANY", "1");
    let second = lab.checkout("second/ws", &files);
    assert_eq!(second.build_and_run(), "1\n");
    expect(&second.last(), "miss");
}

#[test]
fn what_a_session_leaves_in_the_environment_counts_only_where_it_is_written() {
    let lab = Lab::new();
    let quiet =
        "let _ = std::process::Command::new(\"sh\").args([\"-c\", \"true\"]).status(); set(1);";
    let loud = "set(std::process::Command::new(\"sh\").args([\"-c\", \"echo x$SSH_TTY\"]).output().map(|o| String::from_utf8(o.stdout).unwrap().trim().to_owned()).unwrap());";
    for (name, body, result, said) in
        [("quiet", quiet, "hit", "1\n"), ("loud", loud, "miss", "x/dev/pts/2\n")]
    {
        let files = script(body);
        lab.set_env("SSH_TTY", "/dev/pts/1");
        lab.checkout(&format!("{name}/first/ws"), &files).build_and_run();
        lab.set_env("SSH_TTY", "/dev/pts/2");
        let second = lab.checkout(&format!("{name}/second/ws"), &files);
        assert_eq!(second.build_and_run(), said);
        expect(&second.last(), result);
    }
}

#[test]
fn a_text_that_carries_what_a_session_leaves() {
    let lab = Lab::new();
    let files = script(
        "let out = std::env::var(\"OUT_DIR\").unwrap(); let _ = std::process::Command::new(\"sh\").args([\"-c\", \"echo $OUT_DIR/x $SSH_TTY > $OUT_DIR/text\"]).status(); set(std::fs::read_to_string(format!(\"{out}/text\")).unwrap().split(' ').nth(1).unwrap().trim());",
    );
    for (tty, place, result) in [
        ("/dev/pts/1", "a/ws", "miss"),
        ("/dev/pts/1", "b/ws", "hit"),
        ("/dev/pts/2", "c/ws", "miss"),
    ] {
        lab.set_env("SSH_TTY", tty);
        let checkout = lab.checkout(place, &files);
        assert_eq!(checkout.build_and_run(), format!("{tty}\n"));
        expect(&checkout.last(), result);
    }
}

#[test]
fn who_comes_from_the_directory_above_leaves_nothing() {
    let lab = Lab::new();
    let files = script(
        "let _ = std::process::Command::new(\"sh\").args([\"-c\", \"echo $OUT_DIR > $OUT_DIR/text\"]).status(); println!(\"cargo:rustc-link-search={}\", std::env::var(\"OUT_DIR\").unwrap()); set(1);",
    );
    for (above, place, result) in [("first", "first/ws", "miss"), ("second", "second/ws", "hit")] {
        lab.set_env("OLDPWD", lab.root.join(above).to_str().unwrap());
        let checkout = lab.checkout(place, &files);
        assert_eq!(checkout.build_and_run(), "1\n");
        expect(&checkout.last(), result);
    }
}

#[test]
fn a_variable_that_a_shell_reads() {
    let lab = Lab::new();
    let body = "set(std::process::Command::new(\"sh\").args([\"-c\", \"echo v$E2E_IN\"]).output().map(|o| String::from_utf8(o.stdout).unwrap().trim().to_owned()).unwrap());";
    let files = script(body);
    for (value, place, result) in
        [("1", "a/ws", "miss"), ("1", "b/ws", "hit"), ("2", "c/ws", "miss")]
    {
        lab.set_env("E2E_IN", value);
        let checkout = lab.checkout(place, &files);
        assert_eq!(checkout.build_and_run(), format!("v{value}\n"));
        expect(&checkout.last(), result);
    }
}

#[test]
fn a_directory_it_lists() {
    let lab = Lab::new();
    let body = "println!(\"cargo:rerun-if-changed=build.rs\"); set(std::fs::read_dir(\"data\").unwrap().count());";
    let files = script(body).with("one/data/a", "");
    lab.checkout("first/ws", &files).build_and_run();
    let second = lab.checkout("second/ws", &files);
    assert_eq!(second.build_and_run(), "1\n");
    expect(&second.last(), "hit");
    let third = lab.checkout("third/ws", &files.with("one/data/b", ""));
    assert_eq!(third.build_and_run(), "2\n");
    expect(&third.last(), "miss");
}

#[test]
fn edits_there_and_back() {
    let lab = Lab::new();
    let body = "println!(\"cargo:rerun-if-changed=in.txt\"); set(std::fs::read_to_string(\"in.txt\").unwrap());";
    let files = script(body).with("one/in.txt", "a");
    let (first, second) = lab.oracle(&files, |checkout| {
        for value in ["a", "b", "a"] {
            checkout.write("one/in.txt", value);
            assert_eq!(checkout.build_and_run().trim_end(), value);
        }
    });
    for (run, result) in first.runs().iter().zip(["miss", "miss", "hit"]) {
        expect(run, result);
    }
    second.runs().iter().for_each(|run| expect(run, "hit"));
}

#[test]
fn cargos_own_rules_of_when_to_run_again_are_kept() {
    let lab = Lab::new();
    let body = "println!(\"cargo:rerun-if-changed=in.txt\");\nprintln!(\"cargo:rerun-if-env-changed=E2E_IN\"); set(1);";
    let files = script(body).with("one/in.txt", "a").with("one/other.txt", "a");
    let (_, second) = lab.oracle(&files, |checkout| {
        checkout.cargo(&["build"]).good();
        checkout.write("one/other.txt", "b");
        checkout.cargo(&["build", "-v"]).good();
        checkout.write("one/in.txt", "b");
        checkout.cargo(&["build", "-v"]).good();
        checkout.cargo(&["build", "-v"]).good();
        checkout.cargo_with(&["build", "-v"], |cargo| cargo.env("E2E_IN", "x")).good();
    });
    let served: Vec<_> = second.runs().iter().map(|run| run.scripts().len()).collect();
    assert_eq!(served, [1, 0, 1, 0, 1], "runs of scripts by build");
}

#[test]
fn a_library_found_by_pkg_config() {
    let lab = Lab::new();
    let here = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&here).any(|dir| dir.join("pkg-config").is_file()) {
        assert!(std::env::var_os("LARDER_REQUIRE_PKG_CONFIG").is_none(), "no pkg-config");
        println!("skipped: no pkg-config");
        return;
    }
    let body = "set(std::process::Command::new(\"pkg-config\").args([\"--modversion\", \"e2e\"]).output().map(|o| String::from_utf8(o.stdout).unwrap().trim().to_owned()).unwrap());";
    let files = script(body);
    let dir = lab.root.join("pc");
    std::fs::create_dir_all(&dir).expect("directory");
    lab.set_env("PKG_CONFIG_PATH", &dir);
    for (version, place, result) in
        [("1.0", "a/ws", "miss"), ("1.0", "b/ws", "hit"), ("2.0", "c/ws", "miss")]
    {
        let text = format!("Name: e2e\nDescription: e2e\nVersion: {version}\n");
        std::fs::write(dir.join("e2e.pc"), text).expect("written");
        let checkout = lab.checkout(place, &files);
        assert_eq!(checkout.build_and_run().trim_end(), version);
        expect(&checkout.last(), result);
    }
}

#[test]
fn a_tool_it_runs() {
    let lab = Lab::new();
    let tool = lab.root.join("tool");
    let body = format!(
        "set(std::process::Command::new({tool:?}).output().map(|o| String::from_utf8(o.stdout).unwrap().trim().to_owned()).unwrap());"
    );
    let files = script(&body);
    for (value, place, result) in
        [("1", "a/ws", "miss"), ("1", "b/ws", "hit"), ("2", "c/ws", "miss")]
    {
        crate::harness::write_program(&tool, format!("#!/bin/sh\necho {value}\n"));
        let checkout = lab.checkout(place, &files);
        assert_eq!(checkout.build_and_run().trim_end(), value);
        expect(&checkout.last(), result);
    }
}

#[test]
fn what_another_script_told_it() {
    let lab = Lab::new();
    let files = script("set(std::env::var(\"DEP_LOWER_TOLD\").unwrap());")
        .package("one", "one", "links = \"upper\"\n[dependencies]\nlower = { path = \"../lower\" }\n")
        .package("lower", "lower", "links = \"lower\"\n")
        .with("lower/src/lib.rs", "")
        .with("lower/build.rs", "fn main() { println!(\"cargo:rerun-if-changed=v\"); println!(\"cargo:told={}\", std::fs::read_to_string(\"v\").unwrap()); }\n")
        .with("lower/v", "1");
    let (_, second) = lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "1\n");
        checkout.write("lower/v", "2");
        assert_eq!(checkout.build_and_run(), "2\n");
    });
    second.runs().iter().for_each(|run| expect(run, "hit"));
}
