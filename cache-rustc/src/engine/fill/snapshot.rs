//! Writing a build down when cargo has ended: its units with cargo's fingerprints of them.
//!
//! A fingerprint directory holds a few small files (cargo's `fingerprint::prepare_target`): the hash
//! that decides, the same as JSON for people, the sources (`dep-…`) and `invoked.timestamp`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cache_core::{
    Content, Digest, Entry as RecordEntry, Observation, Outcome, Output, Record, Role, Template,
};
use cache_storage::{Expected, StoreError};
use futures::executor::block_on;
use futures::{StreamExt, stream};

use super::super::Engine;
use super::cargo::{BuildKeys, CargoRun};
use super::codec::{Strings, put, put_list};
use super::entry::{Entry, key_and_outcome};
use super::journal::{Journal, Noted, Start};
use super::places::Places;

impl Engine {
    /// Makes a build known whose cargo has ended: how many of its units are; none when its target directory
    /// is being removed or built in meanwhile, for half a build would be taken for the whole. The journal is
    /// removed.
    ///
    /// # Errors
    /// What the store says.
    pub fn snapshot(&self, cargo: &CargoRun, journal: &Journal) -> Result<usize, StoreError> {
        let known = self.write_down(cargo, &journal.entries());
        journal.remove();
        known
    }

    fn write_down(&self, cargo: &CargoRun, entries: &[Entry]) -> Result<usize, StoreError> {
        let Some(BuildKeys { exact: recipe, near }) = cargo.keys(&self.options.state_dir) else {
            return Ok(0);
        };
        let places = Places::of(cargo);
        let (bytes, known) = units(entries, &places, &cargo.target());
        let is_settled = || units(entries, &places, &cargo.target()).0 == bytes;
        if known == 0 || !is_settled() {
            return Ok(0);
        }
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        let piece = stream::iter([Ok(Bytes::from(bytes))]);
        block_on(self.store.write_blob(&digest, size, piece.boxed()))?;
        let output = Output {
            role: Role::Other,
            path: Template::Plain(b"units".to_vec()),
            content: Content::Blob { digest, size },
            mode: 0o644,
        };
        let outcome = Outcome { outputs: vec![output], ..Outcome::default() };
        let created = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        let entry = RecordEntry { observation: Observation::new(Vec::new()), outcome, created };
        let key = recipe.key();
        // Only the newest is of use.
        let record = Record { recipe, entries: vec![entry] }.encode();
        let before = block_on(self.store.get_record(&key))?;
        let expected =
            before.map_or(Expected::Absent, |stored| Expected::Revision(stored.revision));
        match block_on(self.store.put_record(&key, record.into(), expected)) {
            // Another build of the same was written down just now.
            Err(StoreError::Conflict) | Ok(_) => {}
            Err(error) => return Err(error),
        }
        if let Some(supply) = &self.supply {
            supply.build_known(&key, &near);
        }
        Ok(known)
    }
}

/// The units of a snapshot, from the bytes of the blob that its record names, in the order in which they
/// were started. What is not understood is left out.
#[must_use]
pub fn units_of(snapshot: &[u8]) -> Vec<Noted> {
    let mut strings = Strings(snapshot);
    let mut units = Vec::new();
    while let Some(unit) = strings.next() {
        units.extend(Strings(unit).next().and_then(key_and_outcome));
    }
    units
}

/// The bytes of all units as they are now, and how many.
fn units(entries: &[Entry], places: &Places, target: &Path) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    let units = newest(entries).into_iter().filter_map(|entry| unit(entry, places, target));
    let count = units.map(|unit| put(&mut bytes, &unit)).count();
    (bytes, count)
}

/// Of each unit the newest entry, by start: what was put in place and then built again anyway is in a
/// journal twice.
fn newest(entries: &[Entry]) -> Vec<&Entry> {
    let mut seen = BTreeSet::new();
    let of_unit = |entry: &&Entry| fingerprint(&entry.start).is_some_and(|dir| seen.insert(dir));
    let mut entries: Vec<&Entry> = entries.iter().rev().filter(of_unit).collect();
    entries.reverse();
    entries
}

/// A unit's bytes: the entry, its fingerprint directory below the target directory, and names and
/// contents of the files there. `None` for one that cannot be put in place by itself.
fn unit(entry: &Entry, places: &Places, target: &Path) -> Option<Vec<u8>> {
    let dir = fingerprint(&entry.start)?;
    let below = dir.strip_prefix(target).ok()?;
    let mut files = Vec::new();
    for file in fs::read_dir(&dir).ok()? {
        let file = file.ok()?;
        let (name, content) = (file.file_name(), fs::read(file.path()).ok()?);
        // Messages that cargo shows again, and paths, belong to the checkout.
        if name.as_bytes().starts_with(b"output-") || places.are_named_in(&content) {
            return None;
        }
        files.push((name, content));
    }
    files.sort_unstable();
    let mut out = Vec::new();
    put(&mut out, &entry.clone().marked(false).encode(&|text| places.out_of(text))?);
    put(&mut out, below.as_os_str().as_bytes());
    let pairs = files.iter().flat_map(|(name, content)| [name.as_bytes(), content.as_slice()]);
    put_list(&mut out, pairs);
    Some(out)
}

/// Where cargo keeps a unit's fingerprint: `<profile>/.fingerprint/<package>-<hash>`, the hash being
/// that of the unit's files (cargo's `CompilationFiles::fingerprint_dir`).
fn fingerprint(start: &Start) -> Option<PathBuf> {
    match start {
        Start::Compile(request) => {
            let (out_dir, hash) = (out_dir(&request.argv)?, hash(&request.argv)?);
            let all =
                out_dir.ancestors().map(|dir| dir.join(".fingerprint")).find(|dir| dir.is_dir())?;
            let is_it =
                |entry: &fs::DirEntry| entry.file_name().as_bytes().ends_with(hash.as_bytes());
            let mut found = fs::read_dir(all).ok()?.flatten().filter(is_it);
            let dir = found.next()?.path();
            found.next().is_none().then_some(dir)
        }
        Start::Script(request) => {
            let out_dir = PathBuf::from(request.env.get(OsStr::new("OUT_DIR"))?);
            let unit = out_dir.parent()?;
            let profile = unit.parent()?.parent()?;
            Some(profile.join(".fingerprint").join(unit.file_name()?)).filter(|dir| dir.is_dir())
        }
    }
}

fn out_dir(argv: &[std::ffi::OsString]) -> Option<PathBuf> {
    let at = argv.iter().position(|arg| arg == "--out-dir")?;
    argv.get(at + 1).map(PathBuf::from)
}

/// `-<hash>` of `-C extra-filename=-<hash>`.
fn hash(argv: &[std::ffi::OsString]) -> Option<String> {
    let value =
        |arg: &std::ffi::OsString| Some(arg.to_str()?.strip_prefix("extra-filename=")?.to_owned());
    argv.iter().find_map(value).filter(|hash| hash.starts_with('-') && hash.len() > 8)
}
