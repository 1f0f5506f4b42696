//! Commands that the README promises, read from it, so that what is checked is what is printed.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::repo;

/// The one command in the first fenced block below the heading `heading`, as its words.
///
/// # Errors
/// When the README has no such heading, or not exactly one command in that block.
pub(crate) fn command(heading: &str) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(repo::root().join("README.md")).context("cannot read README.md")?;
    let commands = first_block(&text, heading)
        .with_context(|| format!("README.md has no fenced block below {heading:?}"))?;
    ensure!(commands.len() == 1, "README.md, {heading:?}: one command is wanted, not {commands:?}");
    Ok(commands[0].split_whitespace().map(str::to_owned).collect())
}

/// The lines of the first fenced block between this heading and the next one.
fn first_block<'t>(text: &'t str, heading: &str) -> Option<Vec<&'t str>> {
    let mut lines = text.lines().skip_while(|line| !is_heading(line, heading)).skip(1);
    lines
        .by_ref()
        .take_while(|line| !line.starts_with('#'))
        .find(|line| line.starts_with("```"))?;
    Some(
        lines.take_while(|line| !line.starts_with("```")).filter(|line| !line.is_empty()).collect(),
    )
}

fn is_heading(line: &str, heading: &str) -> bool {
    line.starts_with('#') && line.trim_start_matches('#').trim() == heading
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# A\n## Try\ntext\n```sh\ncargo one\n```\n## Empty\n## Test\n```sh\ncargo two\n```\n";

    #[test]
    fn a_block_belongs_to_the_heading_above_it() {
        assert_eq!(first_block(TEXT, "Try"), Some(vec!["cargo one"]));
        assert_eq!(first_block(TEXT, "Test"), Some(vec!["cargo two"]));
        assert_eq!(first_block(TEXT, "Empty"), None);
        assert_eq!(first_block(TEXT, "Nothing"), None);
    }

    #[test]
    fn the_readme_has_the_two_commands_that_are_checked() -> Result<()> {
        assert_eq!(command("Try it")?[0], "cargo");
        assert_eq!(command("Test")?[..2], ["cargo", "test"]);
        Ok(())
    }
}
