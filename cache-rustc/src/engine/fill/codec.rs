//! How lists of byte strings are written: each after its length, a little-endian `u32`.

/// Adds one string. One of 4 GiB or more is written as an empty one, which no reader here accepts
/// where it counts.
pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let (length, bytes) = u32::try_from(bytes.len()).map_or((0, &[][..]), |length| (length, bytes));
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads strings one after the other.
#[derive(Debug, Clone)]
pub(super) struct Strings<'a>(pub &'a [u8]);

impl<'a> Strings<'a> {
    /// The next string; `None` at the end and for bytes that are no string.
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The next string as a list of strings; `None` when it is no such list.
    pub(super) fn list(&mut self) -> Option<Vec<&'a [u8]>> {
        let mut inner = Strings(self.next()?);
        let mut all = Vec::new();
        while !inner.0.is_empty() {
            all.push(inner.next()?);
        }
        Some(all)
    }
}

/// Adds a list of strings as one string.
pub(super) fn put_list<'a>(out: &mut Vec<u8>, list: impl IntoIterator<Item = &'a [u8]>) {
    let mut inner = Vec::new();
    list.into_iter().for_each(|bytes| put(&mut inner, bytes));
    put(out, &inner);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lists() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
        let text = prop::collection::vec(any::<u8>(), 0..20);
        prop::collection::vec(prop::collection::vec(text, 0..5), 0..5)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(lists in lists()) {
            let mut bytes = Vec::new();
            for list in &lists {
                put_list(&mut bytes, list.iter().map(Vec::as_slice));
            }
            let mut strings = Strings(&bytes);
            for list in &lists {
                prop_assert_eq!(&strings.list().expect("a list"), list);
            }
            prop_assert!(strings.next().is_none());
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut strings = Strings(&bytes);
            while strings.clone().list().is_some() {
                strings.next();
            }
        }
    }
}
