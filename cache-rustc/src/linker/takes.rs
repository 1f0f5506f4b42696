//! Which units may be linked by a chosen linker.

use super::Linker;
use crate::args::{CompileArgs, CrateType, EmitKind, KeyArg, Piece, Target};

impl Linker {
    /// Whether a unit may be linked by it: it calls a linker through the usual driver, for this
    /// machine's kind of system, and its flags say nothing about linkers. `host` is the compiler's
    /// own target.
    ///
    /// Flags that do are `-C linker`, `linker-flavor`, `linker-features`, `linker-plugin-lto`,
    /// `link-self-contained` with a word about linkers, and link arguments `-fuse-ld`, `--ld-path`,
    /// `-B` and response files, which may hold any of them.
    #[must_use]
    pub fn takes(self, args: &CompileArgs, host: &str) -> bool {
        let target = match &args.target {
            None => host,
            Some(Target::Triple(triple)) => triple,
            Some(Target::Spec(_)) => return false,
        };
        let linked = |kind: &CrateType| !matches!(kind, CrateType::Rlib | CrateType::Staticlib);
        args.emits(EmitKind::Link)
            && args.crate_types.iter().any(linked)
            && self.links_for(target)
            && same_machine(arch(target), arch(host))
            && !args.keyed.iter().any(names_a_linker)
    }
}

/// `x86_64` of `x86_64-unknown-linux-gnu`.
pub(super) fn arch(target: &str) -> &str {
    target.split('-').next().unwrap_or_default()
}

/// Whether a target is Linux with a C library for which rustc's driver is `cc`. Android's is not.
pub(super) fn is_linux(target: &str) -> bool {
    const LIBRARIES: [&str; 6] = ["gnu", "gnueabi", "gnueabihf", "musl", "musleabi", "musleabihf"];
    let mut parts = target.rsplit('-');
    let library = parts.next().unwrap_or_default();
    LIBRARIES.contains(&library) && parts.next() == Some("linux")
}

/// Whether the host's `cc` links for the target: for anything else, flags name another driver.
fn same_machine(target: &str, host: &str) -> bool {
    let is_x86 = |arch: &str| ["x86_64", "i586", "i686"].contains(&arch);
    target == host || (is_x86(target) && is_x86(host))
}

fn names_a_linker(arg: &KeyArg) -> bool {
    let value: Vec<u8> = arg.value.iter().flat_map(Piece::as_bytes).copied().collect();
    let value = String::from_utf8_lossy(&value);
    match arg.name {
        "-C linker" | "-C linker-flavor" | "-C linker-features" | "-C linker-plugin-lto" => true,
        "-C link-self-contained" => value.contains("linker"),
        "-C link-arg" => chooses(&value),
        "-C link-args" => value.split_whitespace().any(chooses),
        _ => false,
    }
}

/// Whether a driver's argument chooses a linker, or may hide one that does.
fn chooses(arg: &str) -> bool {
    ["-fuse-ld", "--ld-path", "-B", "@"].iter().any(|start| arg.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{self, Invocation};
    use std::ffi::OsString;
    use std::path::Path;

    const HOST: &str = "x86_64-unknown-linux-gnu";

    fn taken(linker: Linker, more: &[&str]) -> bool {
        let usual = ["--crate-name", "a", "a.rs", "--emit", "link,dep-info", "--out-dir", "/o"];
        let args: Vec<_> = usual.iter().chain(more).map(OsString::from).collect();
        match args::parse(&args, Path::new("/w")) {
            Invocation::Compile(args) => linker.takes(&args, HOST),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_calls_a_linker_takes_it() {
        for kind in ["bin", "cdylib", "dylib", "proc-macro", "rlib,cdylib"] {
            assert!(taken(Linker::Mold, &["--crate-type", kind]), "{kind}");
        }
        assert!(taken(Linker::Mold, &["--test"]));
        for kind in ["lib", "rlib", "staticlib", "rlib,staticlib"] {
            assert!(!taken(Linker::Mold, &["--crate-type", kind]), "{kind}");
        }
    }

    #[test]
    fn flags_about_linkers_win() {
        let bin = |flags: &[&str]| taken(Linker::Wild, &[&["--crate-type", "bin"], flags].concat());
        for flags in [
            &["-C", "linker=clang"][..],
            &["-Clinker-flavor=ld"],
            &["-C", "linker-features=-lld"],
            &["-C", "linker-plugin-lto"],
            &["-Clink-self-contained=-linker"],
            &["-C", "link-arg=-fuse-ld=gold"],
            &["-C", "link-args=-Wl,-O1 --ld-path=/opt/ld"],
            &["-C", "link-arg=-B/opt/tools"],
            &["-C", "link-arg=@flags"],
        ] {
            assert!(!bin(flags), "{flags:?}");
        }
        for flags in [
            &["-C", "link-arg=-Wl,-Bstatic,--as-needed"][..],
            &["-C", "link-args=-rdynamic -L/opt/lib"],
            &["-Clink-self-contained=y"],
            &["-C", "strip=symbols", "-Clto"],
        ] {
            assert!(bin(flags), "{flags:?}");
        }
    }

    #[test]
    fn only_targets_that_it_knows_and_the_usual_driver_links() {
        let target = |linker, target| taken(linker, &["--crate-type", "bin", "--target", target]);
        for (triple, wild, mold) in [
            (HOST, true, true),
            ("x86_64-unknown-linux-musl", true, true),
            ("i686-unknown-linux-gnu", false, true),
            ("x86_64-unknown-linux-gnux32", false, false),
            ("aarch64-unknown-linux-gnu", false, false),
            ("x86_64-linux-android", false, false),
            ("x86_64-unknown-freebsd", false, false),
            ("wasm32-unknown-unknown", false, false),
        ] {
            assert_eq!(target(Linker::Wild, triple), wild, "wild {triple}");
            assert_eq!(target(Linker::Mold, triple), mold, "mold {triple}");
        }
        assert!(Linker::Lld.links_for("armv7-unknown-linux-gnueabihf"));
        assert!(!Linker::Wild.links_for("armv7-unknown-linux-gnueabihf"));
        assert!(Linker::Wild.links_for("riscv64gc-unknown-linux-gnu"));
        assert!(!Linker::Wild.links_for("aarch64_be-unknown-linux-gnu"));
    }
}
