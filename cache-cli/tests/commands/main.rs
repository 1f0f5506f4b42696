//! The commands that people use, run as they run them.

mod config;
mod doctor;
mod doctor_remote;
mod engine_cache;
mod execute;
#[path = "../e2e/harness/installed.rs"]
mod installed;
mod key;
mod linker;
mod maintenance;
#[path = "../e2e/harness/program.rs"]
mod program;
mod servers;
mod setup;
mod stats;
mod support;
mod trial;
mod usage;
mod why;
