//! Builds the tracer's preload object from `shim/`, with the compiler at hand and no other tool than its
//! linker. Where that is not possible an empty file takes its place and the library reports at run time
//! that it cannot trace; the build itself never fails for it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=shim");
    let out = PathBuf::from(var("OUT_DIR"));
    let object = out.join("larder-trace.so");
    let bytes = match build(&out) {
        Ok(bytes) => bytes,
        Err(Skip::Unsupported) => Vec::new(),
        Err(Skip::Failed(why)) => {
            for line in why.lines().take(20) {
                println!("cargo::warning=tracer not built: {line}");
            }
            Vec::new()
        }
    };
    if let Err(e) = fs::write(&object, &bytes) {
        println!("cargo::error=cannot write {}: {e}", object.display());
    }
    // Not `LARDER_…`: those are settings, which no compile depends on.
    println!("cargo::rustc-env=CACHE_RUSTC_TRACE_ID={:016x}", fnv(&bytes));
}

enum Skip {
    /// Not a platform the tracer is written for.
    Unsupported,
    /// It should have worked.
    Failed(String),
}

fn build(out: &Path) -> Result<Vec<u8>, Skip> {
    let is = |name: &str, wanted: &[&str]| wanted.iter().any(|w| var(name) == *w);
    let supported = is("CARGO_CFG_TARGET_OS", &["linux"])
        && is("CARGO_CFG_TARGET_ENV", &["gnu"])
        && is("CARGO_CFG_TARGET_ARCH", &["x86_64", "aarch64"])
        && is("CARGO_CFG_TARGET_POINTER_WIDTH", &["64"]);
    if !supported {
        return Err(Skip::Unsupported);
    }
    let made = out.join("shim.so");
    // `RUSTC` itself, not through `RUSTC_WRAPPER`: the wrapper may be what this crate is part of.
    let mut rustc = Command::new(var("RUSTC"));
    rustc
        .current_dir(Path::new(&var("CARGO_MANIFEST_DIR")).join("shim"))
        .args([
            "lib.rs",
            "--crate-name",
            "larder_trace",
            "--crate-type",
            "cdylib",
            "--edition",
            "2024",
        ])
        .args(["-C", "panic=abort", "-C", "opt-level=2", "-C", "lto=fat", "-C", "codegen-units=1"])
        .args(["-C", "strip=symbols", "-C", "debuginfo=0", "-C", "overflow-checks=off"])
        .arg("--target")
        .arg(var("TARGET"))
        .arg("-o")
        .arg(&made);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut flag = OsString::from("linker=");
        flag.push(linker);
        rustc.arg("-C").arg(flag);
    }
    let output =
        rustc.output().map_err(|e| Skip::Failed(format!("{}: {e}", var("RUSTC").display())))?;
    if !output.status.success() {
        return Err(Skip::Failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    fs::read(&made).map_err(|e| Skip::Failed(format!("{}: {e}", made.display())))
}

/// A variable that cargo always sets for build scripts; empty if it is missing after all.
fn var(name: &str) -> OsString {
    env::var_os(name).unwrap_or_default()
}

/// Names the object's content; contents are compared byte by byte where it matters.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
