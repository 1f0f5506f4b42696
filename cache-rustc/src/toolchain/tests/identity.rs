//! What changes an identity, and what does not.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use super::super::identity::{Trust, identity_with};
use super::super::{Error, Identity, identity};
use super::{Ask, HOST, World};

fn of(world: &World, home: &Path, target: Option<&str>) -> Identity {
    let compiler = world.resolve(home.join("bin/rustc"), &Ask::default());
    identity_with(&compiler, target, &world.root.join("memo"), Trust::AllStamps)
        .expect("an identity")
}

/// How often `-vV` was asked for: once for each identity that was computed.
fn computed(home: &Path) -> usize {
    let calls = fs::read_to_string(home.join("calls")).unwrap_or_default();
    calls.lines().filter(|line| *line == "-vV").count()
}

#[test]
fn says_what_the_compiler_says() {
    let world = World::new();
    let identity = of(&world, &world.toolchain_at("a"), None);
    assert_eq!((identity.host.as_str(), identity.release.as_str()), (HOST, "1.2.3"));
    assert_eq!(identity.commit.as_deref(), Some("abc"));
}

#[test]
fn the_same_bytes_elsewhere_are_the_same_compiler() {
    let world = World::new();
    let (a, b) = (world.toolchain_at("a"), world.toolchain_at("b c/ü"));
    assert_eq!(of(&world, &a, None), of(&world, &b, None));
    world.toolchain("mine");
    let mut world = world;
    world.env.insert("RUSTUP_TOOLCHAIN", "mine".into());
    let proxied = world.resolve("rustc", &Ask::default());
    let memo = world.root.join("memo");
    assert_eq!(
        identity_with(&proxied, None, &memo, Trust::AllStamps).expect("identity"),
        of(&world, &a, None)
    );
}

#[test]
fn known_without_a_process() {
    let world = World::new();
    let home = world.toolchain_at("a");
    let first = of(&world, &home, None);
    let calls = world.calls("a/calls");
    assert_eq!(of(&world, &home, None), first);
    assert_eq!(world.calls("a/calls"), calls);
    assert_eq!(computed(&home), 1);
}

#[test]
fn young_files_are_not_trusted() {
    let world = World::new();
    let home = world.toolchain_at("a");
    let compiler = world.resolve(home.join("bin/rustc"), &Ask::default());
    for _ in 0..2 {
        identity(&compiler, None, &world.root.join("memo")).expect("an identity");
    }
    assert_eq!(computed(&home), 2);
}

#[test]
fn every_part_counts() {
    let world = World::new();
    let home = world.toolchain_at("a");
    let mut seen = vec![of(&world, &home, None).digest];
    let mut changed = |what: &str| {
        let now = of(&world, &home, None);
        assert!(!seen.contains(&now.digest), "{what}");
        seen.push(now.digest);
        assert_eq!(of(&world, &home, None).digest, now.digest);
    };
    let std = format!("a/lib/rustlib/{HOST}");
    world.program("a/bin/rustc", &(super::RUSTC.to_owned() + "# another\n"));
    changed("the program");
    world.file("a/lib/librustc_driver-1.so", "drivel");
    changed("the driver, same size");
    world.file("a/lib/libLLVM.so.22-rust", "llvm");
    changed("a new library");
    world.file(&format!("{std}/lib/libstd-1.rlib"), "another std");
    changed("the standard library");
    world.file(&format!("{std}/lib/self-contained/crt1.o"), "crt");
    changed("a new directory in it");
    world.file(&format!("{std}/codegen-backends/librustc_codegen_x.so"), "backend");
    changed("a code generator");
    world.file(&format!("{std}/target.json"), "{}");
    changed("a target's specification");
    world.file("a/lib/rustlib/src/rust/library/std/src/lib.rs", "//! std");
    changed("the rust-src component");
    fs::rename(
        world.root.join(&std).join("lib/libstd-1.rlib"),
        world.root.join(&std).join("lib/libstd-2.rlib"),
    )
    .expect("rename");
    changed("a library's name");
    fs::remove_file(world.root.join("a/lib/libLLVM.so.22-rust")).expect("remove");
    changed("a library that is gone");
}

#[test]
fn a_file_replaced_with_its_times_kept_is_noticed() {
    let world = World::new();
    let home = world.toolchain_at("a");
    let before = of(&world, &home, None);
    let path = home.join("lib/librustc_driver-1.so");
    let modified = fs::metadata(&path).and_then(|meta| meta.modified()).expect("time");
    fs::write(&path, "DRIVER").expect("write");
    fs::File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_modified(modified))
        .expect("touch");
    assert_ne!(of(&world, &home, None).digest, before.digest);
}

#[test]
fn times_and_strangers_do_not_count() {
    let world = World::new();
    let home = world.toolchain_at("a");
    let before = of(&world, &home, None);
    for path in ["lib/librustc_driver-1.so", "bin/rustc"] {
        let file = fs::File::options().append(true).open(home.join(path)).expect("open");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("touch");
    }
    assert_eq!(of(&world, &home, None), before);
    world.file("a/bin/cargo", "cargo");
    world.file("a/lib/libssl.so", "a library of the system's");
    world.file("a/share/doc/rust/README", "text");
    world.file("a/lib/rustlib/wasm32-unknown-unknown/lib/libstd-1.rlib", "another target");
    assert_eq!(of(&world, &home, None), before);
}

#[test]
fn targets_differ_by_their_standard_library() {
    let world = World::new();
    let home = world.toolchain_at("a");
    let (host, wasm) = (of(&world, &home, None), of(&world, &home, Some("wasm32-x")));
    assert_eq!(of(&world, &home, Some(HOST)).digest, host.digest);
    assert_ne!(wasm.digest, host.digest);
    world.file("a/lib/rustlib/wasm32-x/lib/libstd-1.rlib", "wasm");
    let installed = of(&world, &home, Some("wasm32-x"));
    assert_ne!(installed.digest, wasm.digest);
    assert_eq!(of(&world, &home, Some("/some/where/wasm32-x.json")).digest, installed.digest);
    assert_eq!(of(&world, &home, None), host);
}

#[test]
fn linkers_are_a_part_of_their_own() {
    let world = World::new();
    let home = world.toolchain_at("a");
    let before = of(&world, &home, None);
    world.file(&format!("a/lib/rustlib/{HOST}/bin/gcc-ld/ld.lld"), "wrapper");
    let after = of(&world, &home, None);
    assert_eq!(after.digest, before.digest);
    assert_ne!(after.linkers, before.linkers);
}

#[test]
fn a_wrapper_counts_by_its_content() {
    let world = World::new();
    let home = world.toolchain_at("a");
    let with = |text: &str| {
        let wrapper = world.program("tools/wrap", text);
        let ask = Ask { wrapper: wrapper.to_str(), ..Ask::default() };
        let compiler = world.resolve(home.join("bin/rustc"), &ask);
        identity_with(&compiler, None, &world.root.join("memo"), Trust::AllStamps)
            .expect("identity")
            .digest
    };
    let (one, two) = (with("#!/bin/sh\nexec \"$@\"\n"), with("#!/bin/sh\nexec \"$@\" -g\n"));
    assert_ne!(one, two);
    assert_ne!(one, of(&world, &home, None).digest);
}

#[test]
fn a_driver_of_another_toolchain_brings_its_libraries() {
    let world = World::new();
    let (a, b) = (world.toolchain_at("a"), world.toolchain_at("b"));
    let driver = world.program("b/bin/clippy-driver", "\u{7f}ELF");
    let ask = Ask { wrapper: driver.to_str(), ..Ask::default() };
    let digest = || {
        let compiler = world.resolve(a.join("bin/rustc"), &ask);
        identity_with(&compiler, None, &world.root.join("memo"), Trust::AllStamps)
            .expect("identity")
            .digest
    };
    let before = digest();
    fs::write(b.join("lib/librustc_driver-1.so"), "another").expect("write");
    assert_ne!(digest(), before);
}

#[test]
fn explicit_sysroot_gives_the_standard_library_only() {
    let world = World::new();
    let home = world.toolchain_at("a");
    world.file(&format!("bare/lib/rustlib/{HOST}/lib/libstd-1.rlib"), "std");
    let of_sysroot = || {
        let ask = Ask { sysroot: Some("../../bare"), ..Ask::default() };
        let compiler = world.resolve(home.join("bin/rustc"), &ask);
        identity_with(&compiler, None, &world.root.join("memo"), Trust::AllStamps)
            .expect("identity")
            .digest
    };
    let before = of_sysroot();
    assert_eq!(before, of(&world, &home, None).digest, "the same bytes in the same roles");
    world.file("a/lib/librustc_driver-1.so", "another");
    assert_ne!(of_sysroot(), before);
    let before = of_sysroot();
    world.file(&format!("bare/lib/rustlib/{HOST}/lib/libstd-1.rlib"), "another");
    assert_ne!(of_sysroot(), before);
}

#[test]
fn a_script_elsewhere_counts_with_the_compiler_it_runs() {
    let world = World::new();
    let home = world.toolchain_at("a");
    let text = format!("#!/bin/sh\nexec {} \"$@\"\n", home.join("bin/rustc").display());
    let shim = world.program("shims/rustc", &text);
    let digest = || {
        let compiler = world.resolve(&shim, &Ask::default());
        assert_eq!(compiler.home, home);
        identity_with(&compiler, None, &world.root.join("memo"), Trust::AllStamps)
            .expect("identity")
            .digest
    };
    let first = digest();
    world.program("shims/rustc", &(text + "# more\n"));
    let second = digest();
    world.program("a/bin/rustc", &(super::RUSTC.to_owned() + "# more\n"));
    assert!(first != second && second != digest());
}

#[test]
fn a_damaged_memo_is_harmless() {
    let world = World::new();
    let home = world.toolchain_at("a");
    let right = of(&world, &home, None);
    let memos = fs::read_dir(world.root.join("memo"))
        .expect("memo")
        .map(|entry| entry.expect("entry").path());
    let memo = memos
        .filter(|path| {
            path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"toolchain-"))
        })
        .collect::<Vec<_>>();
    let [memo] = memo.as_slice() else { panic!("one memo: {memo:?}") };
    let whole = fs::read(memo).expect("read");
    for at in (0..whole.len()).step_by(whole.len() / 16) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(memo, flipped).expect("write");
        assert_eq!(of(&world, &home, None), right, "byte {at}");
    }
    for len in [0, 7, 8, 39, 40, whole.len() / 2, whole.len() - 1] {
        fs::write(memo, &whole[..len]).expect("write");
        assert_eq!(of(&world, &home, None), right, "cut at {len}");
    }
    assert_eq!(fs::read(memo).expect("read"), whole, "written anew");
}

#[test]
fn no_place_for_a_memo_is_harmless() {
    let world = World::new();
    let home = world.toolchain_at("a");
    let right = of(&world, &home, None);
    let compiler = world.resolve(home.join("bin/rustc"), &Ask::default());
    let blocked = world.file("blocked", "a file").join("below");
    assert_eq!(identity(&compiler, None, &blocked).expect("identity"), right);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let world = World::new();
    let home = world.toolchain_at("a");
    std::os::unix::fs::symlink("nowhere", home.join("lib/libLLVM.so")).expect("link");
    let compiler = world.resolve(home.join("bin/rustc"), &Ask::default());
    assert!(identity(&compiler, None, &world.root.join("memo")).is_err());
}

#[test]
fn a_compiler_that_says_nothing_is_an_error() {
    let world = World::new();
    let home = world.toolchain_at("a");
    world.program("a/bin/rustc", &super::RUSTC.replace("host: ", "host: ../"));
    let compiler = world.resolve(home.join("bin/rustc"), &Ask::default());
    let result = identity(&compiler, None, &world.root.join("memo"));
    assert!(matches!(result, Err(Error::Probe { .. })), "{result:?}");
}

#[test]
fn a_library_put_in_front_by_the_loader_path_is_refused() {
    let mut world = World::new();
    let home = world.toolchain_at("a");
    let dirs = [world.root.join("deps"), home.join("lib")];
    world.env.insert("LD_LIBRARY_PATH", std::env::join_paths(dirs).expect("no colons"));
    let result = |world: &World| {
        let compiler = world.resolve(home.join("bin/rustc"), &Ask::default());
        identity_with(&compiler, None, &world.root.join("memo"), Trust::AllStamps)
    };
    result(&world).expect("its own directory is no harm");
    world.file("deps/librustc_driver-1.so", "stranger");
    assert!(matches!(result(&world), Err(Error::Shadowed { .. })));
}
