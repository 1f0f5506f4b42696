//! End-to-end tests of build scripts' runs.
//!
//! The oracle is the same build without the wrapper: the same words, the same program, the same
//! things run again by cargo afterwards, and the same files in `OUT_DIR`.

#[path = "../e2e/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with other tests, which use the rest")]
mod harness;

mod failures;
mod inputs;
mod native;
mod nested;
mod out_dir;
mod refused;
mod support;
mod switches;
