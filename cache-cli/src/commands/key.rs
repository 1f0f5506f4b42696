//! `larder key`: the keys that sign what is stored where others can write.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use cache_storage::layers::{PublicKey, SecretKey};
use clap::Subcommand;

use crate::config::Config;

/// What to do with a key.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a new secret key and show its public key
    New {
        /// Its file, instead of `signing-key` beside the configuration file
        file: Option<PathBuf>,
    },
    /// Show the public key of a secret key
    Show {
        /// Its file, instead of `signing-key` beside the configuration file
        file: Option<PathBuf>,
    },
}

/// Makes or shows a key.
///
/// # Errors
/// When there is a file where a new key would be, none where one should be, or no home directory.
pub(super) fn run(key: Key) -> Result<bool> {
    match key {
        Key::New { file } => new(&place(file)?),
        Key::Show { file } => show(&place(file)?),
    }
}

fn place(file: Option<PathBuf>) -> Result<PathBuf> {
    let standard = || Some(Config::load().file?.with_file_name("signing-key"));
    file.or_else(standard).ok_or_else(|| anyhow!("there is no home directory; name the key's file"))
}

fn new(path: &Path) -> Result<bool> {
    let key = SecretKey::generate()?;
    key.write_new(path)?;
    sayln!("secret key: {}", path.display());
    sayln!("public key: {}", key.public());
    say!("{}", hint(path, &key.public()));
    Ok(true)
}

/// What goes where.
fn hint(path: &Path, public: &PublicKey) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    format!(
        "Whoever has the secret key can sign what larder uploads (or LARDER_REMOTE_SIGNING_KEY):\n\n    \
         [remote]\n    signing-key = \"{}\"\n\nThose who trust it use only what is signed (or \
         LARDER_REMOTE_TRUSTED_KEYS):\n\n    [remote]\n    trusted-keys = [\"{public}\"]\n",
        path.display()
    )
}

fn show(path: &Path) -> Result<bool> {
    let key = SecretKey::read(path).map_err(|error| match error.is_absent() {
        true => anyhow!("there is no key at {}; `larder key new` makes one", path.display()),
        false => anyhow!("{}: {error}", path.display()),
    })?;
    sayln!("{}", key.public());
    let mode = std::fs::metadata(path).map(|meta| meta.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        eprintln!("larder: others can read {0}; run `chmod 600 {0}`", path.display());
    }
    Ok(true)
}
