//! Against a real engine: `cargo xtask servers` runs one.

mod check;
mod execute;
mod rustc;
mod server;
mod store;
