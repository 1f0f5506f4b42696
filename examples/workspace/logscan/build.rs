//! Compiles the scanner and turns `levels.txt` into a Rust enum.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=c/scan.c");
    println!("cargo::rerun-if-changed=c/scan.h");
    println!("cargo::rerun-if-changed=levels.txt");

    cc::Build::new().file("c/scan.c").include("c").warnings(true).compile("logscan_c");

    let out_dir = PathBuf::from(
        env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?,
    );
    generate_levels(&fs::read_to_string("levels.txt")?, &out_dir.join("levels.rs"))
}

/// Writes `enum Level`, its names and its ranks.
fn generate_levels(table: &str, to: &Path) -> io::Result<()> {
    let mut variants = String::new();
    let mut names = String::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (Some(name), Some(rank)) = (words.next(), words.next()) else {
            continue;
        };
        let variant = name[..1].to_uppercase() + &name[1..];
        writeln!(variants, "    /// `{name}`, severity {rank}.\n    {variant} = {rank},")
            .map_err(io::Error::other)?;
        writeln!(names, "    (\"{name}\", Level::{variant}),").map_err(io::Error::other)?;
    }
    fs::write(
        to,
        format!(
            "/// Severity of a line, least severe first.\n\
             #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n\
             pub enum Level {{\n{variants}}}\n\n\
             /// Every level with its name in lower case.\n\
             pub const LEVELS: &[(&str, Level)] = &[\n{names}];\n"
        ),
    )
}
