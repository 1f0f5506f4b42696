//! rustc on an engine, with nothing but what is uploaded.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cache_dist::{
    Action, Control, DigestFunction, Directory, Executor, FileDigests, InputBuilder, LocalExecutor,
    ReapiConfig, scan,
};

use crate::execute::{outputs, remote};
use crate::server::on_each_engine;

on_each_engine!(a_library_has_the_same_bytes_there_and_here,);

fn sysroot() -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// What compiling a library needs of a toolchain: the driver with its libraries, and the target's
/// standard library.
async fn toolchain(inputs: &mut InputBuilder, sysroot: &Path) {
    let digests = FileDigests::new(DigestFunction::Sha256);
    let rustc = digests.input(&sysroot.join("bin/rustc")).await.unwrap();
    inputs.file("work/toolchain/bin/rustc", rustc).unwrap();
    for entry in std::fs::read_dir(sysroot.join("lib")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap();
            let file = digests.input(&path).await.unwrap();
            inputs.file(&format!("work/toolchain/lib/{name}"), file).unwrap();
        }
    }
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let target = format!("lib/rustlib/{target}/lib");
    let library = scan(&sysroot.join(&target), &digests).await.unwrap();
    inputs.subtree(&format!("work/toolchain/{target}"), library).unwrap();
}

async fn crate_with_toolchain() -> Arc<Directory> {
    let mut inputs = InputBuilder::new(DigestFunction::Sha256);
    toolchain(&mut inputs, &sysroot()).await;
    let source =
        "pub fn hello(name: &str) -> String { let x = 1; format!(\"{name} {}\", file!()) }";
    inputs.bytes("work/src/lib.rs", source, false).unwrap();
    inputs.build()
}

async fn a_library_has_the_same_bytes_there_and_here(config: ReapiConfig) {
    let remote = remote(&config);
    let scratch = tempfile::tempdir().unwrap();
    let local = LocalExecutor::new(scratch.path());
    let inputs = crate_with_toolchain().await;
    let mut action = Action::new([
        "/usr/bin/sh",
        "-c",
        // The one name that differs between workers.
        "exec toolchain/bin/rustc --remap-path-prefix=\"$PWD\"=. \"$@\"",
        "rustc",
        "--crate-name=hello",
        "--crate-type=rlib",
        "--emit=metadata,link,dep-info",
        "--error-format=json",
        "--edition=2024",
        "-Cdebuginfo=2",
        "--out-dir=out",
        "src/lib.rs",
    ]);
    action.working_directory = "work".into();
    action.label = "hello".into();
    action.outputs =
        ["libhello.rlib", "libhello.rmeta", "hello.d"].map(|n| format!("out/{n}")).into();
    let there = remote.execute(&action, &inputs, &Control::new()).await.unwrap();
    let here = local.execute(&action, &inputs, &Control::new()).await.unwrap();
    let words = String::from_utf8_lossy(&there.stderr).into_owned();
    assert_eq!(there.exit_code, 0, "{words}");
    assert!(words.contains("unused variable"), "{words}");
    assert_eq!(there.stderr, here.stderr);
    let (there, here) = (outputs(&there).await, outputs(&here).await);
    assert_eq!(there.keys().collect::<Vec<_>>(), here.keys().collect::<Vec<_>>());
    assert_eq!(there.len(), 3);
    for (path, value) in &there {
        assert!(*value == here[path], "{path} differs");
    }
}
