//! Against a real engine: `cargo xtask servers` runs one.

mod server;
mod store;
