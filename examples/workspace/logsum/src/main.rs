//! Sums up a log file.

mod summary;

use std::path::PathBuf;
use std::{fs, io};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};

use crate::summary::Summary;

/// Sums up a log: lines by level and by target, first and last time, commonest messages.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The log; standard input if it is left out.
    file: Option<PathBuf>,
    /// How many of the commonest messages to show.
    #[arg(long, default_value_t = 5)]
    top: usize,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Fail at the first line that cannot be read instead of counting it.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let text = match &arguments.file {
        Some(path) => {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
        }
        None => io::read_to_string(io::stdin())?,
    };
    let summary = Summary::of(&text, arguments.top);
    if let (true, Some((line, why))) = (arguments.strict, &summary.first_unreadable) {
        bail!("line {line}: {why}");
    }
    match arguments.format {
        Format::Text => print!("{summary}"),
        Format::Json => println!("{}", serde_json::to_string_pretty(&summary)?),
    }
    Ok(())
}
