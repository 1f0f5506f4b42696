//! End-to-end tests of what a linker makes: programs, tests, proc macros, shared and static
//! libraries, build scripts.
//!
//! The oracle is the same build without the wrapper: the same words, programs that say the same,
//! and files with the same dynamic section. What is served again must be what this linker would
//! have made from what lies here now, whichever way it finds it.

mod choice;
mod edits;
#[path = "../e2e/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with other tests, which use the rest")]
mod harness;
#[path = "../e2e/harness/installed.rs"]
mod installed;
mod kinds;
mod linkers;
mod native;
mod options;
mod support;
