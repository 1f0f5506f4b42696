//! What is wrong with a setting.

use std::fmt;

use cache_storage::object::without_password;

/// A value that cannot be used, where it stands, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// `FILE:LINE`, or `environment`.
    pub(crate) place: String,
    /// The key or variable; empty when the trouble is the file as a whole.
    pub(crate) key: String,
    /// The value as it was written.
    pub(crate) value: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What would be right.
    pub(crate) fix: String,
}

impl Problem {
    /// What is wrong, without the fix.
    pub(crate) fn said(&self) -> String {
        let mut said = format!("{}: ", self.place);
        if !self.key.is_empty() {
            said += &self.key;
            if !self.value.is_empty() {
                said += &format!(" = {}", shown(&self.value));
            }
            said += ": ";
        }
        said + &self.message
    }
}

/// A value without what should stay secret, if it was put where it does not belong.
fn shown(value: &str) -> String {
    match value.find("ed25519-secret:") {
        Some(at) => format!("{}…", value.get(..at).unwrap_or_default()),
        None => without_password(value),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  fix: {}", self.said(), self.fix)
    }
}
