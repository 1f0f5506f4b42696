//! Runs that must not be stored.

use std::net::TcpListener;

use crate::harness::Lab;
use crate::support::{expect, not_stored, runs_everywhere, script};

#[test]
fn one_that_writes_elsewhere() {
    let lab = Lab::new();
    let body = "std::fs::write(\"made.txt\", \"x\").unwrap(); println!(\"cargo:rerun-if-changed=build.rs\"); set(1);";
    runs_everywhere(&lab, &script(body), "wrote-elsewhere");
    assert!(lab.root.join("second/ws/one/made.txt").is_file());
}

#[test]
fn one_that_removes_something() {
    let lab = Lab::new();
    let body = "std::fs::remove_file(\"gone.txt\").unwrap(); println!(\"cargo:rerun-if-changed=build.rs\"); set(1);";
    runs_everywhere(&lab, &script(body).with("one/gone.txt", "x"), "removed-elsewhere");
    assert!(!lab.root.join("second/ws/one/gone.txt").exists());
}

#[test]
fn one_that_opens_a_socket() {
    let lab = Lab::new();
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = server.local_addr().expect("an address").port();
    let body = format!("std::net::TcpStream::connect((\"127.0.0.1\", {port})).unwrap(); set(1);");
    runs_everywhere(&lab, &script(&body), "network");
}

#[test]
fn one_that_starts_a_program_that_cannot_be_watched() {
    let lab = Lab::new();
    let source = lab.root.join("static.c");
    let program = lab.root.join("static");
    std::fs::write(&source, "int main(void) { return 0; }\n").expect("source");
    let made = lab.command("cc").arg("-static").arg("-o").args([&program, &source]).status();
    assert!(made.expect("cc").success());
    let body = format!(
        "assert!(std::process::Command::new({program:?}).status().unwrap().success()); set(1);"
    );
    runs_everywhere(&lab, &script(&body), "escaped-tracer");
}

#[test]
fn one_whose_refusal_is_known_is_not_watched_again() {
    let lab = Lab::new();
    let body =
        "std::fs::write(\"made.txt\", \"x\").unwrap(); set(std::env::var(\"LARDER\").is_ok());";
    let files = script(body);
    let first = lab.checkout("first/ws", &files);
    // While it is watched, a compiler that it asks is not served by itself.
    assert_eq!(first.build_and_run(), "true\n");
    let second = lab.checkout("second/ws", &files);
    assert_eq!(second.build_and_run(), "false\n");
    expect(&second.last(), "miss");
    assert!(not_stored(&second.last()).starts_with("wrote-elsewhere"));
}

#[test]
fn one_that_prints_very_much() {
    let lab = Lab::new();
    let body = "use std::io::Write; let line = [b'x'; 1 << 16]; let mut o = std::io::stdout().lock(); for _ in 0..400 { o.write_all(&line).unwrap(); } o.write_all(b\"\\n\").unwrap(); drop(o); set(1);";
    runs_everywhere(&lab, &script(body), "output-too-large");
}

#[test]
fn one_that_leaves_a_pipe() {
    let lab = Lab::new();
    let body = "assert!(std::process::Command::new(\"mkfifo\").arg(out(\"pipe\")).status().unwrap().success()); set(1);";
    runs_everywhere(&lab, &script(body), "out-dir-special");
}
