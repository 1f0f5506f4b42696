//! One compile, as its arguments describe it.

use std::path::PathBuf;

use super::{Diagnostics, Emit, EmitKind, Extern, KeyArg, NativeLib, NativeLibKind, SearchPath};

/// What a crate is compiled to (`rustc_session::config::CrateType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CrateType {
    /// `bin`: a program; also what `--test` makes.
    Bin,
    /// `cdylib`: a shared library for other languages.
    Cdylib,
    /// `dylib`: a shared library for Rust.
    Dylib,
    /// `proc-macro`: a shared library for the compiler.
    ProcMacro,
    /// `rlib` and `lib`, which rustc takes for the same.
    Rlib,
    /// `staticlib`: an archive with all dependencies.
    Staticlib,
}

impl CrateType {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bin => "bin",
            Self::Cdylib => "cdylib",
            Self::Dylib => "dylib",
            Self::ProcMacro => "proc-macro",
            Self::Rlib => "rlib",
            Self::Staticlib => "staticlib",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "bin" => Self::Bin,
            "cdylib" => Self::Cdylib,
            "dylib" => Self::Dylib,
            "proc-macro" => Self::ProcMacro,
            "lib" | "rlib" => Self::Rlib,
            "staticlib" => Self::Staticlib,
            _ => return None,
        })
    }
}

/// `--target`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A name: `x86_64-unknown-linux-gnu`.
    Triple(String),
    /// A specification file (`.json`), as given. It is an input.
    Spec(PathBuf),
}

/// A file that an option names and the compile may read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedInput {
    /// The option's canonical spelling.
    pub option: &'static str,
    /// The path, as given. It need not exist, and may be a directory (`-C link-arg=-L/dir`).
    pub path: PathBuf,
    /// Whether only the linker reads it.
    pub link_only: bool,
}

/// One compile, as its arguments describe it. Paths are as given: relative ones count from the
/// working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileArgs {
    /// `+name` as the first argument, without the plus: a toolchain for the rustup proxy. Matters
    /// to the compiler's identity; not in [`keyed`](Self::keyed).
    pub toolchain: Option<String>,
    /// `--crate-name`.
    pub crate_name: String,
    /// `--crate-type`, sorted, each once. With `--test` it is [`CrateType::Bin`] whatever was
    /// given. rustc drops types that the target does not know, with a warning.
    pub crate_types: Vec<CrateType>,
    /// `--test`.
    pub test: bool,
    /// The source file. Not in [`keyed`](Self::keyed).
    pub input: PathBuf,
    /// `--emit`, sorted by the kinds' names, each kind once.
    pub emits: Vec<Emit>,
    /// `--out-dir`.
    pub out_dir: Option<PathBuf>,
    /// `-o`.
    pub output: Option<PathBuf>,
    /// `-C extra-filename`.
    pub extra_filename: Option<String>,
    /// `-C metadata`, all of them, in order.
    pub metadata: Vec<String>,
    /// `-C incremental`: the directory.
    pub incremental: Option<PathBuf>,
    /// `--target`.
    pub target: Option<Target>,
    /// `--sysroot`.
    pub sysroot: Option<PathBuf>,
    /// `--extern`, in order. Not in [`keyed`](Self::keyed).
    pub externs: Vec<Extern>,
    /// `-L`, in order.
    pub search_paths: Vec<SearchPath>,
    /// `-l`, in order.
    pub native_libs: Vec<NativeLib>,
    /// How diagnostics are shown. Not in [`keyed`](Self::keyed).
    pub diagnostics: Diagnostics,
    /// What goes into the first-level key: first, in a fixed order, what the fields above hold
    /// (crate name and types, `--test`, `-C extra-filename`, the emitted kinds with the *names*
    /// of explicit files, the name of `-o`, the presence of `--out-dir` and `-C incremental`),
    /// then all other options in the order given.
    ///
    /// The file name of `-o` is in it because object files inside an `.rlib` are called after
    /// it, that of `--emit link=` because it becomes the `soname` of a shared library.
    ///
    /// Not in it: the source file, externs, what only changes how diagnostics are shown,
    /// directories of outputs, and, for a unit that [links nothing](Self::links), what only the
    /// linker reads.
    pub keyed: Vec<KeyArg>,
    /// Files that the options name, other than source, externs and search directories.
    pub named_inputs: Vec<NamedInput>,
    /// `@file`s, made absolute. Their lines are parsed like arguments, so that [`keyed`](Self::keyed)
    /// covers their content; a race guard needs their paths.
    pub argfiles: Vec<PathBuf>,
    /// Code is generated for the machine at hand (`-C target-cpu=native`): what that is belongs
    /// into the key too.
    pub native_cpu: bool,
}

impl CompileArgs {
    /// Whether an output of this kind was asked for.
    #[must_use]
    pub fn emits(&self, kind: EmitKind) -> bool {
        self.emits.iter().any(|emit| emit.kind == kind)
    }

    /// Whether the compile joins the crate with its dependencies: `--emit link` of anything but
    /// a library crate (`rlib`). It then calls a linker, or packs an archive, and reads what its
    /// direct dependencies depend on.
    #[must_use]
    pub fn links(&self) -> bool {
        self.emits(EmitKind::Link) && self.crate_types.iter().any(|t| *t != CrateType::Rlib)
    }

    /// Whether the arguments make it read static native libraries, to copy them into the output.
    #[must_use]
    pub fn bundles_native_libs(&self) -> bool {
        self.emits(EmitKind::Link)
            && self.native_libs.iter().any(|lib| lib.kind == NativeLibKind::Static)
    }
}
