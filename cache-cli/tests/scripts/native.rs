//! Scripts that compile C.

use crate::harness::{Files, Lab};
use crate::support::{expect, script};

/// A script that makes a static library of `value.c` with debug information, as the `cc` crate does: from
/// the package's directory, with a header copied to `OUT_DIR`.
fn with_c() -> Files {
    let body = r#"
        let run = |program: &str, args: &[&str]| {
            let status = std::process::Command::new(program).args(args).status().unwrap();
            assert!(status.success(), "{program} {args:?}");
        };
        std::fs::create_dir_all(out("include")).unwrap();
        std::fs::copy("value.h", out("include/value.h")).unwrap();
        let include = out("include").display().to_string();
        let here = std::env::current_dir().unwrap().join("value.c").display().to_string();
        let (object, archive) = (out("value.o").display().to_string(), out("libvalue.a").display().to_string());
        run("cc", &["-g", "-O0", "-c", "-I", &include, &here, "-o", &object]);
        run("ar", &["crsD", &archive, &object]);
        println!("cargo:rustc-link-search=native={}", out("").display());
        println!("cargo:rustc-link-lib=static=value");
        println!("cargo:rerun-if-changed=value.c");
        println!("cargo:rerun-if-changed=value.h");
        set(1);
    "#;
    script(body)
        .with(
            "one/src/lib.rs",
            "extern \"C\" { fn e2e_value() -> i32; }\npub fn text() -> i32 { unsafe { e2e_value() } }\n",
        )
        .with("one/value.c", "#include <value.h>\nint e2e_value(void) { return VALUE; }\n")
        .with("one/value.h", "#define VALUE 1\n")
}

#[test]
fn a_library_with_debug_information_is_the_same_everywhere() {
    let lab = Lab::new();
    let (first, second) = lab.oracle(&with_c(), |checkout| {
        assert_eq!(checkout.build_and_run(), "1\n");
    });
    expect(&first.last(), "miss");
    expect(&second.last(), "hit");
    assert!(
        second.last().events.iter().all(|event| event.result == "hit"),
        "{}",
        second.last().describe()
    );
    // A debugger that is started in the workspace finds the source.
    let gdb = lab
        .command("gdb")
        .args(["-batch", "-ex", "list e2e_value,e2e_value", "target/debug/app"])
        .current_dir(&second.root)
        .output();
    match gdb {
        Ok(said) => {
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            assert!(said.contains("return VALUE;"), "{said}");
        }
        Err(error) => println!("skipped: no gdb: {error}"),
    }
}

#[test]
fn with_exact_paths_it_is_as_the_compiler_writes_it() {
    let lab = Lab::new();
    lab.set_env("LARDER_PATHS", "exact");
    let (first, second) = lab.oracle(&with_c(), |checkout| {
        assert_eq!(checkout.build_and_run(), "1\n");
    });
    let archive = |checkout: &crate::harness::Checkout<'_>| {
        std::fs::read(crate::support::out_dir(checkout, "one").join("libvalue.a")).expect("archive")
    };
    let named = |bytes: &[u8], root: &std::path::Path| {
        String::from_utf8_lossy(bytes).contains(root.to_str().expect("UTF-8"))
    };
    assert!(named(&archive(&first), &first.root));
    assert!(named(&archive(&second), &second.root));
    expect(&second.last(), "miss");
}

#[test]
fn a_changed_header_counts() {
    let lab = Lab::new();
    let (_, second) = lab.oracle(&with_c(), |checkout| {
        assert_eq!(checkout.build_and_run(), "1\n");
        checkout.write("one/value.h", "#define VALUE 2\n");
        assert_eq!(checkout.build_and_run(), "2\n");
    });
    expect(&second.runs()[0], "hit");
}

#[test]
fn a_header_that_appears_earlier_in_the_search_counts() {
    let lab = Lab::new();
    let early = lab.root.join("early");
    std::fs::create_dir_all(&early).expect("directory");
    lab.set_env("CPATH", &early);
    lab.checkout("first/ws", &with_c()).build_and_run();
    let second = lab.checkout("second/ws", &with_c());
    assert_eq!(second.build_and_run(), "1\n");
    expect(&second.last(), "hit");
    std::fs::write(early.join("stdc-predef.h"), "").expect("header");
    let third = lab.checkout("third/ws", &with_c());
    assert_eq!(third.build_and_run(), "1\n");
    expect(&third.last(), "miss");
}

#[test]
fn another_compiler_counts() {
    let lab = Lab::new();
    let bin = lab.root.join("bin");
    lab.checkout("first/ws", &with_c()).build_and_run();
    crate::harness::write_program(&bin.join("cc"), "#!/bin/sh\nexec /usr/bin/cc -DOTHER \"$@\"\n");
    let path = std::env::var("PATH").unwrap_or_default();
    lab.set_env("PATH", format!("{}:{path}", bin.display()));
    let second = lab.checkout("second/ws", &with_c());
    assert_eq!(second.build_and_run(), "1\n");
    expect(&second.last(), "miss");
}
