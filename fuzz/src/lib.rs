//! What must hold of any input to larder's decoders and parsers.
//!
//! Each target is a plain function that panics when something does not hold, so that the same
//! checks run under libFuzzer (nightly, `cargo fuzz run TARGET fuzz/corpus/TARGET
//! fuzz/seeds/TARGET`) and for a bounded time with any compiler (`cargo run --release --bin smoke
//! -- SECONDS`, in this directory).
#![forbid(unsafe_code)]

pub mod args;
pub mod bundle;
pub mod dep_info;
pub mod mutate;
pub mod record;
pub mod template;
pub mod trace;

/// A function under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The fuzz target's name, and that of its folder in `seeds/`.
    pub name: &'static str,
    /// Panics when something does not hold of these bytes.
    pub check: fn(&[u8]),
    /// Byte strings that mean something to it; mutation inserts them.
    pub words: &'static [&'static [u8]],
}

/// Every target.
pub const TARGETS: [Target; 9] = [
    Target { name: "record_decode", check: record::check, words: record::WORDS },
    Target { name: "template", check: template::check, words: template::WORDS },
    Target { name: "args_parse", check: args::check, words: args::WORDS },
    Target { name: "dep_info", check: dep_info::check, words: dep_info::WORDS },
    Target { name: "trace_log", check: trace::check, words: trace::WORDS },
    Target { name: "bundle_record", check: bundle::record::check, words: bundle::WORDS },
    Target { name: "bundle_index", check: bundle::index::check, words: bundle::WORDS },
    Target { name: "bundle_places", check: bundle::places::check, words: bundle::WORDS },
    Target { name: "bundle_pack", check: bundle::pack::check, words: bundle::WORDS },
];
