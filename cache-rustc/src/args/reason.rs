//! Why an invocation cannot be cached.

/// Why an invocation is handed straight to the compiler and not cached.
///
/// [`code`](Self::code) is a short name in kebab case that does not change between versions,
/// for counting; `Display` adds what it is about: `unknown-option: --foo`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}{}", self.code(), Detail(self.detail()))]
#[non_exhaustive]
pub enum Reason {
    /// An option that is not in the table.
    UnknownOption(String),
    /// A `-Z` option whose effects are not known to be harmless.
    UnstableOption(String),
    /// An option that needs a value ends the command line, or a `-C` option lacks it.
    MissingValue(&'static str),
    /// A flag was given a value (`--test=yes`).
    UnexpectedValue(&'static str),
    /// A value outside the option's grammar, or one that only unstable compilers take.
    InvalidValue(&'static str),
    /// An option that rustc takes only once was given again.
    DuplicateOption(&'static str),
    /// Options that rustc rejects together (`--json` with `--color`, or without
    /// `--error-format=json`).
    ConflictingOptions(&'static str),
    /// An argument that is not Unicode, which rustc rejects.
    NonUnicodeArgument,
    /// An `@file` that could not be read, or is not UTF-8. rustc reports it better.
    ArgfileUnreadable,
    /// The source comes from standard input.
    StdinInput,
    /// No source file was named.
    NoInput,
    /// More than one source file was named.
    SeveralInputs,
    /// No `--crate-name`: the name may stand in the source.
    NoCrateName,
    /// Neither `--crate-type` nor `--test`: the type may stand in the source.
    NoCrateType,
    /// An output goes to standard output.
    EmitToStdout,
    /// `--extern NAME` without a path, for a crate that is not part of the toolchain: which file
    /// is used is the outcome of a search.
    ExternWithoutPath(String),
    /// Intermediate files are kept, under names that only rustc knows.
    SaveTemps,
    /// `-C llvm-args` that seem to name a file, which LLVM might read or write, or that make LLVM
    /// print and stop.
    LlvmArgs,
    /// `-C link-arg` that make a link write further files (a map, an import library).
    LinkArgs,
    /// Debug information is put into files of its own whose names only rustc knows.
    SplitDebuginfo,
    /// `--emit` of object-like files with several codegen units and no `-o` writes one file per
    /// unit.
    EmitPerCodegenUnit,
    /// Two outputs have the same path.
    OutputsCollide,
    /// The file names of linked outputs for this target are not known.
    OutputNames(String),
}

impl Reason {
    /// The stable name, in kebab case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownOption(_) => "unknown-option",
            Self::UnstableOption(_) => "unstable-option",
            Self::MissingValue(_) => "missing-value",
            Self::UnexpectedValue(_) => "unexpected-value",
            Self::InvalidValue(_) => "invalid-value",
            Self::DuplicateOption(_) => "duplicate-option",
            Self::ConflictingOptions(_) => "conflicting-options",
            Self::NonUnicodeArgument => "non-unicode-argument",
            Self::ArgfileUnreadable => "argfile-unreadable",
            Self::StdinInput => "stdin-input",
            Self::NoInput => "no-input",
            Self::SeveralInputs => "several-inputs",
            Self::NoCrateName => "no-crate-name",
            Self::NoCrateType => "no-crate-type",
            Self::EmitToStdout => "emit-to-stdout",
            Self::ExternWithoutPath(_) => "extern-without-path",
            Self::SaveTemps => "save-temps",
            Self::LlvmArgs => "llvm-args",
            Self::LinkArgs => "link-args",
            Self::SplitDebuginfo => "split-debuginfo",
            Self::EmitPerCodegenUnit => "emit-per-codegen-unit",
            Self::OutputsCollide => "outputs-collide",
            Self::OutputNames(_) => "output-names",
        }
    }

    /// What it is about: the option, crate or target, where there is one.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::UnknownOption(s)
            | Self::UnstableOption(s)
            | Self::ExternWithoutPath(s)
            | Self::OutputNames(s) => Some(s),
            Self::MissingValue(s)
            | Self::UnexpectedValue(s)
            | Self::InvalidValue(s)
            | Self::DuplicateOption(s)
            | Self::ConflictingOptions(s) => Some(s),
            _ => None,
        }
    }
}

struct Detail<'a>(Option<&'a str>);

impl std::fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}
