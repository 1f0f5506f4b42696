//! Programs that a compile starts, by how they read their environment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Compilers, binary tools and what looks them up, that ask for each variable by name with `getenv`, where the tracer
/// sees it: GCC (gcc(1), "Environment Variables"), binutils (ld(1), "ENVIRONMENT"), LLVM, mold and
/// wild; pkg-config, `CMake` and git through `getenv` too. They hold `environ` only to pass it on.
const BY_NAME: &[&str] = &[
    "ar",
    "as",
    "c++",
    "cc",
    "cc1",
    "cc1plus",
    "clang",
    "clang++",
    "cmake",
    "collect2",
    "cpp",
    "dwp",
    "g++",
    "gcc",
    "git",
    "gold",
    "ld",
    "ld.bfd",
    "ld.gold",
    "ld.lld",
    "ld64.lld",
    "lld",
    "llvm-ar",
    "llvm-config",
    "lto-wrapper",
    "lto1",
    "mold",
    "ninja",
    "objcopy",
    "pkg-config",
    "pkgconf",
    "ranlib",
    "rustup",
    "strip",
    "wild",
];

/// Whether a program (the file that runs, behind all links; for a script its interpreter) is known
/// to read variables by name only. Shells and other interpreters are not: a script's variables are
/// taken from `environ`.
#[must_use]
pub(super) fn reads_by_name(exe: &Path) -> bool {
    let Some(name) = exe.file_name().map(OsStr::as_bytes) else { return false };
    let name = without_version(name);
    BY_NAME.iter().any(|known| {
        name.strip_suffix(known.as_bytes())
            .is_some_and(|target| target.is_empty() || target.ends_with(b"-"))
    })
}

/// `x86_64-linux-gnu-gcc` of `x86_64-linux-gnu-gcc-12`.
fn without_version(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|b| *b == b'-') {
        Some(at) if name[at + 1..].iter().all(|b| b.is_ascii_digit() || *b == b'.') => &name[..at],
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_are_known_under_all_their_names() {
        for name in
            ["gcc", "x86_64-linux-gnu-gcc-12", "clang-19", "x86_64-linux-gnu-ld.bfd", "g++-4.9"]
        {
            assert!(reads_by_name(&Path::new("/usr/bin").join(name)), "{name}");
        }
    }

    #[test]
    fn interpreters_and_strangers_are_not() {
        for name in ["dash", "bash", "python3.11", "ccache", "mycc", "12", "-12", "zig", "busybox"]
        {
            assert!(!reads_by_name(&Path::new("/usr/bin").join(name)), "{name}");
        }
        assert!(!reads_by_name(Path::new("/")));
    }
}
