//! Scripts that start compilers and cargo.

use crate::harness::Lab;
use crate::support::{expect, hits_elsewhere, script};

/// Asks the compiler through cargo's wrapper, as autocfg and many others do.
const PROBE: &str = r#"
    use std::io::Write;
    let probe = |source: &str| {
        let rustc = std::env::var_os("RUSTC").unwrap();
        let mut command = match std::env::var_os("RUSTC_WRAPPER").filter(|w| !w.is_empty()) {
            Some(wrapper) => { let mut c = std::process::Command::new(wrapper); c.arg(rustc); c }
            None => std::process::Command::new(rustc),
        };
        let mut child = command
            .args(["--crate-name", "probe", "--crate-type=lib", "--emit=metadata", "--out-dir"])
            .arg(out("")).arg("-").stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
        let good = child.wait().unwrap().success();
        let _ = std::fs::remove_file(out("libprobe.rmeta"));
        good
    };
    set(format!("{}-{}", probe("pub fn f() {}"), probe("pub fn f() { nonsense }")));
"#;

#[test]
fn probes_of_the_compiler() {
    hits_elsewhere(&Lab::new(), &script(PROBE));
}

#[test]
fn probes_of_the_compiler_start_none_on_a_hit() {
    let lab = Lab::new();
    let counter = lab.count_compilers();
    lab.checkout("first/ws", &script(PROBE)).build_and_run();
    assert!(counter.compiled().contains(&"probe".to_owned()));
    let second = lab.checkout("second/ws", &script(PROBE));
    assert_eq!(second.build_and_run(), "true-false\n");
    assert_eq!(counter.compiled(), Vec::<String>::new());
}

#[test]
fn a_build_inside_a_build() {
    let lab = Lab::new();
    let body = r#"
        let cargo = std::env::var_os("CARGO").unwrap();
        let status = std::process::Command::new(cargo)
            .args(["build", "--quiet", "--manifest-path", "../inner/Cargo.toml", "--target-dir"])
            .arg(out("inner")).env_remove("CARGO_ENCODED_RUSTFLAGS").status().unwrap();
        assert!(status.success());
        let said = std::process::Command::new(out("inner/debug/inner")).output().unwrap();
        set(String::from_utf8(said.stdout).unwrap().trim());
    "#;
    let files = script(body)
        .package("inner", "inner", "[workspace]\n")
        .with("inner/src/main.rs", "fn main() { println!(\"inner 1\"); }\n");
    let plain = lab.plain("plain/ws", &files);
    let (first, second) = (lab.checkout("first/ws", &files), lab.checkout("second/ws", &files));
    for checkout in [&plain, &first, &second] {
        assert_eq!(checkout.build_and_run(), "inner 1\n");
        checkout.write("inner/src/main.rs", "fn main() { println!(\"inner 2\"); }\n");
        checkout
            .write("one/src/lib.rs", "pub fn text() -> &'static str { env!(\"E2E_VALUE\") }\n\n");
        assert_eq!(checkout.build_and_run(), "inner 2\n");
    }
    plain.assert_same(&first);
    plain.assert_same(&second);
}

#[test]
fn this_program_as_wrapper_is_no_input() {
    let lab = Lab::new();
    let files = script("set(std::env::var(\"RUSTC_WRAPPER\").is_ok());");
    let (first, second) = (lab.checkout("first/ws", &files), lab.checkout("second/ws", &files));
    first.build_and_run();
    let copy = lab.root.join("elsewhere/larder");
    std::fs::create_dir_all(copy.parent().expect("parent")).expect("directory");
    assert!(
        lab.command("cp").arg(crate::harness::LARDER).arg(&copy).status().expect("cp").success()
    );
    lab.set_env("RUSTC_WRAPPER", &copy);
    second.build_and_run();
    expect(&second.last(), "hit");
}
