//! The one table of rustc's options and what each means for the cache.
//!
//! Source of the names: `rustc --help -v` and `rustc -C help` of rustc 1.95, and
//! `rustc_session::config::rustc_optgroups` for how often an option may be given. A test
//! walks the output of the installed compiler and fails when it has an option that is not
//! listed here. An option that is missing makes an invocation uncacheable; it is never
//! passed over in silence.

use std::fmt;
use std::ops::BitOr;

/// What an option means for the cache: a set of flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Meaning(u16);

impl Meaning {
    /// The option and its value are part of the first-level key as they stand.
    pub const KEYED: Self = Self(1);
    /// The value holds a path: the key has it as a [`Piece::Path`](super::Piece::Path), so
    /// that the engine can replace its root by a name.
    pub const PATH: Self = Self(1 << 1);
    /// The value names a file that the compiler (or, with [`LINK`](Self::LINK), the linker) reads.
    pub const INPUT: Self = Self(1 << 2);
    /// Matters to the linker only: not part of the key of a unit that links nothing.
    pub const LINK: Self = Self(1 << 3);
    /// Says where outputs go. Its presence or the file name may be keyed, the directory is not.
    pub const OUTPUT: Self = Self(1 << 4);
    /// Changes how diagnostics are shown, not which there are. Not part of the key.
    pub const DISPLAY: Self = Self(1 << 5);
    /// Changes which diagnostics there are, or whether the compile succeeds.
    pub const LINTS: Self = Self(1 << 6);
    /// A value of it asks for what the machine at hand can do.
    pub const MACHINE: Self = Self(1 << 7);
    /// Asks the compiler something instead of compiling.
    pub const QUERY: Self = Self(1 << 8);
    /// Has a grammar or an effect of its own, read by the parser into a field of
    /// [`CompileArgs`](super::CompileArgs).
    pub const FIELD: Self = Self(1 << 9);
    /// Cannot be cached, whatever the value, or for some values.
    pub const REFUSED: Self = Self(1 << 10);

    /// Whether all flags of `other` are in this set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Meaning {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::KEYED, "KEYED"),
            (Self::PATH, "PATH"),
            (Self::INPUT, "INPUT"),
            (Self::LINK, "LINK"),
            (Self::OUTPUT, "OUTPUT"),
            (Self::DISPLAY, "DISPLAY"),
            (Self::LINTS, "LINTS"),
            (Self::MACHINE, "MACHINE"),
            (Self::QUERY, "QUERY"),
            (Self::FIELD, "FIELD"),
            (Self::REFUSED, "REFUSED"),
        ];
        f.debug_set()
            .entries(names.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, name)| name))
            .finish()
    }
}

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Never: a flag.
    Flag,
    /// Always.
    Value,
    /// `-C` options only: `-C name` and `-C name=value` are both accepted.
    Optional,
}

/// What it means when an option is given more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// rustc rejects the command line.
    Never,
    /// The last one wins (most `-C` options).
    Last,
    /// All of them count, in the order given.
    All,
}

/// One option of rustc.
#[derive(Debug)]
pub struct Opt {
    /// The one spelling that is used in keys and messages: `--emit`, `-L`, `-C opt-level`.
    pub key: &'static str,
    /// The name without dashes, as it is looked up.
    pub name: &'static str,
    /// The one-letter form, where there is one.
    pub short: Option<char>,
    /// Whether it takes a value.
    pub arity: Arity,
    /// What giving it again means.
    pub repeat: Repeat,
    /// What it means for the cache.
    pub meaning: Meaning,
}

impl PartialEq for Opt {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Opt {}

const KEYED: Meaning = Meaning::KEYED;
const FIELD: Meaning = Meaning::FIELD;
const QUERY: Meaning = Meaning::QUERY;
const DISPLAY: Meaning = Meaning(Meaning::DISPLAY.0 | FIELD.0);
const LINTS: Meaning = Meaning(Meaning::LINTS.0 | KEYED.0);
const OUTPUT: Meaning = Meaning(Meaning::OUTPUT.0 | FIELD.0);
const PATH: Meaning = Meaning(Meaning::PATH.0 | KEYED.0 | FIELD.0);
const INPUT: Meaning = Meaning(PATH.0 | Meaning::INPUT.0);
const LINK: Meaning = Meaning(Meaning::LINK.0 | KEYED.0);
const LINK_INPUT: Meaning = Meaning(INPUT.0 | Meaning::LINK.0);
const KEYED_FIELD: Meaning = Meaning(KEYED.0 | FIELD.0);
const REFUSED: Meaning = Meaning(Meaning::REFUSED.0 | KEYED_FIELD.0);
const MACHINE: Meaning = Meaning(Meaning::MACHINE.0 | KEYED_FIELD.0);

macro_rules! long {
    ($name:literal, $arity:ident, $repeat:ident, $meaning:expr) => {
        long!($name, None, $arity, $repeat, $meaning)
    };
    ($name:literal, $short:expr, $arity:ident, $repeat:ident, $meaning:expr) => {
        Opt {
            key: concat!("--", $name),
            name: $name,
            short: $short,
            arity: Arity::$arity,
            repeat: Repeat::$repeat,
            meaning: $meaning,
        }
    };
}

macro_rules! short {
    ($name:literal, $letter:literal, $arity:ident, $repeat:ident, $meaning:expr) => {
        Opt {
            key: concat!("-", $name),
            name: $name,
            short: Some($letter),
            arity: Arity::$arity,
            repeat: Repeat::$repeat,
            meaning: $meaning,
        }
    };
}

macro_rules! codegen {
    ($name:literal, $arity:ident, $repeat:ident, $meaning:expr) => {
        Opt {
            key: concat!("-C ", $name),
            name: $name,
            short: None,
            arity: Arity::$arity,
            repeat: Repeat::$repeat,
            meaning: $meaning,
        }
    };
}

/// The options with a long name, sorted by it.
pub static LONG: &[Opt] = &[
    long!("allow", Some('A'), Value, All, LINTS),
    long!("cap-lints", Value, All, LINTS),
    long!("cfg", Value, All, KEYED),
    long!("check-cfg", Value, All, LINTS),
    long!("codegen", Some('C'), Value, All, FIELD),
    long!("color", Value, Never, DISPLAY),
    long!("crate-name", Value, Never, KEYED_FIELD),
    long!("crate-type", Value, All, KEYED_FIELD),
    long!("deny", Some('D'), Value, All, LINTS),
    long!("diagnostic-width", Value, Never, DISPLAY),
    long!("edition", Value, Never, KEYED),
    long!("emit", Value, All, OUTPUT),
    long!("error-format", Value, Never, DISPLAY),
    long!("explain", Value, Never, QUERY),
    long!("extern", Value, All, FIELD),
    long!("forbid", Some('F'), Value, All, LINTS),
    long!("force-warn", Value, All, LINTS),
    long!("help", Some('h'), Flag, Never, QUERY),
    long!("json", Value, All, DISPLAY),
    long!("out-dir", Value, Never, OUTPUT),
    long!("print", Value, All, QUERY),
    long!("remap-path-prefix", Value, All, PATH),
    long!("remap-path-scope", Value, All, KEYED),
    long!("sysroot", Value, Never, PATH),
    // A target specification file (`--target x.json`) is an input.
    long!("target", Value, Never, INPUT),
    long!("test", Flag, Never, KEYED_FIELD),
    // Alone it is not a query, it makes diagnostics longer; `-vV` is one by its `V`.
    long!("verbose", Some('v'), Flag, Never, KEYED),
    long!("version", Some('V'), Flag, Never, QUERY),
    long!("warn", Some('W'), Value, All, LINTS),
];

/// The options that have a letter only.
pub static SHORT: &[Opt] = &[
    short!("L", 'L', Value, All, PATH),
    short!("l", 'l', Value, All, KEYED_FIELD),
    short!("O", 'O', Flag, All, KEYED),
    short!("g", 'g', Flag, All, KEYED_FIELD),
    short!("o", 'o', Value, Never, OUTPUT),
    // Nightly only: not in `--help` of a stable compiler.
    short!("Z", 'Z', Value, All, REFUSED),
];

/// The codegen options (`-C`), sorted by name.
///
/// The flag [`Meaning::LINK`] is given only where `rustc_session::options` has the option as
/// untracked (it does not enter the crate hash) *and* nothing but the linker call reads it.
/// `relro-level`, `strip` or `linker-flavor` look the same, but take part in code generation
/// or are not settled, and stay keyed for every unit.
pub static CODEGEN: &[Opt] = &[
    codegen!("ar", Value, Last, KEYED),
    codegen!("code-model", Value, Last, KEYED),
    codegen!("codegen-units", Value, Last, KEYED_FIELD),
    codegen!("collapse-macro-debuginfo", Optional, Last, KEYED),
    codegen!("control-flow-guard", Optional, Last, KEYED),
    codegen!("debug-assertions", Optional, Last, KEYED),
    codegen!("debuginfo", Value, Last, KEYED_FIELD),
    codegen!("default-linker-libraries", Optional, Last, KEYED),
    codegen!("dlltool", Value, Last, LINK_INPUT),
    codegen!("dwarf-version", Value, Last, KEYED),
    codegen!("embed-bitcode", Optional, Last, KEYED),
    codegen!("extra-filename", Value, Last, KEYED_FIELD),
    codegen!("force-frame-pointers", Optional, Last, KEYED),
    codegen!("force-unwind-tables", Optional, Last, KEYED),
    codegen!("help", Optional, Last, QUERY),
    codegen!("incremental", Value, Last, OUTPUT),
    codegen!("inline-threshold", Value, Last, KEYED),
    codegen!("instrument-coverage", Optional, Last, KEYED),
    codegen!("jump-tables", Optional, Last, KEYED),
    codegen!("link-arg", Value, All, LINK_INPUT),
    codegen!("link-args", Value, All, LINK_INPUT),
    codegen!("link-dead-code", Optional, Last, KEYED),
    codegen!("link-self-contained", Optional, All, KEYED),
    codegen!("linker", Value, Last, LINK_INPUT),
    codegen!("linker-features", Value, All, KEYED),
    codegen!("linker-flavor", Value, Last, KEYED),
    // The value may be the path of a linker plug-in.
    codegen!("linker-plugin-lto", Optional, Last, INPUT),
    codegen!("llvm-args", Value, All, REFUSED),
    codegen!("lto", Optional, Last, KEYED),
    codegen!("metadata", Value, All, KEYED_FIELD),
    codegen!("no-prepopulate-passes", Optional, Last, KEYED),
    codegen!("no-redzone", Optional, Last, KEYED),
    codegen!("no-stack-check", Optional, Last, KEYED),
    codegen!("no-vectorize-loops", Optional, Last, KEYED),
    codegen!("no-vectorize-slp", Optional, Last, KEYED),
    codegen!("opt-level", Value, Last, KEYED),
    codegen!("overflow-checks", Optional, Last, KEYED),
    codegen!("panic", Value, Last, KEYED),
    // `-C passes=list` prints the passes and stops.
    codegen!("passes", Value, All, KEYED_FIELD),
    codegen!("prefer-dynamic", Optional, Last, KEYED),
    // The directory is compiled into the program: as it stands.
    codegen!("profile-generate", Optional, Last, KEYED),
    codegen!("profile-use", Value, Last, INPUT),
    codegen!("relocation-model", Value, Last, KEYED),
    codegen!("relro-level", Value, Last, KEYED),
    codegen!("remark", Value, All, KEYED),
    codegen!("rpath", Optional, Last, LINK),
    codegen!("save-temps", Optional, Last, REFUSED),
    codegen!("soft-float", Optional, Last, KEYED),
    codegen!("split-debuginfo", Value, Last, KEYED_FIELD),
    codegen!("strip", Value, Last, KEYED),
    codegen!("symbol-mangling-version", Value, Last, KEYED),
    codegen!("target-cpu", Value, Last, MACHINE),
    codegen!("target-feature", Value, All, KEYED_FIELD),
    codegen!("unsafe-allow-abi-mismatch", Value, All, KEYED),
];

/// The unstable options (`-Z`) that do not make an invocation uncacheable, each because it is
/// harmless on its own and its whole effect is known; all others do. They are keyed verbatim.
///
/// - `unstable-options` and `allow-features` only lift or set gates: what they let through is
///   understood, or refused, for itself.
/// - `binary-dep-depinfo` and `checksum-hash-algorithm` only add lines to the dep-info file,
///   which [`dep_info`](crate::dep_info) reads.
pub static UNSTABLE: &[&str] =
    &["allow-features", "binary-dep-depinfo", "checksum-hash-algorithm", "unstable-options"];

/// The option with this long name (no dashes).
#[must_use]
pub fn long(name: &str) -> Option<&'static Opt> {
    search(LONG, name)
}

/// The option with this letter.
#[must_use]
pub fn short(letter: char) -> Option<&'static Opt> {
    match letter {
        // By far the most frequent on cargo's command lines.
        'C' => long("codegen"),
        _ => SHORT.iter().chain(LONG).find(|opt| opt.short == Some(letter)),
    }
}

/// The codegen option with this name. rustc takes `_` for `-` in it
/// (`rustc_session::options::build_options`).
#[must_use]
pub fn codegen(name: &str) -> Option<&'static Opt> {
    if name.contains('_') {
        search(CODEGEN, &name.replace('_', "-"))
    } else {
        search(CODEGEN, name)
    }
}

fn search(table: &'static [Opt], name: &str) -> Option<&'static Opt> {
    table.binary_search_by(|opt| opt.name.cmp(name)).ok().map(|at| &table[at])
}
