//! What is looked for in what a run left: the places that bind it, and values of variables that count only
//! where an output carries them.

use std::ffi::OsString;

use cache_core::RootName;
use memchr::memmem;

use super::super::action::Env;
use super::environ::MIN_TELLING;
use super::run::ScriptRun;

/// What is looked for.
pub(super) struct Search {
    /// Places, each with its path.
    pub roots: Vec<(RootName, Vec<u8>)>,
    values: Vec<Value>,
}

/// A variable's value.
struct Value {
    name: Vec<u8>,
    bytes: Vec<u8>,
    /// Paths of places that begin with it: there it is seen whatever the variable says. Who comes from the
    /// directory above the workspace has that in `OLDPWD`.
    begins: Vec<Vec<u8>>,
}

impl Value {
    /// Whether these bytes carry it, and not just a place that begins with it.
    fn is_in(&self, bytes: &[u8]) -> bool {
        memmem::find_iter(bytes, &self.bytes)
            .any(|at| !self.begins.iter().any(|place| bytes[at..].starts_with(place)))
    }
}

impl Search {
    /// For these places and variables, of which values that say nothing are left out: short ones, and
    /// places, which are looked for anyway.
    pub(super) fn new<'n>(
        run: &ScriptRun,
        roots: Vec<(RootName, Vec<u8>)>,
        names: impl Iterator<Item = &'n OsString>,
        env: &Env,
    ) -> Self {
        let places = || run.place.roots.iter().map(|(_, path)| path.to_vec());
        let value = |name: &OsString| {
            let bytes = env.get(name)?.as_encoded_bytes().to_vec();
            let begins: Vec<_> = places().filter(|path| path.starts_with(&bytes)).collect();
            let says = bytes.len() >= MIN_TELLING && !begins.contains(&bytes);
            says.then(|| Value { name: name.as_encoded_bytes().to_vec(), bytes, begins })
        };
        Self { roots, values: names.filter_map(value).collect() }
    }

    /// The bytes to look for: places, then values.
    pub(super) fn needles(&self) -> Vec<Vec<u8>> {
        let places = self.roots.iter().map(|(_, path)| path.clone());
        places.chain(self.values.iter().map(|value| value.bytes.clone())).collect()
    }

    /// Which of the needles that are values these bytes really carry.
    pub(super) fn values_in(&self, bytes: &[u8]) -> Vec<bool> {
        self.values.iter().map(|value| value.is_in(bytes)).collect()
    }

    /// Whether a needle that was found is a value of which only [`values_in`](Self::values_in) tells
    /// whether it is carried.
    pub(super) fn is_unclear(&self, found: &[bool]) -> bool {
        let values = found.iter().skip(self.roots.len()).zip(&self.values);
        values.into_iter().any(|(found, value)| *found && !value.begins.is_empty())
    }

    /// The names of the variables whose needles were found.
    pub(super) fn names<'s>(&'s self, found: &'s [bool]) -> impl Iterator<Item = &'s Vec<u8>> {
        let values = self.values.iter().zip(found.iter().skip(self.roots.len()));
        values.filter(|(_, found)| **found).map(|(value, _)| &value.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_place_is_no_value() {
        let value = Value {
            name: b"OLDPWD".to_vec(),
            bytes: b"/home/u".to_vec(),
            begins: vec![b"/home/u/ws".to_vec(), b"/home/u/ws/target".to_vec()],
        };
        assert!(!value.is_in(b"-L /home/u/ws/target/out and /home/u/ws"));
        assert!(value.is_in(b"-L /home/u/ws/target/out and /home/u/w"));
        assert!(value.is_in(b"/home/u"));
        assert!(!value.is_in(b"/home"));
    }
}
