//! What a linker reads. Whether linked units are cached or passed through, they are right.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::harness::{Files, Lab, app, one_lib, write_program};

/// `one` with a C part: `value()` in `native/c.c`, compiled by its build script.
fn native(kind: &str, value: u8) -> Files {
    let script = r#"
use std::process::Command;
fn main() {
    println!("cargo::rerun-if-changed=native");
    let out = std::env::var("OUT_DIR").unwrap();
    let run = |program: &str, args: &[&str]| {
        assert!(Command::new(program).args(args).status().unwrap().success(), "{program}");
    };
    run("cc", &["-c", "-fPIC", "native/c.c", "-o", &format!("{out}/c.o")]);
    let lib = format!("{out}/libpart.a");
    let _ = std::fs::remove_file(&lib);
    run("ar", &["crsD", &lib, &format!("{out}/c.o")]);
    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rustc-link-lib=KIND=part");
}
"#;
    one_lib("extern \"C\" { fn value() -> u8; }\npub fn text() -> u8 { unsafe { value() } }\n")
        .with("one/build.rs", &script.replace("KIND", kind))
        .with("one/native/c.c", &c(value))
}

fn c(value: u8) -> String {
    format!("unsigned char value(void) {{ return {value}; }}\n")
}

#[test]
fn a_native_library_is_an_input() {
    for kind in ["static", "static:-bundle", "static:+whole-archive"] {
        let lab = Lab::new();
        let (_, second) = lab.oracle(&native(kind, 1), |checkout| {
            assert_eq!(checkout.build_and_run(), "1\n");
            checkout.write("one/native/c.c", c(2));
            assert_eq!(checkout.build_and_run(), "2\n");
            checkout.write("one/native/c.c", c(1));
            assert_eq!(checkout.build_and_run(), "1\n");
        });
        let late = lab.checkout("third", &native(kind, 3));
        assert_eq!(late.build_and_run(), "3\n", "{kind}");
        assert!(second.runs().iter().all(|run| run.misses().is_empty()), "{kind}");
    }
}

#[test]
fn a_file_that_a_link_argument_names_is_an_input() {
    let lab = Lab::new();
    let script = "fn main() {\n    println!(\"cargo::rerun-if-changed=link.args\");\n    println!(\"cargo::rustc-link-arg-bins=@{}/link.args\", std::env::var(\"CARGO_MANIFEST_DIR\").unwrap());\n}\n";
    let main = "extern \"C\" { static e2e_value: u8; }\nfn main() { println!(\"{}\", unsafe { &raw const e2e_value } as usize % 1000); }\n";
    let args = |value: u32| format!("-no-pie -Wl,--defsym=e2e_value={value}");
    let files = Files::default()
        .package("", "app", "[workspace]\n")
        .with("build.rs", script)
        .with("src/main.rs", main)
        .with("link.args", &args(123));
    // Position dependent, so that the symbol's address is the number.
    lab.set_env("RUSTFLAGS", "-C relocation-model=static");
    lab.oracle(&files, |checkout| {
        assert_eq!(checkout.build_and_run(), "123\n");
        checkout.write("link.args", args(456));
        assert_eq!(checkout.build_and_run(), "456\n");
    });
    let third = lab.checkout("third", &files.with("link.args", &args(789)));
    assert_eq!(third.build_and_run(), "789\n");
}

#[test]
fn a_linker_of_ones_own_is_an_input() {
    let lab = Lab::new();
    let linker = lab.root.join("my-cc");
    let install = |value: u32| {
        let text = format!("#!/bin/sh\nexec cc \"$@\" -no-pie -Wl,--defsym=e2e_value={value}\n");
        write_program(&linker, text);
    };
    let main = "extern \"C\" { static e2e_value: u8; }\nfn main() { println!(\"{}\", unsafe { &raw const e2e_value } as usize % 1000); }\n";
    let files = Files::default().package("", "app", "[workspace]\n").with("src/main.rs", main);
    lab.set_env("RUSTFLAGS", format!("-C relocation-model=static -C linker={}", linker.display()));
    for (name, value) in [("a", 123), ("b", 123), ("c", 456), ("d", 123)] {
        install(value);
        assert_eq!(lab.checkout(name, &files).build_and_run(), format!("{value}\n"), "{name}");
    }
}

#[test]
fn a_restored_program_is_private_and_can_be_run() {
    let lab = Lab::new();
    lab.checkout("a", &app()).build_and_run();
    let b = lab.checkout("b", &app());
    b.build_and_run();
    assert_eq!(b.last().linked().len(), 1, "one program was asked for");
    let deps =
        b.find("target/debug/deps", |name| name.starts_with("app-") && !name.ends_with(".d"));
    let meta = std::fs::metadata(b.root.join(&deps[0])).unwrap();
    assert_eq!(meta.permissions().mode() & 0o200, 0o200, "its owner may write it");
    assert_eq!(meta.permissions().mode() & 0o111, 0o111);
    // cargo links it to target/debug/app; no third name is in the store.
    assert_eq!(meta.nlink(), 2);
}

#[test]
fn kinds_of_linked_libraries() {
    let lab = Lab::new();
    let files = Files::default()
        .package("", "part", "[lib]\ncrate-type = [\"cdylib\", \"staticlib\"]\n[workspace]\n")
        .with("src/lib.rs", "#[unsafe(no_mangle)]\npub extern \"C\" fn e2e_first() -> u8 { 1 }\n");
    lab.oracle(&files, |checkout| {
        checkout.cargo(&["build"]).good();
        assert!(checkout.path("target/debug/libpart.so").is_file());
        assert!(checkout.path("target/debug/libpart.a").is_file());
        checkout.write(
            "src/lib.rs",
            "#[unsafe(no_mangle)]\npub extern \"C\" fn e2e_second() -> u8 { 1 }\n",
        );
        checkout.cargo(&["build"]).good();
        let library = std::fs::read(checkout.path("target/debug/libpart.so")).unwrap();
        let has = |name: &[u8]| library.windows(name.len()).any(|window| window == name);
        assert!(has(b"\0e2e_second\0") && !has(b"\0e2e_first\0"));
        checkout.cargo(&["build"]).good();
    });
}
