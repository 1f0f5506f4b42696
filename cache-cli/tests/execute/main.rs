//! End-to-end tests of builds that are compiled on an engine.
//!
//! The oracle is the same build without the wrapper, and for bytes the same build through the
//! wrapper on this machine alone, in the same directory. `cargo xtask servers` runs the engine.

mod bytes;
mod failures;
mod fleet;
#[path = "../e2e/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with other tests, which use the rest")]
mod harness;
mod inputs;
mod killed;
mod pruned;
mod race;
mod sight;
mod support;
mod words;
