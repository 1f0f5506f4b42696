//! Who linked a file.

use std::fs::File;
use std::io;
use std::path::Path;

use object::elf::FileHeader64;
use object::read::elf::{FileHeader, SectionHeader};
use object::{Endianness, ReadCache};

use super::Linker;

/// The texts in a file's `.comment` section, in which compilers and linkers leave their names and
/// versions: GNU ld leaves none, lld `Linker: LLD 22.1.2 (…)`, mold `mold 1.10.1 (…)`, wild
/// `Linker: Wild 0.11.0 (…)`. Empty for a file without that section.
///
/// # Errors
/// What reading gives, and `InvalidData` for what is no 64-bit ELF file.
pub fn comments(file: &Path) -> io::Result<Vec<String>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let cache = ReadCache::new(File::open(file)?);
    let header = FileHeader64::<Endianness>::parse(&cache).map_err(|_| bad("not an ELF file"))?;
    let endian = header.endian().map_err(|_| bad("not an ELF file"))?;
    let sections = header.sections(endian, &cache).map_err(|_| bad("damaged section table"))?;
    let Some((_, section)) = sections.section_by_name(endian, b".comment") else {
        return Ok(Vec::new());
    };
    let data = section.data(endian, &cache).map_err(|_| bad("damaged section"))?;
    let texts = data.split(|byte| *byte == 0).filter(|text| !text.is_empty());
    Ok(texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect())
}

/// Name and version of the linker among a file's [`comments`], such as `LLD 22.1.2`, where it left
/// them.
#[must_use]
pub fn name_in(comments: &[String]) -> Option<&str> {
    let comment = comments.iter().find(|comment| author(comment).is_some())?;
    comment.trim_start_matches("Linker: ").split(" (").next()
}

/// The linker that leaves such a comment. Distributions put their names before lld's.
pub(super) fn author(comment: &str) -> Option<Linker> {
    if comment.starts_with("mold ") {
        return Some(Linker::Mold);
    }
    let mut words = comment.strip_prefix("Linker: ")?.split(' ').take(2);
    words.find_map(|word| match word {
        "LLD" => Some(Linker::Lld),
        "Wild" | "wild" => Some(Linker::Wild),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_linkers_comment_is_known() {
        for (comment, linker) in [
            ("Linker: LLD 22.1.2 (/checkout/src 1cb4e38)", Some(Linker::Lld)),
            ("Linker: Debian LLD 14.0.6", Some(Linker::Lld)),
            ("mold 1.10.1 (compatible with GNU ld)", Some(Linker::Mold)),
            ("Linker: Wild 0.11.0 (compatible with GNU linkers)", Some(Linker::Wild)),
            ("GCC: (Debian 12.2.0-14+deb12u1) 12.2.0", None),
            ("rustc version 1.95.0 (59807616e 2026-04-14)", None),
            ("Linker: GNU gold", None),
        ] {
            assert_eq!(author(comment), linker, "{comment}");
        }
        let comments = ["GCC: 12", "Linker: Debian LLD 14.0.6", "mold 1.0"].map(str::to_owned);
        assert_eq!(name_in(&comments), Some("Debian LLD 14.0.6"));
        assert_eq!(name_in(&comments[2..]), Some("mold 1.0"));
        assert_eq!(name_in(&comments[..1]), None);
    }

    #[test]
    fn what_is_no_elf_file_has_no_comments() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "text").expect("write");
        assert!(comments(file.path()).is_err());
    }
}
