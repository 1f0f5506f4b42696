//! `larder setup`: lets cargo use larder for all builds of this user, and takes that back.

use std::fs;
use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use toml_edit::{DocumentMut, Item, Table, value};

use crate::cargo_config;

const KEY: &str = "rustc-wrapper";

/// Changes cargo's configuration after showing the change; `false` when the change was declined.
///
/// # Errors
/// When the file cannot be understood or written, or names another wrapper.
pub(super) fn run(undo: bool, yes: bool) -> Result<bool> {
    let larder = std::env::current_exe().context("cannot tell where larder is")?;
    let larder = larder
        .to_str()
        .with_context(|| {
            format!(
                "{} is not UTF-8, which cargo's configuration must be; install larder elsewhere",
                larder.display()
            )
        })?
        .to_owned();
    let home = cargo_config::home()
        .context("there is no home directory; set CARGO_HOME to an absolute path")?;
    let file = cargo_config::file_in(&home);
    let old = match fs::read_to_string(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        other => other.with_context(|| format!("cannot read {}", file.display()))?,
    };
    let change = if undo { without(&old, &larder) } else { with(&old, &larder) };
    let new = match change.with_context(|| file.display().to_string())? {
        Some(new) => new,
        None if undo => {
            println!("{}: cargo does not use larder; nothing to undo", file.display());
            return Ok(true);
        }
        None => {
            println!("{}: cargo uses {larder} already", file.display());
            return Ok(true);
        }
    };
    print!("{}", difference(&file, &old, &new));
    if !yes && !confirmed()? {
        println!("nothing was changed");
        return Ok(false);
    }
    write(&file, &new).with_context(|| format!("cannot write {}", file.display()))?;
    println!("written");
    if !undo && std::env::var_os("RUSTC_WRAPPER").is_some() {
        println!("note: RUSTC_WRAPPER is set in the environment and wins over the file");
    }
    Ok(true)
}

/// The file's text with larder as wrapper; `None` when it is so already.
fn with(text: &str, larder: &str) -> Result<Option<String>> {
    let mut document = parse(text)?;
    if let Some(other) = wrapper(&document) {
        if other == larder {
            return Ok(None);
        }
        if !is_larder(&other) {
            bail!(
                "build.{KEY} is \"{other}\" already, and cargo takes one wrapper; remove that line \
                 to use larder instead, or set RUSTC_WRAPPER={larder} to use it for some builds"
            );
        }
    }
    let build = document.entry("build").or_insert_with(|| Item::Table(Table::new()));
    let Some(build) = build.as_table_like_mut() else {
        bail!("build is not a table; write it as [build]");
    };
    match build.get_mut(KEY).and_then(Item::as_value_mut) {
        // Keeps what stands around the value, such as a comment behind it.
        Some(old) => {
            let decor = old.decor().clone();
            *old = larder.into();
            *old.decor_mut() = decor;
        }
        None => {
            build.insert(KEY, value(larder));
        }
    }
    Ok(Some(document.to_string()))
}

/// The file's text without larder as wrapper; `None` when it is none.
fn without(text: &str, larder: &str) -> Result<Option<String>> {
    let mut document = parse(text)?;
    match wrapper(&document) {
        Some(ours) if ours == larder || is_larder(&ours) => {}
        _ => return Ok(None),
    }
    if let Some(build) = document.get_mut("build").and_then(Item::as_table_like_mut) {
        build.remove(KEY);
    }
    let bare = document.get("build").and_then(Item::as_table).is_some_and(|table| {
        let around = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
        table.is_empty() && around.trim().is_empty()
    });
    if bare {
        document.remove("build");
    }
    Ok(Some(document.to_string()))
}

fn parse(text: &str) -> Result<DocumentMut> {
    text.parse::<DocumentMut>().context("not TOML; cargo cannot read it either")
}

fn wrapper(document: &DocumentMut) -> Option<String> {
    Some(document.get("build")?.get(KEY)?.as_str()?.to_owned())
}

/// Whether a program is larder, perhaps of another installation.
fn is_larder(program: &str) -> bool {
    Path::new(program).file_stem().is_some_and(|stem| stem == "larder")
}

/// The lines that go and come, with a line around them.
fn difference(file: &Path, old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = old.iter().zip(&new).take_while(same).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(same).count();
    let mut out = format!("{}\n", file.display());
    for line in &old[head.saturating_sub(1)..head] {
        out += &format!("   {line}\n");
    }
    for line in &old[head..old.len() - tail] {
        out += &format!(" - {line}\n");
    }
    for line in &new[head..new.len() - tail] {
        out += &format!(" + {line}\n");
    }
    for line in old[old.len() - tail..].iter().take(1) {
        out += &format!("   {line}\n");
    }
    out
}

fn confirmed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nobody to ask; nothing was changed; run it with --yes to write the change");
    }
    print!("Write this? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Writes the file whole or not at all, at the end of links, with its permissions; an empty one is
/// removed.
fn write(file: &Path, text: &str) -> Result<()> {
    let file: PathBuf = fs::canonicalize(file).unwrap_or_else(|_| file.into());
    if text.trim().is_empty() {
        return match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        };
    }
    let dir = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir)?;
    let mut temp = tempfile::NamedTempFile::new_in(dir)?;
    temp.write_all(text.as_bytes())?;
    let mode = fs::metadata(&file).map(|meta| meta.permissions());
    let new = || std::os::unix::fs::PermissionsExt::from_mode(0o644);
    temp.as_file().set_permissions(mode.unwrap_or_else(|_| new()))?;
    temp.persist(&file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARDER: &str = "/opt/bin/larder";

    fn round(text: &str) -> String {
        let with = with(text, LARDER).expect("understood").expect("a change");
        assert_eq!(super::with(&with, LARDER).expect("understood"), None, "done already");
        assert!(with.contains(&format!("rustc-wrapper = \"{LARDER}\"")), "{with}");
        without(&with, LARDER).expect("understood").expect("a change")
    }

    #[test]
    fn setting_and_undoing_leaves_the_file_as_it_was() {
        for text in [
            "",
            "# mine\n[net]\nretry = 3 # often\n",
            "[build] # here\njobs = 2\n\n# last\n[net]\nretry = 3\n",
            "build = { jobs = 2 }\n",
            "build.jobs = 2\n",
        ] {
            assert_eq!(round(text), text);
        }
    }

    #[test]
    fn another_wrapper_stays() {
        let text = "[build]\nrustc-wrapper = \"sccache\"\n";
        let error = with(text, LARDER).expect_err("refused").to_string();
        assert!(error.contains("build.rustc-wrapper is \"sccache\" already"), "{error}");
        assert_eq!(without(text, LARDER).expect("understood"), None);
    }

    #[test]
    fn another_larder_is_replaced_with_the_comment_kept() {
        let text = "[build]\nrustc-wrapper = \"/old/larder\" # why\n";
        let new = with(text, LARDER).expect("understood").expect("a change");
        assert_eq!(new, format!("[build]\nrustc-wrapper = \"{LARDER}\" # why\n"));
    }

    #[test]
    fn the_difference_is_the_lines_that_change() {
        let text = "[net]\nretry = 3\n[build]\njobs = 2\n[x]\n";
        let new = with(text, LARDER).expect("understood").expect("a change");
        assert_eq!(
            difference(Path::new("F"), text, &new),
            "F\n   jobs = 2\n + rustc-wrapper = \"/opt/bin/larder\"\n   [x]\n"
        );
    }
}
