//! `cargo check`, `cargo clippy`, `cargo doc`, rustup's proxies and other compilers in front.

use crate::harness::{LARDER, Lab, app, one_lib, write_program};

#[test]
fn check_then_build() {
    let lab = Lab::new();
    let (first, second) = lab.oracle(&app(), |checkout| {
        checkout.cargo(&["check"]).good();
        checkout.build_and_run();
        checkout.cargo(&["check"]).good();
        checkout.cargo(&["build"]).good();
    });
    // The program's own check links nothing, so it is cached too.
    first.runs()[0].expect(&[], &["app", "leaf", "mid"]);
    first.runs()[1].expect(&[], &["leaf", "mid"]);
    second.runs()[0].expect(&["app", "leaf", "mid"], &[]);
    second.runs()[1].expect(&["leaf", "mid"], &[]);
}

#[test]
fn build_then_check() {
    let lab = Lab::new();
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
        checkout.cargo(&["check"]).good();
        checkout.cargo(&["check", "--all-targets"]).good();
        checkout.cargo(&["build"]).good();
    });
    second.runs()[1].expect(&["app", "leaf", "mid"], &[]);
}

const LINTED: &str = "pub fn text() -> bool { let x = 1; x == x }\npub fn many(a: u8, b: u8, c: u8, d: u8, e: u8) -> u8 { a + b + c + d + e }\n";

#[test]
fn clippy_twice_and_in_a_second_checkout() {
    let lab = Lab::new();
    let (first, second) = lab.oracle(&one_lib(LINTED), |checkout| {
        for _ in 0..2 {
            let run = checkout.cargo(&["clippy"]);
            assert!(run.stderr.contains("clippy::eq_op"), "{}", run.describe());
        }
        checkout.write(
            "one/src/lib.rs",
            "#![allow(clippy::eq_op)]\npub fn text() -> bool { let x = 1; x == x }\n",
        );
        for args in [&["clippy"][..], &["clippy"], &["check"], &["build"]] {
            checkout.cargo(args).good();
        }
        checkout.remove("target");
        checkout.cargo(&["clippy"]).good();
    });
    first.runs()[6].expect(&["app", "one"], &[]);
    second.runs()[2].expect(&["app", "one"], &[]);
}

#[test]
fn clippy_notices_its_configuration() {
    let lab = Lab::new();
    let files = one_lib(&LINTED.replace("x == x", "x == 1"));
    lab.oracle(&files, |checkout| {
        let limit = |count: u8| format!("too-many-arguments-threshold = {count}\n");
        for (path, text, warns) in [
            (None, String::new(), false),
            (Some("clippy.toml"), limit(3), true),
            (Some("clippy.toml"), limit(9), false),
            (Some(".clippy.toml"), limit(2), true),
        ] {
            checkout.remove_if_there("clippy.toml");
            if let Some(path) = path {
                checkout.write(path, text);
            }
            checkout.remove_if_there("target");
            let run = checkout.cargo(&["clippy"]).good();
            assert_eq!(run.stderr.contains("too_many_arguments"), warns, "{}", run.describe());
        }
    });
}

#[test]
fn clippy_notices_its_configuration_directory() {
    let lab = Lab::new();
    let files = one_lib(&LINTED.replace("x == x", "x == 1"))
        .with("conf/3/clippy.toml", "too-many-arguments-threshold = 3\n")
        .with("conf/9/clippy.toml", "too-many-arguments-threshold = 9\n");
    lab.oracle(&files, |checkout| {
        for (limit, warns) in [("3", true), ("9", false), ("3", true)] {
            checkout.remove_if_there("target");
            let dir = checkout.path("conf").join(limit);
            let run =
                checkout.cargo_with(&["clippy"], |cargo| cargo.env("CLIPPY_CONF_DIR", &dir)).good();
            assert_eq!(run.stderr.contains("too_many_arguments"), warns, "{}", run.describe());
        }
    });
}

#[test]
fn clippy_arguments_are_noticed() {
    let lab = Lab::new();
    let files =
        one_lib("pub fn text() -> bool { let x: Option<u8> = None; x.unwrap_or(1) == 1 }\n");
    lab.oracle(&files, |checkout| {
        for (args, ok) in [
            (&["clippy"][..], true),
            (&["clippy", "--", "-D", "clippy::implicit_return"], false),
            (&["clippy"], true),
        ] {
            assert_eq!(checkout.cargo(args).ok(), ok);
        }
    });
}

#[test]
fn documentation_is_built_as_always() {
    let lab = Lab::new();
    lab.oracle(&app(), |checkout| {
        checkout.cargo(&["doc", "--no-deps", "-p", "mid"]).good();
        checkout.cargo(&["build"]).good();
    });
}

#[test]
fn through_rustups_proxies() {
    let lab = Lab::new();
    let proxies =
        std::env::var_os("HOME").map(|home| std::path::Path::new(&home).join(".cargo/bin"));
    let Some(proxies) = proxies.filter(|dir| dir.join("rustup").exists()) else {
        eprintln!("skipped: no rustup here");
        return;
    };
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", proxies.display());
    lab.set_env("PATH", path);
    let (_, second) = lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
        checkout.cargo(&["build"]).good();
    });
    second.runs()[0].expect(&["leaf", "mid"], &[]);
}

#[test]
fn another_wrapper_behind_this_one() {
    let lab = Lab::new();
    let script = lab.root.join("behind");
    write_program(&script, "#!/bin/sh\nexec \"$@\"\n");
    lab.set_env("RUSTC_WORKSPACE_WRAPPER", &script);
    lab.oracle(&app(), |checkout| {
        checkout.build_and_run();
        checkout.cargo(&["build"]).good();
    });
}

#[test]
fn a_workspace_wrapper_of_its_own() {
    let lab = Lab::new();
    lab.set_env("RUSTC_WORKSPACE_WRAPPER", LARDER);
    let (a, b) = (lab.checkout("a", &app()), lab.checkout("b", &app()));
    for checkout in [&a, &b] {
        assert_eq!(checkout.build_and_run(), "app 1, mid 1, leaf 1\n");
        assert!(checkout.cargo(&["build"]).good().rebuilt().is_empty());
    }
}

#[test]
fn a_copy_of_the_wrapper_under_another_name() {
    let lab = Lab::new();
    let copy = lab.root.join("rustc-cache");
    std::fs::copy(LARDER, &copy).unwrap();
    let run = |name: &str| {
        let checkout = lab.checkout(name, &app());
        let run = checkout.cargo_with(&["build"], |cargo| cargo.env("RUSTC_WRAPPER", &copy)).good();
        assert_eq!(checkout.program("target/debug/app"), "app 1, mid 1, leaf 1\n");
        run
    };
    run("a").expect(&[], &["leaf", "mid"]);
    run("b").expect(&["leaf", "mid"], &[]);
}

#[test]
fn two_toolchains_share_a_store() {
    let lab = Lab::new();
    // The same compiler under another path and with another identity would do as well; a script
    // that adds an option is another compiler to cargo, and must not share outcomes wrongly.
    let script = lab.root.join("other-rustc");
    let rustc = crate::harness::sysroot().join("bin/rustc");
    let text = format!("#!/bin/sh\nexec '{}' \"$@\" --cfg other\n", rustc.display());
    write_program(&script, text);
    let files = one_lib("#![allow(unexpected_cfgs)]\npub fn text() -> bool { cfg!(other) }\n");
    for (name, other) in [("a", false), ("b", true), ("c", false), ("d", true)] {
        let checkout = lab.checkout(name, &files);
        checkout
            .cargo_with(&["build"], |cargo| if other { cargo.env("RUSTC", &script) } else { cargo })
            .good();
        assert_eq!(checkout.program("target/debug/app").trim_end(), other.to_string(), "{name}");
    }
}
