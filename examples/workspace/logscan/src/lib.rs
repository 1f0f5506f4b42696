//! Scans raw log bytes: line counts and severity words.
//!
//! The loops are C (`c/scan.c`, compiled by the build script); the table of levels is generated
//! from `levels.txt` and included here.

include!(concat!(env!("OUT_DIR"), "/levels.rs"));

unsafe extern "C" {
    fn logscan_count_lines(buf: *const u8, len: usize) -> usize;
    fn logscan_find_word(buf: *const u8, len: usize, word: *const u8, word_len: usize) -> usize;
}

impl Level {
    /// The level's name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        LEVELS.iter().find(|(_, level)| *level == self).map_or("", |(name, _)| name)
    }

    /// The level called `name`, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        LEVELS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, level)| *level)
    }
}

/// Number of line feeds in `bytes`.
#[must_use]
pub fn count_lines(bytes: &[u8]) -> usize {
    // SAFETY: the pointer and the length come from one live slice, and the C code only reads it.
    unsafe { logscan_count_lines(bytes.as_ptr(), bytes.len()) }
}

/// The most severe level whose name occurs in `bytes`, in any case.
#[must_use]
pub fn worst_level(bytes: &[u8]) -> Option<Level> {
    LEVELS.iter().filter(|(name, _)| contains(bytes, name)).map(|(_, level)| *level).max()
}

fn contains(bytes: &[u8], word: &str) -> bool {
    // SAFETY: both pointers come with the lengths of their live slices; the C code only reads them.
    let at = unsafe { logscan_find_word(bytes.as_ptr(), bytes.len(), word.as_ptr(), word.len()) };
    at < bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted() {
        assert_eq!(count_lines(b""), 0);
        assert_eq!(count_lines(b"a\nb\nc"), 2);
    }

    #[test]
    fn the_worst_level_wins() {
        assert_eq!(worst_level(b"INFO retry after Error"), Some(Level::Error));
        assert_eq!(worst_level(b"nothing to see"), None);
    }

    #[test]
    fn names_go_both_ways() {
        for (name, level) in LEVELS {
            assert_eq!(Level::from_name(name), Some(*level));
            assert_eq!(level.name(), *name);
        }
    }
}
