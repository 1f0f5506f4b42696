//! `--extern [modifiers:]name[=path]`.

use std::path::PathBuf;

use super::Reason;

/// The crates of the toolchain that cargo and users name without a path; their files are covered
/// by the toolchain's identity.
const TOOLCHAIN_CRATES: [&str; 5] = ["alloc", "core", "proc_macro", "std", "test"];

/// One `--extern`. The same name may occur more than once, with several paths to choose from
/// (a `.rlib` and an `.rmeta`, say), and the modifiers of all of them count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Extern {
    /// The name the source uses.
    pub name: String,
    /// The file, as given. `None` only for crates of the toolchain (`--extern proc_macro`).
    pub path: Option<PathBuf>,
    /// What was before the colon. Only unstable compilers take any.
    pub modifiers: ExternModifiers,
}

/// The modifiers of an `--extern` (`rustc_session::config::parse_externs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExternModifiers {
    /// `priv`: not for the public interface.
    pub private: bool,
    /// `noprelude`: not in the extern prelude.
    pub noprelude: bool,
    /// `nounused`: not reported as unused.
    pub nounused: bool,
    /// `force`: resolved although not used.
    pub force: bool,
}

impl Extern {
    pub(super) fn parse(value: &str) -> Result<Self, Reason> {
        let invalid = || Reason::InvalidValue("--extern");
        let (name, path) = match value.split_once('=') {
            Some((name, path)) => (name, Some(PathBuf::from(path))),
            None => (value, None),
        };
        let mut modifiers = ExternModifiers::default();
        let name = match name.split_once(':') {
            Some((list, name)) => {
                for modifier in list.split(',') {
                    *match modifier {
                        "priv" => &mut modifiers.private,
                        "noprelude" => &mut modifiers.noprelude,
                        "nounused" => &mut modifiers.nounused,
                        "force" => &mut modifiers.force,
                        _ => return Err(invalid()),
                    } = true;
                }
                name
            }
            None => name,
        };
        if !is_identifier(name) || path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(invalid());
        }
        if path.is_none() && !TOOLCHAIN_CRATES.contains(&name) {
            return Err(Reason::ExternWithoutPath(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), path, modifiers })
    }
}

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
