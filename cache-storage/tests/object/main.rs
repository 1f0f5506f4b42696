//! Stores in the cloud, behind HTTP, in a directory and in memory; against real servers where
//! `cargo xtask servers` has started them.

mod contract;
mod faults;
mod memory;
#[path = "../support/proxy/mod.rs"]
mod proxy;
mod requests;
mod servers;
mod settings;
mod survey;
mod tls;
mod tools;
