//! A made-up project whose top crate has 20 externs, 30 source files and some 2 MB of outputs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;

/// Name of the crate that is measured.
pub(super) const CRATE: &str = "unit";
/// Crates that it depends on.
pub(super) const EXTERNS: usize = 20;
/// Source files that it is made of.
pub(super) const SOURCES: usize = 30;
/// Types a source file; with [`FILL`] they give outputs of about the wanted size.
const TYPES: usize = 2;
/// Bytes of constant data a source file.
const FILL: usize = 8 << 10;

/// Writes the project into `directory`.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(directory: &Path) -> Result<()> {
    let mut manifest = format!(
        "[package]\nname = \"{CRATE}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [workspace]\n[dependencies]\n"
    );
    for number in 0..EXTERNS {
        writeln!(manifest, "dep{number} = {{ path = \"dep{number}\" }}")?;
        write_extern(directory, number)?;
    }
    fs::write(directory.join("Cargo.toml"), manifest)?;
    fs::create_dir_all(directory.join("src"))?;
    let mut root = String::from("//! Made up.\n");
    for number in 1..SOURCES {
        writeln!(root, "pub mod part{number};")?;
        fs::write(directory.join(format!("src/part{number}.rs")), part(number)?)?;
    }
    fs::write(directory.join("src/lib.rs"), root)?;
    Ok(())
}

fn write_extern(directory: &Path, number: usize) -> Result<()> {
    let root = directory.join(format!("dep{number}"));
    fs::create_dir_all(root.join("src"))?;
    fs::write(
        root.join("Cargo.toml"),
        format!("[package]\nname = \"dep{number}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
    )?;
    fs::write(root.join("src/lib.rs"), format!("pub fn value() -> usize {{ {number} }}\n"))?;
    Ok(())
}

fn part(number: usize) -> Result<String> {
    let mut text = format!("pub static FILL: [u8; {FILL}] = [{}; {FILL}];\n", number % 250 + 1);
    writeln!(text, "pub fn value() -> usize {{ dep{}::value() }}", number % EXTERNS)?;
    for index in 0..TYPES {
        writeln!(
            text,
            "#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]\n\
             pub struct Type{index} {{ pub name: String, pub size: u64, pub parts: Vec<String> }}"
        )?;
    }
    Ok(text)
}
