//! `larder setup`: lets cargo use larder for all builds of this user, and takes that back.

mod change;
mod moved;
mod sccache;
mod wrapper;

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cargo_config;
use crate::config::Config;
use change::Change;

/// What to do.
#[derive(Debug, Args)]
pub(super) struct Setup {
    /// Take the settings back
    #[arg(long)]
    undo: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Take the place of this cache, and take over where it shares
    #[arg(long, value_name = "CACHE", value_parser = ["sccache"])]
    from: Option<String>,
}

/// Changes cargo's configuration, and larder's own if another cache is left, after showing the changes;
/// `false` when they were declined.
///
/// # Errors
/// When a file cannot be understood or written, or names another wrapper.
pub(super) fn run(setup: &Setup) -> Result<bool> {
    let (cargo, cargo_said) = cargo_change(setup)?;
    let (own, notes) = own_change(setup)?;
    let changes: Vec<Change> = [cargo, own].into_iter().flatten().collect();
    let none = changes.is_empty();
    if let Some(said) = cargo_said {
        sayln!("{said}");
    }
    for change in &changes {
        say!("{}", change.difference());
    }
    if !none {
        if !setup.yes && !change::confirmed()? {
            sayln!("nothing was changed");
            return Ok(false);
        }
        for change in &changes {
            change.write().with_context(|| format!("cannot write {}", change.file().display()))?;
        }
        sayln!("written");
    }
    for note in notes {
        sayln!("note: {note}");
    }
    if !setup.undo {
        hidden().iter().for_each(|note| sayln!("note: {note}"));
    }
    Ok(true)
}

/// The change to cargo's configuration, or why there is none.
fn cargo_change(setup: &Setup) -> Result<(Option<Change>, Option<String>)> {
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
    let old = change::read(&file)?;
    let new = if setup.undo {
        wrapper::without(&old, &larder)
    } else {
        wrapper::with(&old, &larder, setup.from.as_deref())
    };
    let shown = file.display().to_string();
    Ok(match new.with_context(|| shown.clone())? {
        Some(new) => (Some(Change::new(file, old, new)), None),
        None if setup.undo => {
            (None, Some(format!("{shown}: cargo does not use larder; nothing to undo")))
        }
        None => (None, Some(format!("{shown}: cargo uses {larder} already"))),
    })
}

/// The change to larder's own configuration, and what to say besides.
fn own_change(setup: &Setup) -> Result<(Option<Change>, Vec<String>)> {
    if !setup.undo && setup.from.is_none() {
        return Ok((None, Vec::new()));
    }
    let Some(file) = Config::load().file else {
        bail!("there is no home directory; let LARDER_CONFIG name larder's configuration file");
    };
    let old = change::read(&file)?;
    let (new, notes) = if setup.undo {
        (moved::without(&old), Vec::new())
    } else {
        let theirs = sccache::Theirs::read()?;
        let mut notes = theirs.notes();
        (moved::with(&old, &theirs, &mut notes), notes)
    };
    let new = new.with_context(|| file.display().to_string())?;
    Ok((new.map(|new| Change::new(file, old, new)), notes))
}

/// Wrappers that cargo takes here rather than larder.
fn hidden() -> Vec<String> {
    let Ok(cwd) = std::env::current_dir() else { return Vec::new() };
    let found = cargo_config::wrappers(&cwd, &|name| std::env::var_os(name));
    let before = found.iter().take_while(|wrapper| !is("larder", &wrapper.value));
    before
        .map(|wrapper| {
            let value = wrapper.value.display();
            format!("{} says {value:?}, which wins here: take it away", wrapper.source)
        })
        .collect()
}

/// Whether a program has this name, wherever it is installed.
fn is(name: &str, program: &OsStr) -> bool {
    Path::new(program).file_stem() == Some(OsStr::new(name))
}
