//! `cargo xtask count`: which compilers run in a cold build and in one answered from the store.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::JoinHandle;

use anyhow::{Context, Result, ensure};
use lexopt::{Arg, ValueExt};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::files::Scratch;
use crate::larder;
use crate::shim;
use crate::subject::Subject;
use crate::tools::Tool;

/// Compiler processes by what they did.
type Counts = BTreeMap<String, usize>;

/// Cargo's and larder's questions to the compiler; no compiling.
const PROBE: &str = "probe";

/// Runs the task with the rest of its command line.
///
/// # Errors
/// On bad usage, or when a build fails.
pub(crate) fn main(mut arguments: lexopt::Parser) -> Result<ExitCode> {
    let (mut subject, mut binary, mut keep) = ("fd-find".to_owned(), None, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("subject") => subject = arguments.value()?.string()?,
            Arg::Long("larder") => binary = Some(PathBuf::from(arguments.value()?)),
            Arg::Long("keep") => keep = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let tool = Tool::larder(larder::binary(binary)?)?;
    let scratch = Scratch::new("count", keep)?;
    let subject = Subject::obtain(&subject, scratch.path())?;
    let shim = shim::install_counting(&scratch.path().join("shim"))?;
    let compiler = real_compiler()?;

    let build = |place: &str| -> Result<Counts> {
        let checkout = scratch.path().join(place).join(&subject.name);
        let store = scratch.path().join("store");
        subject.check_out(&checkout)?;
        tool.start(&store)?;
        let starts = Starts::listen(&scratch.path().join("starts"))?;
        let mut command = tool.build(&checkout, &store);
        command.env("RUSTC", &shim).env(shim::LOG, &starts.pipe).env(shim::NEXT, &compiler);
        let output = command.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        starts.counts()
    };
    let cold = build("first")?;
    let full = build("second/checkout")?;
    print_table(&subject.title, &cold, &full);
    Ok(ExitCode::SUCCESS)
}

/// The compiler itself, past any proxy that chooses one.
fn real_compiler() -> Result<PathBuf> {
    let output =
        Command::new("rustc").args(["--print", "sysroot"]).output().context("cannot run rustc")?;
    ensure!(output.status.success(), "rustc --print sysroot: {}", output.status);
    Ok(Path::new(String::from_utf8(output.stdout)?.trim()).join("bin/rustc"))
}

/// A named pipe that compilers write to when they start.
struct Starts {
    pipe: PathBuf,
    /// Keeps the pipe open, so that the reader sees no end between two writers.
    end: File,
    reader: JoinHandle<Counts>,
}

/// The last line, written by this program.
const END: &str = "end";

impl Starts {
    fn listen(pipe: &Path) -> Result<Self> {
        let _ = fs::remove_file(pipe);
        mkfifo(pipe, Mode::S_IRWXU).with_context(|| pipe.display().to_string())?;
        let end = File::options().read(true).write(true).open(pipe)?;
        let lines = BufReader::new(end.try_clone()?).lines();
        let reader = std::thread::spawn(move || {
            let mut counts = Counts::new();
            for line in lines.map_while(std::io::Result::ok).take_while(|line| line != END) {
                *counts.entry(line).or_default() += 1;
            }
            counts
        });
        Ok(Self { pipe: pipe.into(), end, reader })
    }

    fn counts(mut self) -> Result<Counts> {
        writeln!(self.end, "{END}")?;
        self.reader.join().map_err(|_| anyhow::anyhow!("the reader of compiler starts failed"))
    }
}

/// What a command line makes, in cargo's words.
pub(crate) fn kind(arguments: &[String]) -> String {
    let after = |option: &str| -> Vec<&str> {
        let pairs = arguments.windows(2).filter(|pair| pair[0] == option);
        pairs.map(|pair| pair[1].as_str()).collect()
    };
    let name = after("--crate-name").join("");
    let asks = arguments.iter().any(|argument| {
        argument == "-"
            || argument == "-vV"
            || argument == "--version"
            || argument.starts_with("--print")
    });
    if asks || name.is_empty() {
        return PROBE.to_owned();
    }
    if name.starts_with("build_script_") {
        return "build script".to_owned();
    }
    if arguments.iter().any(|argument| argument == "--test") {
        return "test".to_owned();
    }
    let types = after("--crate-type").join("+");
    let links = arguments
        .iter()
        .any(|argument| argument.starts_with("--emit") && argument.contains("link"));
    if links || types == "bin" { types } else { format!("{types} (metadata only)") }
}

fn print_table(title: &str, cold: &Counts, full: &Counts) {
    println!("Compiler processes for {title}, counted by a shim in front of rustc:\n");
    println!("| what was run | cold | full hit, second checkout |\n|---|--:|--:|");
    let mut kinds: Vec<&String> =
        cold.keys().chain(full.keys()).filter(|kind| *kind != PROBE).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let of = |counts: &Counts, kind: &str| counts.get(kind).copied().unwrap_or(0);
    for kind in &kinds {
        println!("| {kind} | {} | {} |", of(cold, kind), of(full, kind));
    }
    let sum = |counts: &Counts| kinds.iter().map(|kind| of(counts, kind)).sum::<usize>();
    println!("| **all** | **{}** | **{}** |", sum(cold), sum(full));
    println!(
        "\nProbes, not counted above: {} cold, {} on the full hit.",
        of(cold, PROBE),
        of(full, PROBE)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(line: &str) -> String {
        kind(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn command_lines_are_told_apart() {
        assert_eq!(kind_of("-vV"), PROBE);
        assert_eq!(kind_of("- --crate-name ___ --print=file-names --crate-type bin"), PROBE);
        let lib = "--crate-name a a.rs --crate-type lib --emit=dep-info,metadata,link";
        assert_eq!(kind_of(lib), "lib");
        assert_eq!(
            kind_of("--crate-name a a.rs --crate-type lib --emit=dep-info,metadata"),
            "lib (metadata only)"
        );
        assert_eq!(
            kind_of("--crate-name build_script_build b.rs --crate-type bin --emit=link"),
            "build script"
        );
        assert_eq!(kind_of("--crate-name a a.rs --emit=dep-info,link --test"), "test");
        assert_eq!(
            kind_of("--crate-name m a.rs --crate-type proc-macro --emit=dep-info,link"),
            "proc-macro"
        );
    }
}
