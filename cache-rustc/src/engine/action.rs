//! What look-up and observation need to know of an execution, whatever it executes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use cache_core::{Digest, Fact, Recipe, RecipeKey};

use super::facts::env_fact;
use super::place::Place;
use super::unit::os;

/// An environment.
pub type Env = HashMap<OsString, OsString>;

/// Something that is executed in a place with an environment: a compile, or a build script's run.
pub trait Action: Sync {
    /// Everything known before executing.
    fn recipe(&self) -> &Recipe;

    /// The recipe's key.
    fn key(&self) -> RecipeKey;

    /// Where it happens.
    fn place(&self) -> &Place;

    /// The whole environment.
    fn env(&self) -> &Env;

    /// The value here of an option outside the recipe; `None` for a name that is not known.
    fn variant(&self, name: &str) -> Option<Digest>;
}

/// What a variable is here, as a fact.
pub(super) fn env_fact_of(action: &dyn Action, name: &[u8]) -> Fact {
    env_fact(action.place(), name, action.env().get(&os(name)).map(|value| value.as_bytes()))
}

/// A fact about an option outside the recipe, as it is here.
pub(super) fn variant_fact(action: &dyn Action, name: &str) -> Option<Fact> {
    let value = action.variant(name)?;
    Some(Fact::Variant { name: name.into(), value })
}
