//! End-to-end tests: small projects built by the real cargo through the wrapper.
//!
//! The oracle is the same build without the wrapper: the same exit codes, the same words, programs
//! that behave the same, and the same things rebuilt afterwards. One crate for all files, so that
//! the tests share the machine's cores.

mod direct;
mod edits;
mod fill;
mod flight;
mod fresh;
mod harness;
mod language;
mod links;
mod lints;
mod macros;
mod modes;
mod modules;
mod places;
mod prime;
mod projects;
mod races;
mod store;
mod tools;
mod warnings;
