//! `larder doctor`: whether everything larder needs is here, and what to do where it is not.

mod cargo;
mod compiler;
mod linker;
mod probe;
mod remote;
mod store;

use std::fmt;

use anyhow::Result;

use crate::config::Config;
use crate::places;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// As it should be.
    Fine,
    /// Worth knowing; nothing is broken.
    Note,
    /// Larder does nothing, or not what was asked for.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    level: Level,
    about: &'static str,
    said: String,
    /// What to do; empty for what is fine.
    fix: String,
}

impl Finding {
    fn fine(about: &'static str, said: impl Into<String>) -> Self {
        Self { level: Level::Fine, about, said: said.into(), fix: String::new() }
    }

    fn note(about: &'static str, said: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Note, about, said: said.into(), fix: fix.into() }
    }

    fn broken(about: &'static str, said: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Broken, about, said: said.into(), fix: fix.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Fine => "ok",
            Level::Note => "note",
            Level::Broken => "BROKEN",
        };
        write!(f, "{level:<7} {:<9} {}", self.about, self.said)?;
        if !self.fix.is_empty() {
            write!(f, "\n{:17} -> {}", "", self.fix)?;
        }
        Ok(())
    }
}

/// Looks at everything; `false` when something is broken.
///
/// # Errors
/// None today.
pub(super) fn run() -> Result<bool> {
    let config = Config::load();
    let (places, opened) = places::open(&config);
    let mut findings = settings(&config);
    findings.extend(store::look(&config, places.as_ref(), &opened));
    findings.extend(compiler::look(&config, places.as_ref()));
    findings.extend(linker::look(&config, places.as_ref()));
    findings.extend(remote::look(&config, places.as_ref()));
    findings.extend(cargo::look());
    let broken = findings.iter().filter(|finding| finding.level == Level::Broken).count();
    for finding in &findings {
        sayln!("{finding}");
    }
    if broken > 0 {
        sayln!("\n{broken} broken; builds go on without what is missing");
    }
    Ok(broken == 0)
}

fn settings(config: &Config) -> Vec<Finding> {
    let mut findings: Vec<_> = config
        .problems
        .iter()
        .map(|problem| Finding::broken("settings", problem.said(), problem.fix.clone()))
        .collect();
    if findings.is_empty() {
        let from = match (&config.file, config.file_found) {
            (Some(file), true) => format!("from {} and the environment", file.display()),
            _ => "from the environment and defaults".into(),
        };
        findings.push(Finding::fine("settings", from));
    }
    if config.mode.value.engine().is_none() {
        let said = format!("larder is switched off ({})", config.mode.origin);
        findings.push(Finding::note("settings", said, "set mode, or LARDER, to on"));
    }
    findings
}
