//! `--emit`: which kinds of output a compile writes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Reason;

/// A kind of output (`rustc_session::config::OutputType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EmitKind {
    /// `asm`: assembly, `.s`.
    Asm,
    /// `dep-info`: the list of inputs, `.d`.
    DepInfo,
    /// `link`: what the crate type says: `.rlib`, a program, a shared library, …
    Link,
    /// `llvm-bc`: LLVM bitcode, `.bc`.
    LlvmBitcode,
    /// `llvm-ir`: LLVM assembly, `.ll`.
    LlvmIr,
    /// `metadata`: `.rmeta`.
    Metadata,
    /// `mir`: rustc's intermediate representation, `.mir`.
    Mir,
    /// `obj`: an object file, `.o`.
    Object,
    /// `thin-link-bitcode`: `.indexing.o`; unstable.
    ThinLinkBitcode,
}

impl EmitKind {
    /// All kinds, in the order of their names.
    pub const ALL: [Self; 9] = [
        Self::Asm,
        Self::DepInfo,
        Self::Link,
        Self::LlvmBitcode,
        Self::LlvmIr,
        Self::Metadata,
        Self::Mir,
        Self::Object,
        Self::ThinLinkBitcode,
    ];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Asm => "asm",
            Self::DepInfo => "dep-info",
            Self::Link => "link",
            Self::LlvmBitcode => "llvm-bc",
            Self::LlvmIr => "llvm-ir",
            Self::Metadata => "metadata",
            Self::Mir => "mir",
            Self::Object => "obj",
            Self::ThinLinkBitcode => "thin-link-bitcode",
        }
    }

    /// The extension of the default file name, without the dot; empty for
    /// [`Link`](Self::Link), where it depends on crate type and target.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Asm => "s",
            Self::DepInfo => "d",
            Self::Link => "",
            Self::LlvmBitcode => "bc",
            Self::LlvmIr => "ll",
            Self::Metadata => "rmeta",
            Self::Mir => "mir",
            Self::Object => "o",
            Self::ThinLinkBitcode => "indexing.o",
        }
    }

    /// Whether it is written by the code generator, once for each codegen unit unless there is
    /// only one.
    #[must_use]
    pub(super) fn is_per_codegen_unit(self) -> bool {
        matches!(
            self,
            Self::Asm | Self::LlvmBitcode | Self::LlvmIr | Self::Object | Self::ThinLinkBitcode
        )
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One requested output.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Emit {
    /// Its kind; each occurs once in [`CompileArgs::emits`](super::CompileArgs::emits).
    pub kind: EmitKind,
    /// The path of `--emit kind=path`, as given.
    pub path: Option<PathBuf>,
}

/// The kinds asked for so far. Of a kind that is given twice the last path counts, also when it
/// has none.
#[derive(Default)]
pub(super) struct Emits(BTreeMap<EmitKind, Option<PathBuf>>);

impl Emits {
    /// Takes the value of one `--emit`.
    pub(super) fn add(&mut self, list: &str) -> Result<(), Reason> {
        for entry in list.split(',') {
            let (name, path) = match entry.split_once('=') {
                Some((_, "-")) => return Err(Reason::EmitToStdout),
                Some((name, path)) => (name, Some(PathBuf::from(path))),
                None => (entry, None),
            };
            let kind = EmitKind::from_name(name).ok_or(Reason::InvalidValue("--emit"))?;
            if path.as_ref().is_some_and(|path| path.file_name().is_none()) {
                return Err(Reason::InvalidValue("--emit"));
            }
            self.0.insert(kind, path);
        }
        Ok(())
    }

    /// The kinds in the order of their names; `link` when none was asked for.
    pub(super) fn finish(mut self) -> Vec<Emit> {
        if self.0.is_empty() {
            self.0.insert(EmitKind::Link, None);
        }
        self.0.into_iter().map(|(kind, path)| Emit { kind, path }).collect()
    }
}
