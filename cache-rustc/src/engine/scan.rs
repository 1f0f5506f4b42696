//! One pass over a file that hashes it and looks for the bytes of roots.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use cache_core::{Digest, Hasher};
use memchr::memmem::Finder;

const CHUNK: usize = 256 * 1024;

/// What one pass over a file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    /// Digest of all bytes.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// For each needle, in order, whether it occurs.
    pub found: Vec<bool>,
}

/// Hashes the file and looks for each needle, across chunk borders too. An empty needle is never
/// found.
///
/// # Errors
/// What opening and reading say.
pub(super) fn scan(path: &Path, needles: &[Vec<u8>]) -> io::Result<Scan> {
    scan_reader(File::open(path)?, needles, CHUNK)
}

fn scan_reader(mut file: impl Read, needles: &[Vec<u8>], chunk: usize) -> io::Result<Scan> {
    let groups = groups(needles);
    let overlap = needles.iter().map(Vec::len).max().unwrap_or(1).max(1) - 1;
    let mut found = vec![false; needles.len()];
    let mut hasher = Hasher::blob();
    let mut buffer = vec![0; overlap + chunk];
    let (mut kept, mut size) = (0, 0_u64);
    loop {
        let read = match file.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(Scan { digest: hasher.finish(), size, found }),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = kept + read;
        hasher.update(&buffer[kept..end]);
        size += read as u64;
        for group in &groups {
            group.look(&buffer[..end], &mut found);
        }
        let keep = overlap.min(end);
        buffer.copy_within(end - keep..end, 0);
        kept = keep;
    }
}

/// Needles that begin alike. Places on one machine often do, and bytes without the common beginning
/// need no second look.
struct Group<'n> {
    common: Finder<'n>,
    members: Vec<(usize, Finder<'n>)>,
}

/// Beginnings shorter than this occur by chance too often to be worth looking for.
const MIN_COMMON: usize = 5;

/// A needle with its place in the list.
type Indexed<'n> = (usize, &'n [u8]);

fn groups(needles: &[Vec<u8>]) -> Vec<Group<'_>> {
    let mut sorted: Vec<Indexed<'_>> =
        needles.iter().map(Vec::as_slice).enumerate().filter(|(_, n)| !n.is_empty()).collect();
    sorted.sort_unstable_by_key(|(_, needle)| *needle);
    let mut groups: Vec<(&[u8], Vec<Indexed<'_>>)> = Vec::new();
    for (at, needle) in sorted {
        if let Some((common, members)) = groups.last_mut() {
            let same = common.iter().zip(needle).take_while(|(a, b)| a == b).count();
            if same >= MIN_COMMON {
                *common = &needle[..same];
                members.push((at, needle));
                continue;
            }
        }
        groups.push((needle, vec![(at, needle)]));
    }
    let finders = |members: Vec<(usize, _)>| {
        members.into_iter().map(|(at, needle)| (at, Finder::new(needle))).collect()
    };
    let group =
        |(common, members)| Group { common: Finder::new(common), members: finders(members) };
    groups.into_iter().map(group).collect()
}

impl Group<'_> {
    fn look(&self, bytes: &[u8], found: &mut [bool]) {
        if self.members.iter().all(|(at, _)| found[*at]) {
            return;
        }
        let Some(first) = self.common.find(bytes) else { return };
        for (at, finder) in &self.members {
            found[*at] |= finder.find(&bytes[first..]).is_some();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needles_are_found_across_chunk_borders() -> io::Result<()> {
        let data = b"0123456789/ws/target/abc".repeat(3);
        for chunk in 1..40 {
            let needles = vec![
                b"/ws/target".to_vec(),
                b"9/ws".to_vec(),
                b"nope".to_vec(),
                Vec::new(),
                b"c0".to_vec(),
            ];
            let scan = scan_reader(&data[..], &needles, chunk)?;
            assert_eq!(scan.found, [true, true, false, false, true], "chunk {chunk}");
            assert_eq!(scan.digest, Digest::of(&data));
            assert_eq!(scan.size, 72);
        }
        Ok(())
    }

    #[test]
    fn needles_that_begin_alike_are_told_apart() -> io::Result<()> {
        let needles: Vec<Vec<u8>> = ["/home/u/.cargo", "/home/u/ws/target", "/home/u/ws", "/opt/x"]
            .map(|needle| needle.as_bytes().to_vec())
            .to_vec();
        assert_eq!(groups(&needles).len(), 2);
        for (text, found) in [
            ("a /home/u/ws/src b", [false, false, true, false]),
            ("/home/u/.cargo/x /opt/x", [true, false, false, true]),
            ("/home/u/ws/target", [false, true, true, false]),
            ("/home/u/", [false; 4]),
        ] {
            assert_eq!(scan_reader(text.as_bytes(), &needles, 7)?.found, found, "{text}");
        }
        Ok(())
    }
}
