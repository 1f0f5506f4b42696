//! Recipes: the named fields of an invocation that are known before it runs.

use crate::{Digest, Hasher};

/// The digest of a [`Recipe`]; names a [`Record`](crate::Record) in a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecipeKey(pub Digest);

impl std::fmt::Display for RecipeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One named field of a recipe.
///
/// The name says what it is (`toolchain`, `arg`, `extern:serde`); names may repeat, and order
/// counts. The value is canonical bytes: a text, a digest's 32 bytes or a
/// [`Template`](crate::Template) in its canonical encoding.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Field {
    /// What the field is.
    pub name: String,
    /// Its canonical bytes.
    pub value: Vec<u8>,
}

/// What is known of an invocation before it runs, as named fields in order.
///
/// Fields are named so that two recipes can be compared by a person; they are hashed with their
/// lengths, so two recipes that differ in any field, or in where one field ends, never share a key.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct Recipe {
    fields: Vec<Field>,
}

impl Recipe {
    /// The hashing domain of recipe keys. It carries the version: a change to what fields mean
    /// takes a new one, so old and new writers never meet at one key.
    pub const CONTEXT: &'static str = "larder 2026-11 recipe v1";

    /// A recipe with no fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A recipe of these fields.
    #[must_use]
    pub fn from_fields(fields: Vec<Field>) -> Self {
        Self { fields }
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.fields.push(Field { name: name.into(), value: value.into() });
        self
    }

    /// The fields in order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The value of the first field of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.value.as_slice())
    }

    /// The canonical bytes: the number of fields, then every name and value with its length in
    /// front, all integers as little-endian `u64`. Two recipes have the same bytes only if they
    /// are equal.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let len = self.fields.iter().map(|field| 16 + field.name.len() + field.value.len());
        let mut out = Vec::with_capacity(8 + len.sum::<usize>());
        out.extend_from_slice(&(self.fields.len() as u64).to_le_bytes());
        for field in &self.fields {
            for part in [field.name.as_bytes(), &field.value] {
                out.extend_from_slice(&(part.len() as u64).to_le_bytes());
                out.extend_from_slice(part);
            }
        }
        out
    }

    /// The first-level key: the digest of [`Recipe::to_bytes`] in the domain
    /// [`Recipe::CONTEXT`].
    #[must_use]
    pub fn key(&self) -> RecipeKey {
        RecipeKey(Hasher::keyed(Self::CONTEXT).update(&self.to_bytes()).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(fields: &[(&str, &str)]) -> Recipe {
        let mut recipe = Recipe::new();
        for (name, value) in fields {
            recipe.push(*name, *value);
        }
        recipe
    }

    #[test]
    fn where_a_field_ends_counts() {
        let all = [
            recipe(&[]),
            recipe(&[("", "")]),
            recipe(&[("", ""), ("", "")]),
            recipe(&[("a", "bc")]),
            recipe(&[("ab", "c")]),
            recipe(&[("abc", "")]),
            recipe(&[("a", "b"), ("c", "")]),
            recipe(&[("a", "b"), ("", "c")]),
            recipe(&[("c", ""), ("a", "b")]),
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert_ne!(one.to_bytes(), other.to_bytes());
                assert_ne!(one.key(), other.key());
            }
        }
    }

    /// A change here makes every store's records unreachable: it must be meant, and come with a
    /// new [`Recipe::CONTEXT`].
    #[test]
    fn keys_stay_what_they_are() {
        let key = recipe(&[("toolchain", "1.95.0"), ("arg", "--test")]).key();
        assert_eq!(
            key.to_string(),
            "2aa5948975fdbfeee447ab1c008e83511aba999580e84601d8562a40afa7e4e5"
        );
    }

    #[test]
    fn a_key_is_of_its_domain() {
        assert_ne!(Recipe::new().key().0, Digest::of(&Recipe::new().to_bytes()));
    }

    #[test]
    fn the_first_field_of_a_name_is_found() {
        let recipe = recipe(&[("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(recipe.get("a"), Some(b"1".as_slice()));
        assert_eq!(recipe.get("c"), None);
    }
}
