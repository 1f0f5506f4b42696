//! What a run left in `OUT_DIR`, as outputs.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cache_core::{Content, Output, Role, RootName, Roots, TextTemplate};
use cache_storage::Placement;

use super::super::collect::Adoption;
use super::super::place::Place;
use super::super::scan::{Scan, scan};
use super::search::Search;

/// The most files, directories and links that are stored of one run.
const MAX_ENTRIES: usize = 50_000;
/// The most bytes that are stored of one run.
const MAX_BYTES: u64 = 2 << 30;
/// The longest file, in bytes, that is read again where one look does not tell what it holds.
const MAX_AGAIN: u64 = 256 << 20;
/// The longest file, in bytes, in which paths are replaced as in a text.
const MAX_TEXT: u64 = 256 << 10;

/// What lies in a tree.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Directories first, each before what is in it; then files and links in the order in which
    /// they were last written.
    pub outputs: Vec<Output>,
    /// The files behind the outputs.
    pub adoptions: Vec<Adoption>,
    /// For each needle, whether some file holds it.
    pub found: Vec<bool>,
    /// Roots that some text may or may not name.
    pub unsure: Vec<RootName>,
}

/// Whether nothing lies in a directory, or no directory is there.
pub(super) fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}

/// Reads a tree, and looks in it for places and values.
///
/// # Errors
/// The reason why it cannot be stored.
pub(super) fn read(place: &Place, dir: &Path, search: &Search) -> Result<Tree, String> {
    let needles = search.needles();
    let mut tree = Tree { found: vec![false; needles.len()], ..Tree::default() };
    let (dirs, mut others) = walk(dir)?;
    others.sort_by_key(|(path, meta)| (meta.mtime(), meta.mtime_nsec(), path.clone()));
    for (path, meta) in dirs {
        let content = Content::Text(TextTemplate::default());
        tree.outputs.push(output(place, Role::Directory, &path, content, &meta)?);
    }
    for (path, meta) in others {
        let output = if meta.is_symlink() {
            let target = std::fs::read_link(&path).map_err(|error| unreadable(&path, &error))?;
            let content = Content::Text(tree.text(target.as_os_str().as_bytes(), &place.roots));
            output(place, Role::Symlink, &path, content, &meta)?
        } else {
            let content = tree.file(&path, place, search, &needles)?;
            output(place, Role::Other, &path, content, &meta)?
        };
        tree.outputs.push(output);
    }
    Ok(tree)
}

type Found = Vec<(PathBuf, Metadata)>;

/// Directories from the top down, and everything else.
fn walk(dir: &Path) -> Result<(Found, Found), String> {
    let (mut dirs, mut others): (Found, Found) = (Vec::new(), Vec::new());
    let (mut pending, mut bytes) = (vec![dir.to_path_buf()], 0);
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).map_err(|error| unreadable(&dir, &error))? {
            let entry = entry.map_err(|error| unreadable(&dir, &error))?;
            let path = entry.path();
            let meta = entry.metadata().map_err(|error| unreadable(&path, &error))?;
            if meta.is_dir() {
                pending.push(path.clone());
                dirs.push((path, meta));
            } else if meta.is_file() || meta.is_symlink() {
                bytes += meta.len();
                others.push((path, meta));
            } else {
                return Err(format!("out-dir-special: {}", path.display()));
            }
        }
        if dirs.len() + others.len() > MAX_ENTRIES || bytes > MAX_BYTES {
            return Err(format!("out-dir-too-large: {bytes} bytes"));
        }
    }
    dirs.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok((dirs, others))
}

impl Tree {
    /// A file that names places is kept as a text where it is one, so that it will name those of
    /// whoever restores it.
    fn file(
        &mut self,
        path: &Path,
        place: &Place,
        search: &Search,
        needles: &[Vec<u8>],
    ) -> Result<Content, String> {
        let Scan { digest, size, mut found } =
            scan(path, needles).map_err(|error| unreadable(path, &error))?;
        let may_be_text = size <= MAX_TEXT && found.contains(&true);
        if may_be_text || (search.is_unclear(&found) && size <= MAX_AGAIN) {
            let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
            let places = search.roots.len();
            found.splice(places.., search.values_in(&bytes));
            let is_text = || std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains('\0'));
            if may_be_text && is_text() {
                self.note(places, &found);
                return Ok(Content::Text(self.text(&bytes, &place.roots)));
            }
        }
        self.note(0, &found);
        let placement = Placement::Private;
        self.adoptions.push(Adoption { digest, size, path: path.to_path_buf(), placement });
        Ok(Content::Blob { digest, size })
    }

    /// Notes what one file holds, from one of the needles on.
    fn note(&mut self, from: usize, found: &[bool]) {
        let all = self.found.iter_mut().zip(found).skip(from);
        all.for_each(|(all, here)| *all |= here);
    }

    fn text(&mut self, bytes: &[u8], roots: &Roots) -> TextTemplate {
        let (text, unsure) = TextTemplate::locate(bytes, roots, <[u8]>::to_vec);
        self.unsure.extend(unsure);
        text
    }
}

fn output(
    place: &Place,
    role: Role,
    path: &Path,
    content: Content,
    meta: &Metadata,
) -> Result<Output, String> {
    let mode = meta.permissions().mode();
    if mode & 0o7000 != 0 && !meta.is_dir() {
        return Err(format!("out-dir-special: {}", path.display()));
    }
    Ok(Output { role, path: place.template(path), content, mode: mode & 0o777 })
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("output-unreadable: {}: {error}", path.display())
}
