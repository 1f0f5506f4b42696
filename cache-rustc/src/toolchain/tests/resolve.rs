//! Every way in which a compiler is chosen.

use std::fs;
use std::os::unix::fs::symlink;

use super::super::Error;
use super::{Ask, HOST, World};

/// Not a script, so that it passes for a compiled program; never run.
const BINARY: &str = "\u{7f}ELF";

#[test]
fn program_inside_a_toolchain_is_told_without_a_process() {
    let world = World::new();
    let home = world.toolchain_at("opt/rust");
    world.program("opt/rust/bin/rustc", BINARY);
    symlink(&home, world.root.join("alias")).expect("link");
    symlink(home.join("bin/rustc"), world.root.join("my-rustc")).expect("link");
    let direct = home.join("bin/rustc");
    for program in [direct.clone(), world.root.join("alias/bin/rustc"), world.root.join("my-rustc")]
    {
        let compiler = world.resolve(&program, &Ask::default());
        assert_eq!((&compiler.program, &compiler.binary), (&program, &direct));
        assert_eq!((&compiler.home, &compiler.sysroot), (&home, &home));
        assert!(!compiler.rustup_proxy && !compiler.script);
    }
    assert!(!world.root.join("memo").exists());
}

#[test]
fn relative_path_and_bare_name() {
    let mut world = World::new();
    let home = world.toolchain_at("ws/tools");
    world.program("ws/tools/bin/rustc", BINARY);
    assert_eq!(world.resolve("../tools/bin/rustc", &Ask::default()).home, home);
    world.file("first/rustc", "not executable");
    let dirs = [world.root.join("first"), home.join("bin")];
    world.env.insert("PATH", std::env::join_paths(dirs).expect("no colons"));
    assert_eq!(world.resolve("rustc", &Ask::default()).home, home);
    assert!(matches!(world.try_resolve("no-such", &Ask::default()), Err(Error::NotFound { .. })));
}

#[test]
fn named_toolchain_needs_no_process() {
    let mut world = World::new();
    world.toolchain("mine");
    world.toolchain(&format!("nightly-{HOST}"));
    let path = world.toolchain_at("opt/rust");
    world.env.insert("RUSTUP_TOOLCHAIN", format!("nightly-{HOST}").into());
    assert_eq!(world.chosen(&Ask::default()), format!("nightly-{HOST}"));
    world.env.insert("RUSTUP_TOOLCHAIN", path.into());
    assert_eq!(world.chosen(&Ask::default()), "rust");
    world.env.insert("RUSTUP_TOOLCHAIN", "mine".into());
    assert_eq!(world.chosen(&Ask::default()), "mine");
    assert_eq!(world.calls("cargo/bin/calls"), 0);
}

#[test]
fn order_of_choice() {
    let mut world = World::new();
    for name in ["a", "b", "c", "d"] {
        world.toolchain(&format!("1.{}-{HOST}", name.as_bytes()[0]));
    }
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| format!("1.{}-{HOST}", name.as_bytes()[0]));
    assert_eq!(world.chosen(&Ask::default()), format!("stable-{HOST}"), "default");
    world.file("ws/rust-toolchain.toml", &format!("[toolchain]\nchannel = \"{a}\"\n"));
    assert_eq!(world.chosen(&Ask::default()), a, "file above");
    world.file("ws/member/rust-toolchain", &b);
    assert_eq!(world.chosen(&Ask::default()), b, "nearer file");
    world.settings(&format!("\"{}\" = \"{c}\"\n", world.root.join("ws/member").display()));
    assert_eq!(world.chosen(&Ask::default()), c, "override of the directory");
    assert_eq!(world.chosen(&Ask { cwd: Some("ws"), ..Ask::default() }), a, "not of the one above");
    // A short name is rustup's to complete.
    world.env.insert("RUSTUP_TOOLCHAIN", "stable".into());
    assert_eq!(world.chosen(&Ask::default()), format!("stable-{HOST}"), "environment");
    assert_eq!(
        world.chosen(&Ask { first_arg: Some(&format!("+{d}")), ..Ask::default() }),
        d,
        "argument"
    );
    assert_eq!(
        world.chosen(&Ask { first_arg: Some("+stable"), ..Ask::default() }),
        format!("stable-{HOST}")
    );
    assert_eq!(
        world.chosen(&Ask { first_arg: Some("-vV"), ..Ask::default() }),
        format!("stable-{HOST}")
    );
}

#[test]
fn one_question_is_asked_once() {
    let world = World::new();
    let asked = |ask: &Ask<'_>| {
        world.chosen(ask);
        world.calls("cargo/bin/calls")
    };
    assert_eq!(asked(&Ask::default()), 1);
    assert_eq!(asked(&Ask::default()), 1);
    // No override and no file names a directory, so it is the same question everywhere.
    assert_eq!(asked(&Ask { cwd: Some("ws"), ..Ask::default() }), 1);
    world.file("ws/rust-toolchain", "stable");
    assert_eq!(asked(&Ask::default()), 2);
    assert_eq!(asked(&Ask { cwd: Some("home"), ..Ask::default() }), 2, "not above this directory");
    world.settings("\"/elsewhere\" = \"stable\"\n");
    assert_eq!(asked(&Ask::default()), 3);
    assert_eq!(asked(&Ask::default()), 3);
    assert_eq!(asked(&Ask { cwd: Some("ws"), ..Ask::default() }), 4, "directories are named now");
}

#[test]
fn a_toolchain_linked_anew_is_noticed() {
    let world = World::new();
    let (old, new) = (world.toolchain_at("opt/old"), world.toolchain_at("opt/new"));
    let link = world.root.join("rustup/toolchains/mine");
    world.file("ws/rust-toolchain", "mine");
    symlink(old, &link).expect("link");
    assert_eq!(world.chosen(&Ask::default()), "old");
    fs::remove_file(&link).expect("remove");
    symlink(new, &link).expect("link");
    assert_eq!(world.chosen(&Ask::default()), "new");
}

#[test]
fn a_toolchain_that_is_missing_is_an_error_until_it_is_there() {
    let mut world = World::new();
    world.env.insert("RUSTUP_TOOLCHAIN", "beta".into());
    assert!(matches!(world.try_resolve("rustc", &Ask::default()), Err(Error::Probe { .. })));
    world.toolchain(&format!("beta-{HOST}"));
    assert_eq!(world.chosen(&Ask::default()), format!("beta-{HOST}"));
    world.env.insert("RUSTUP_TOOLCHAIN", format!("gone-{HOST}").into());
    assert!(world.try_resolve("rustc", &Ask::default()).is_err());
}

#[test]
fn proxies_by_hard_link_and_by_copy() {
    let mut world = World::new();
    let dir = world.root.join("bin2");
    world.program("bin2/rustup", super::RUSTUP);
    fs::hard_link(dir.join("rustup"), dir.join("rustc")).expect("link");
    let compiler = world.resolve(dir.join("rustc"), &Ask::default());
    assert!(compiler.rustup_proxy);
    // A copy is not known for what it is, but asking it gives the right answer.
    world.program("bin2/rustc2", super::RUSTUP);
    world.toolchain("mine");
    for (name, home) in [("mine", "mine"), ("stable", &format!("stable-{HOST}"))] {
        world.env.insert("RUSTUP_TOOLCHAIN", name.into());
        let copy = world.resolve(dir.join("rustc2"), &Ask::default());
        assert_eq!(copy.home, world.root.join("rustup/toolchains").join(home));
        assert!(!copy.rustup_proxy);
    }
}

#[test]
fn a_script_is_asked_again_when_anything_it_may_go_by_changes() {
    let mut world = World::new();
    let (a, b) = (world.toolchain_at("opt/a"), world.toolchain_at("opt/b"));
    let shim =
        format!("#!/bin/sh\nexec {}/opt/${{CHOICE:-a}}/bin/rustc \"$@\"\n", world.root.display());
    let shim_path = world.program("shims/rustc", &shim);
    let home = |world: &World| world.resolve(&shim_path, &Ask::default()).home;
    let calls = |world: &World| world.calls("opt/a/calls") + world.calls("opt/b/calls");
    assert_eq!((home(&world), home(&world)), (a.clone(), a.clone()));
    assert_eq!(calls(&world), 1);
    world.env.insert("CARGO_PKG_NAME", "unit".into());
    assert_eq!((home(&world), calls(&world)), (a.clone(), 1), "cargo's variables choose nothing");
    world.env.insert("CHOICE", "b".into());
    assert_eq!((home(&world), calls(&world)), (b.clone(), 2));
    world.file("ws/.tool-versions", "rust 1.0");
    assert_eq!((home(&world), calls(&world)), (b.clone(), 3));
    world.program("shims/rustc", &shim.replace("${CHOICE:-a}", "a"));
    assert_eq!((home(&world), calls(&world)), (a, 4));
    assert!(world.resolve(&shim_path, &Ask::default()).script);
}

#[test]
fn a_damaged_answer_is_asked_again() {
    let world = World::new();
    let right = world.chosen(&Ask::default());
    for damage in [&b""[..], b"x", &[0; 300]] {
        for entry in fs::read_dir(world.root.join("memo")).expect("memo") {
            fs::write(entry.expect("entry").path(), damage).expect("write");
        }
        assert_eq!(world.chosen(&Ask::default()), right);
    }
    assert_eq!(world.calls("cargo/bin/calls"), 4);
}

#[test]
fn explicit_sysroot() {
    let mut world = World::new();
    let other = world.toolchain_at("opt/other");
    let ask = Ask { sysroot: Some("../../opt/other"), ..Ask::default() };
    let compiler = world.resolve("rustc", &ask);
    assert_eq!(compiler.sysroot, other);
    assert_ne!(compiler.home, other);
    // clippy-driver, and only it, takes a sysroot from the environment.
    world.env.insert("SYSROOT", other.clone().into());
    assert_ne!(world.resolve("rustc", &Ask::default()).sysroot, other);
    let driver =
        world.program(&format!("rustup/toolchains/stable-{HOST}/bin/clippy-driver"), BINARY);
    let ask = Ask { wrapper: driver.to_str(), ..Ask::default() };
    assert_eq!(world.resolve("rustc", &ask).sysroot, other);
}

#[test]
fn wrappers() {
    let world = World::new();
    let home = world.root.join(format!("rustup/toolchains/stable-{HOST}"));
    let driver =
        world.program(&format!("rustup/toolchains/stable-{HOST}/bin/clippy-driver"), BINARY);
    symlink("rustup", world.root.join("cargo/bin/clippy-driver")).expect("link");
    let own = world.program("tools/wrap", "#!/bin/sh\nexec \"$@\"\n");
    let wrapper = |name: &str| {
        world
            .resolve("rustc", &Ask { wrapper: Some(name), ..Ask::default() })
            .wrapper
            .expect("a wrapper")
    };
    let direct = wrapper(driver.to_str().expect("utf-8"));
    assert_eq!((&direct.binary, &direct.home), (&driver, &Some(home)));
    let other = wrapper(own.to_str().expect("utf-8"));
    assert_eq!((other.binary, other.home), (own, None));
}

#[test]
fn a_program_that_does_not_answer() {
    let world = World::new();
    for answer in ["exit 3", "echo relative", "echo /no/such/directory", "true"] {
        let program = world.program("odd/rustc", &format!("#!/bin/sh\n{answer}\n"));
        let result = world.try_resolve(&program, &Ask::default());
        assert!(matches!(result, Err(Error::Probe { .. })), "{answer}: {result:?}");
    }
}
