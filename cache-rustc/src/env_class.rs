//! What each environment variable means for the cache.
//!
//! Established by logging every `getenv` and `secure_getenv` of rustc and clippy-driver 1.95.0 and
//! 1.97.0-nightly (library with and without debug information, check, binary, test, proc macro
//! and its consumer, cdylib, failing compiles, JSON and human diagnostics, with and without a
//! terminal) and reading the code behind each name.
//!
//! Four things a variable can be ([`Class`]). What is in no table is [`Class::Observed`]: it is
//! recorded when something reads it. That covers all that cargo sets (`CARGO_PKG_*`,
//! `CARGO_MANIFEST_DIR`, `OUT_DIR`), clippy's own (`CLIPPY_ARGS`, `CLIPPY_CONF_DIR`,
//! `CLIPPY_DISABLE_DOCS_LINKS`), and the colour variables (`NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`,
//! `TERM`, `COLORTERM`), which rustc reads only for human-readable diagnostics on a terminal: under
//! cargo, which asks for JSON, it reads none of them.
//!
//! # What a log of `getenv` calls cannot see
//! The C library and the loader read the environment by themselves: `LD_*`, `GLIBC_TUNABLES`,
//! `LANG`, `LC_*`, `LANGUAGE`, `TZ`. The compiler calls none of the functions that make the C
//! library look at locale or zone; linkers do ([`READ_BY_C_LIBRARY`]).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What a variable means for the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// Part of the recipe when set, with its value in the wrapper's own environment; reads of it
    /// are not recorded besides.
    Identity,
    /// Never recorded: it changes neither what a successful compile writes nor what it says.
    Harmless,
    /// When it is set, the invocation cannot be cached, for this reason.
    Uncacheable(&'static str),
    /// Recorded with its value, or as unset, when it is read.
    Observed,
}

/// A variable with its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The variable's name.
    pub name: &'static str,
    /// What it means.
    pub class: Class,
    /// Why.
    pub reason: &'static str,
    /// Who reads it, where.
    pub source: &'static str,
}

/// Whose code read a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A program or library of the toolchain, by the caller's address.
    Toolchain,
    /// Other code in the process: a proc macro, a linker plugin.
    Other,
    /// Not known. Taken for the toolchain, which reads each variable of the table in every run.
    Unknown,
}

const LOG: Class = Class::Uncacheable("it makes the compiler log");

const fn entry(
    name: &'static str,
    class: Class,
    reason: &'static str,
    source: &'static str,
) -> Entry {
    Entry { name, class, reason, source }
}

/// Every variable that is not just observed, in order of name.
pub const TABLE: &[Entry] = &[
    entry(
        "CARGO_MAKEFLAGS",
        Class::Harmless,
        "names the jobserver's pipe, another in each build",
        "rustc: crate jobserver, Client::from_env",
    ),
    entry(
        "CI",
        Class::Harmless,
        "turns off Windows' crash dialogs only",
        "rustc_codegen_llvm::llvm_util::init",
    ),
    entry("LD_AUDIT", Class::Identity, "puts code into the compiler", "ld.so(8)"),
    entry(
        "LD_PRELOAD",
        Class::Identity,
        "puts code into the compiler; what larder adds itself comes after",
        "ld.so(8)",
    ),
    entry(
        "LLVM_IGNORED_ENV_VAR",
        Class::Harmless,
        "the result is compared with a value that it never has",
        "LLVM: Support/AlwaysTrue.h",
    ),
    entry(
        "LLVM_OVERRIDE_PRODUCER",
        Class::Identity,
        "the producer's name in bitcode",
        "LLVM: BitcodeWriter, writeIdentificationBlock",
    ),
    entry(
        "MAKEFLAGS",
        Class::Harmless,
        "names the jobserver's pipe, another in each build",
        "rustc: crate jobserver, Client::from_env",
    ),
    entry(
        "MALLOC_CONF",
        Class::Uncacheable("it may make the allocator print or write profiles"),
        "jemalloc's options: stats_print, prof",
        "jemalloc(3), linked into rustc",
    ),
    entry(
        "MFLAGS",
        Class::Harmless,
        "names the jobserver's pipe, another in each build",
        "rustc: crate jobserver, Client::from_env",
    ),
    entry(
        "RUSTC_BOOTSTRAP",
        Class::Identity,
        "allows unstable features on stable",
        "rustc_feature::UnstableFeatures::from_environment",
    ),
    entry(
        "RUSTC_CTFE_BACKTRACE",
        Class::Uncacheable("it makes the compiler print backtraces"),
        "backtraces of constant evaluation, with addresses",
        "rustc_session::build_session",
    ),
    entry(
        "RUSTC_FORCE_RUSTC_VERSION",
        Class::Identity,
        "the compiler's version in metadata",
        "rustc_metadata::rustc_version",
    ),
    entry(
        "RUSTC_GRAPHVIZ_FONT",
        Class::Identity,
        "the font in dumped graphs",
        "rustc_session::config, UnstableOptions",
    ),
    entry(
        "RUSTC_ICE",
        Class::Harmless,
        "where a crash report goes; a crash is never stored",
        "rustc_driver::ice_path",
    ),
    entry(
        "RUSTC_LOG",
        LOG,
        "log lines on stderr, with times and addresses",
        "rustc_log::LoggerConfig::from_env",
    ),
    entry("RUSTC_LOG_BACKTRACE", LOG, "backtraces in the log", "rustc_log::LoggerConfig::from_env"),
    entry(
        "RUSTC_LOG_COLOR",
        LOG,
        "a value that is not known is an error",
        "rustc_log::LoggerConfig::from_env",
    ),
    entry("RUSTC_LOG_ENTRY_EXIT", LOG, "form of the log", "rustc_log::LoggerConfig::from_env"),
    entry("RUSTC_LOG_FORMAT_JSON", LOG, "form of the log", "rustc_log::LoggerConfig::from_env"),
    entry("RUSTC_LOG_LINES", LOG, "form of the log", "rustc_log::LoggerConfig::from_env"),
    entry(
        "RUSTC_LOG_OUTPUT_TARGET",
        LOG,
        "a file the log goes to",
        "rustc_log::LoggerConfig::from_env",
    ),
    entry("RUSTC_LOG_THREAD_IDS", LOG, "form of the log", "rustc_log::LoggerConfig::from_env"),
    entry("RUSTC_LOG_WRAPTREE", LOG, "form of the log", "rustc_log::LoggerConfig::from_env"),
    entry(
        "RUST_BACKTRACE",
        Class::Harmless,
        "backtraces of crashes, which are never stored; rustc sets it itself when it is unset",
        "rustc_driver::install_ice_hook; std::backtrace",
    ),
    entry(
        "RUST_LIB_BACKTRACE",
        Class::Harmless,
        "backtraces of crashes, which are never stored",
        "std::backtrace::Backtrace::enabled",
    ),
    entry(
        "RUST_MIN_STACK",
        Class::Identity,
        "the compiler's stack: with less of it the same source crashes; a value that is no number is an error",
        "rustc_interface::util::init_stack_size; std::thread::min_stack",
    ),
    entry(
        "RUST_TARGET_PATH",
        Class::Identity,
        "where specifications of targets are looked for",
        "rustc_target::spec::Target::search",
    ),
    entry("SYSROOT", Class::Identity, "clippy-driver's sysroot", "clippy: src/driver.rs"),
];

/// What clippy-driver reads beyond rustc, `SYSROOT` apart: [`Class::Observed`] all. Where nothing
/// observes reads, a clippy run must be keyed on these.
pub const READ_BY_CLIPPY: &[&str] = &[
    "CARGO_MANIFEST_DIR",
    "CARGO_PKG_RUST_VERSION",
    "CARGO_PRIMARY_PACKAGE",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "CLIPPY_DISABLE_DOCS_LINKS",
];

/// What C programs read through the C library, past any log of `getenv` calls: language and form of
/// their messages (gettext(3), setlocale(3)) and local time (tzset(3)). A unit that runs a linker
/// must be keyed on these.
pub const READ_BY_C_LIBRARY: &[&str] =
    &["LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LC_TIME", "TZ"];

/// How messages on a terminal look. A linker reads these whether it has anything to say or not; they
/// matter to units with messages only.
pub const DISPLAY: &[&str] = &[
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLORTERM",
    "COLUMNS",
    "GCC_COLORS",
    "GCC_URLS",
    "LINES",
    "NO_COLOR",
    "TERM",
    "TERM_URLS",
];

/// Whether a variable changes how messages look and nothing else ([`DISPLAY`]).
#[must_use]
pub fn is_for_display(name: &OsStr) -> bool {
    DISPLAY.iter().any(|known| name == *known)
}

/// Whether a variable is about the machine when a compiler or linker reads it: where to look for
/// programs (the places looked at are observed themselves) and where scratch files go (they are
/// gone when the run ends, and outputs are searched for that path). When other code reads it, it is
/// a value like any other.
#[must_use]
pub fn is_for_tools(name: &OsStr) -> bool {
    ["PATH", "TMPDIR", "TMP", "TEMP"].iter().any(|known| name == *known)
}

/// The class of a variable.
///
/// `LARDER_*` is the cache's own configuration and [`Class::Harmless`].
#[must_use]
pub fn classify(name: &OsStr) -> Class {
    if name.as_bytes().starts_with(b"LARDER_") || name == "LARDER" {
        return Class::Harmless;
    }
    let found = TABLE.binary_search_by(|entry| entry.name.as_bytes().cmp(name.as_bytes()));
    found.map_or(Class::Observed, |index| TABLE[index].class)
}

/// The class of a read, when it is known whose code made it: `CI` says nothing to the compiler, but
/// a proc macro that asks for it may write what it likes.
///
/// The other harmless variables stay so for all readers. The jobserver's have no stable value;
/// backtraces are read by std's and by error libraries' code inside every proc macro, and are
/// shown in failures only.
#[must_use]
pub fn classify_read(name: &OsStr, reader: Reader) -> Class {
    if reader == Reader::Other && name == "CI" { Class::Observed } else { classify(name) }
}

/// The part of an environment that is in every recipe: variables of [`Class::Identity`] that are
/// set, in order of name.
///
/// # Errors
/// When a variable of [`Class::Uncacheable`] is set: its name and the reason.
pub fn identity_of<I>(env: I) -> Result<Vec<(OsString, OsString)>, (&'static str, &'static str)>
where
    I: IntoIterator<Item = (OsString, OsString)>,
{
    let mut out = Vec::new();
    for (name, value) in env {
        match classify(&name) {
            Class::Identity => out.push((name, value)),
            Class::Uncacheable(reason) => {
                let known = TABLE.iter().find(|entry| entry.name.as_bytes() == name.as_bytes());
                return Err((known.map_or("", |entry| entry.name), reason));
            }
            Class::Harmless | Class::Observed => {}
        }
    }
    out.sort();
    Ok(out)
}

/// The whole environment that may matter, in order of name: what to fold in when a program reads
/// `environ` as a whole, or when nothing observes what is read.
///
/// Everything but [`Class::Harmless`]. Nothing is left out as noise of a session (`_`, `SHLVL`,
/// `PWD`, `WINDOWID`, `SSH_*`, `XDG_*`): a macro that writes the environment into its output writes
/// these too, and leaving one out would be a wrong hit, while keeping it costs a compile in another
/// session. What names a place (`PWD`, `OUT_DIR`) becomes equal across places by templates, not by
/// leaving it out. The harmless ones have no value that two builds could share.
pub fn conservative<I>(env: I) -> Vec<(OsString, OsString)>
where
    I: IntoIterator<Item = (OsString, OsString)>,
{
    let mut out: Vec<_> =
        env.into_iter().filter(|(name, _)| classify(name) != Class::Harmless).collect();
    out.sort();
    out
}

/// Whether cargo sets a variable for the compiler of a unit: the package's and target's
/// description, `OUT_DIR`, and what it passes on from its own start (the cargo book, "Environment
/// variables Cargo sets for crates"). What a build script sets with `rustc-env` is not known by
/// name.
#[must_use]
pub fn set_by_cargo(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    if classify(name) == Class::Harmless {
        return false;
    }
    const PREFIXES: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_RUSTC_"];
    const NAMES: &[&str] =
        &["CARGO", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR", "OUT_DIR"];
    PREFIXES.iter().any(|prefix| bytes.starts_with(prefix.as_bytes()))
        || NAMES.iter().any(|known| name == *known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn table_is_in_order() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn classes() {
        let class = |name: &str| classify(OsStr::new(name));
        assert_eq!(class("RUSTC_BOOTSTRAP"), Class::Identity);
        assert_eq!(class("CARGO_MAKEFLAGS"), Class::Harmless);
        assert_eq!(class("LARDER_DIR"), Class::Harmless);
        assert_eq!(class("LARDER"), Class::Harmless);
        assert_eq!(class("RUSTC_LOG"), LOG);
        for name in
            ["CARGO_MANIFEST_DIR", "OUT_DIR", "FOO", "PATH", "LD_LIBRARY_PATH", "LARDERX", ""]
        {
            assert_eq!(class(name), Class::Observed, "{name}");
        }
    }

    #[test]
    fn a_macro_that_reads_ci_is_observed() {
        let ci = OsStr::new("CI");
        assert_eq!(classify_read(ci, Reader::Toolchain), Class::Harmless);
        assert_eq!(classify_read(ci, Reader::Unknown), Class::Harmless);
        assert_eq!(classify_read(ci, Reader::Other), Class::Observed);
        assert_eq!(classify_read(OsStr::new("MAKEFLAGS"), Reader::Other), Class::Harmless);
    }

    #[test]
    fn identity_is_sorted_and_refuses() {
        let set = env(&[("RUST_MIN_STACK", "9"), ("FOO", "1"), ("LLVM_OVERRIDE_PRODUCER", "x")]);
        assert_eq!(
            identity_of(set),
            Ok(env(&[("LLVM_OVERRIDE_PRODUCER", "x"), ("RUST_MIN_STACK", "9")]))
        );
        assert_eq!(
            identity_of(env(&[("RUSTC_LOG", "info")])).map_err(|(name, _)| name),
            Err("RUSTC_LOG")
        );
    }

    #[test]
    fn conservative_keeps_all_but_the_harmless() {
        let set = env(&[
            ("SHLVL", "2"),
            ("MAKEFLAGS", "-j"),
            ("_", "cargo"),
            ("LARDER_LOG", "f"),
            ("A", "1"),
        ]);
        assert_eq!(conservative(set), env(&[("A", "1"), ("SHLVL", "2"), ("_", "cargo")]));
    }

    #[test]
    fn cargo_variables() {
        for name in ["CARGO_PKG_NAME", "OUT_DIR", "CARGO", "CARGO_MANIFEST_DIR", "CARGO_BIN_NAME"] {
            assert!(set_by_cargo(OsStr::new(name)), "{name}");
        }
        for name in ["CARGO_MAKEFLAGS", "CARGO_HOME", "PATH", "CARGO_TARGET_DIR"] {
            assert!(!set_by_cargo(OsStr::new(name)), "{name}");
        }
    }
}
