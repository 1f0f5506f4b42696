//! Everything rustc and cargo, and the engine that serves compiles from a store.
//!
//! - [`args`]: rustc's argument grammar and what each option means for a cache.
//! - [`dep_info`]: rustc's `.d` files.
//! - [`toolchain`]: which compiler an invocation really runs, and its identity by content.
//! - [`env_class`]: which environment variables are part of what.
//! - [`linker`]: linkers in the place of the one that rustc would take.
//! - [`trace`]: seeing what a compiler and its children read.
//! - [`engine`]: look up, else execute, observe and store.
#![forbid(unsafe_code)]

pub mod args;
pub mod dep_info;
pub mod engine;
pub mod env_class;
pub mod linker;
pub mod toolchain;
pub mod trace;
