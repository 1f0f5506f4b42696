//! The commands that people use, run as they run them.

mod config;
mod doctor;
#[path = "../e2e/harness/installed.rs"]
mod installed;
mod key;
mod linker;
mod maintenance;
#[path = "../e2e/harness/program.rs"]
mod program;
mod setup;
mod stats;
mod support;
mod trial;
mod usage;
mod why;
