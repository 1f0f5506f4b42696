//! Linkers that may be put in the place of the one rustc and its driver would take.
//!
//! rustc calls a driver (`cc`), and the driver calls the linker. [`choose`] finds a linker and makes
//! the arguments with which this driver takes it; [`Linker::takes`] tells which units may have them;
//! [`comments`] and [`Linker::signed`] tell who linked a file.
//!
//! # How a driver is told
//! `-fuse-ld=NAME` takes only names that the driver knows: GCC knows `mold` from 12 on and `wild`
//! from 16 on (gcc(1), "Options for Linking"), and rustc itself gives `-fuse-ld=lld` on some targets.
//! Of several the last counts. What every GCC and Clang knows is `-fuse-ld=bfd`, for which it runs
//! the first `ld.bfd` it finds, in the directories given by `-B` before all others. So a directory
//! that holds nothing but a link `ld.bfd` to the chosen linker is enough, for any driver and
//! whatever rustc said before. lld looks at the name it is called by, and needs `ld.lld`.

mod choose;
mod mark;
mod takes;

pub use choose::{Chosen, Missing, Tools, choose};
pub use mark::{comments, name_in};

/// A linker that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linker {
    /// wild (`wild-linker` on crates.io).
    Wild,
    /// mold.
    Mold,
    /// LLVM's lld: the one that comes with the toolchain, where it has one, else `ld.lld`.
    Lld,
}

impl Linker {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Wild, Self::Mold, Self::Lld];

    /// Its name in settings: `wild`, `mold`, `lld`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wild => "wild",
            Self::Mold => "mold",
            Self::Lld => "lld",
        }
    }

    /// The program that is looked for in `PATH`.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Wild => "wild",
            Self::Mold => "mold",
            Self::Lld => "ld.lld",
        }
    }

    /// Whether it links for this target: ELF on Linux, on an architecture that it knows.
    ///
    /// wild: x86-64, `AArch64`, and RISC-V and `LoongArch` of 64 bits (its README, "Feature
    /// support"); mold and lld know all of rustc's Linux architectures of any currency.
    #[must_use]
    pub fn links_for(self, target: &str) -> bool {
        let arch = takes::arch(target);
        takes::is_linux(target)
            && match self {
                Self::Wild => {
                    ["x86_64", "aarch64", "loongarch64"].contains(&arch)
                        || arch.starts_with("riscv64")
                }
                Self::Mold | Self::Lld => true,
            }
    }

    /// Whether one of a file's [`comments`] is this linker's.
    #[must_use]
    pub fn signed(self, comments: &[String]) -> bool {
        comments.iter().any(|comment| mark::author(comment) == Some(self))
    }
}
