//! End-to-end tests of remotes: machines that share a bucket, what is not to be trusted in one, servers on
//! bad days, and the agent between them.
//!
//! The oracle is the same build without the wrapper. A *machine* is a lab of its own: a home, a store, an
//! agent. Where a directory does as bucket these run anywhere; what needs a server runs against a real one
//! (`cargo xtask servers`), behind a proxy that puts the faults in.

mod access;
mod agents;
mod bucket;
mod damage;
#[path = "../e2e/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with other tests, which use the rest")]
mod harness;
mod hostile;
mod killed;
mod machine;
mod nearest;
mod project;
#[path = "../../../cache-storage/tests/support/proxy/mod.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod proxy;
mod share;
mod trouble;
