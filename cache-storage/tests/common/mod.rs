//! What the behaviour tests share.
#![allow(dead_code)] // each test program uses a part

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use bytes::{Bytes, BytesMut};
use cache_core::{
    Content, Digest, Entry, EnvValue, Fact, Observation, Outcome, Output, Recipe, RecipeKey, Role,
    Template,
};
use cache_storage::{
    BlobFiles, Budget, DiskOptions, DiskStore, Placement, Result, Store, StoreError, append_entry,
};
use futures::StreamExt;
use futures::executor::block_on;

/// Evicts at once whatever nobody names.
pub(crate) fn no_grace() -> DiskOptions {
    DiskOptions { grace: std::time::Duration::ZERO, budget: Budget::Unlimited, read_only: false }
}

pub(crate) fn open(path: impl AsRef<Path>) -> DiskStore {
    DiskStore::open(path.as_ref(), no_grace()).unwrap()
}

pub(crate) fn files(store: &DiskStore) -> &dyn BlobFiles {
    store.files().unwrap()
}

/// Bytes that no two seeds share.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut block = Digest::of(&seed.to_le_bytes());
    let mut bytes = Vec::with_capacity(length + 32);
    while bytes.len() < length {
        bytes.extend_from_slice(block.as_bytes());
        block = Digest::of(block.as_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) fn put_blob(store: &dyn Store, bytes: &[u8]) -> Result<Digest> {
    let digest = Digest::of(bytes);
    let pieces: Vec<_> =
        bytes.chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let stream = futures::stream::iter(pieces).boxed();
    block_on(store.write_blob(&digest, bytes.len() as u64, stream))?;
    Ok(digest)
}

/// The whole blob; `None` when it is absent.
pub(crate) fn get_blob(store: &dyn Store, digest: &Digest) -> Result<Option<Bytes>> {
    block_on(async {
        let mut stream = match store.read_blob(digest).await {
            Err(StoreError::BlobAbsent(_)) => return Ok(None),
            other => other?,
        };
        let mut whole = BytesMut::new();
        while let Some(piece) = stream.next().await {
            whole.extend_from_slice(&piece?);
        }
        Ok(Some(whole.freeze()))
    })
}

pub(crate) fn recipe(name: &str) -> Recipe {
    let mut recipe = Recipe::new();
    recipe.push("name", name);
    recipe
}

/// An entry that names these blobs; `tag` tells it from others of its record.
pub(crate) fn entry(tag: u64, blobs: &[(Digest, u64)]) -> Entry {
    let output = |(digest, size): &(Digest, u64)| Output {
        role: Role::Other,
        path: Template::Plain(digest.to_hex().into_bytes()),
        content: Content::Blob { digest: *digest, size: *size },
        mode: 0o644,
    };
    let fact = Fact::Env { name: tag.to_string().into_bytes(), value: EnvValue::Unset };
    Entry {
        observation: Observation::new(vec![fact]),
        outcome: Outcome { outputs: blobs.iter().map(output).collect(), ..Outcome::default() },
        created: tag,
    }
}

/// Stores these blobs and a record that names them, as a miss would.
pub(crate) fn put_unit(store: &dyn Store, name: &str, blobs: &[Vec<u8>]) -> Result<RecipeKey> {
    let mut named = Vec::new();
    for bytes in blobs {
        named.push((put_blob(store, bytes)?, bytes.len() as u64));
    }
    let recipe = recipe(name);
    block_on(append_entry(store, &recipe, entry(0, &named)))?;
    Ok(recipe.key())
}

/// What a hit does: pin, read the record, place every blob of its newest entry in `dir`. `None`
/// when the record is not there.
pub(crate) fn restore(
    store: &DiskStore,
    key: &RecipeKey,
    dir: &Path,
    placement: Placement,
) -> Result<Option<usize>> {
    let Some(_pin) = files(store).pin(key)? else { return Ok(None) };
    let Some(stored) = block_on(store.get_record(key))? else { return Ok(None) };
    let record = cache_core::Record::decode(&stored.bytes).unwrap();
    let mut placed = 0;
    for (digest, _) in record.entries[0].outcome.blobs() {
        let dest = dir.join(digest.to_hex());
        files(store).place(&digest, &dest, 0o644, placement)?;
        assert_eq!(Digest::of(&std::fs::read(&dest).unwrap()), digest, "placed bytes");
        placed += 1;
    }
    Ok(Some(placed))
}

pub(crate) fn blob_path(root: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.to_hex();
    root.join("blobs-v1").join(&hex[..2]).join(&hex[2..])
}

pub(crate) fn record_path(root: &Path, key: &RecipeKey) -> PathBuf {
    let hex = key.0.to_hex();
    root.join("records-v1").join(&hex[..2]).join(&hex[2..])
}

/// Every file below a directory.
pub(crate) fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            all.extend(tree(&entry.path()));
        } else {
            all.push(entry.path());
        }
    }
    all
}

/// Makes files writable by their owner again, and changes their bytes in place.
pub(crate) fn tamper(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    use std::os::unix::fs::PermissionsExt;
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    let mode = std::fs::metadata(path).unwrap().permissions();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(path, &bytes).unwrap();
    std::fs::set_permissions(path, mode).unwrap();
}

/// This test program again, as another process that runs only the ignored test `role`, with
/// `LARDER_TEST_DIR` set to `dir`.
pub(crate) fn again(role: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", role, "--ignored", "--nocapture", "--test-threads=1"]);
    // Finding names for a backtrace takes so long that a killed process seems to have gone on until then.
    command.env("LARDER_TEST_DIR", dir).env("RUST_BACKTRACE", "0");
    command.stdout(std::process::Stdio::null());
    command
}

/// The directory given by [`again`]; `None` in an ordinary run of ignored tests.
pub(crate) fn given_dir() -> Option<PathBuf> {
    std::env::var_os("LARDER_TEST_DIR").map(PathBuf::from)
}

/// A process of the test; killed when dropped, so that a failed test leaves none behind.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// `SIGKILL`, to a process that has met no trouble so far.
    pub(crate) fn kill(&mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "a process of the test ended by itself");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn must_succeed(&mut self) {
        assert!(self.0.wait().unwrap().success(), "a process of the test failed");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command of the system that a test needs; `false` (after a message) when it cannot be had.
pub(crate) fn system(program: &str, args: &[&OsStr]) -> bool {
    match Command::new(program).args(args).output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            println!("skipped: {program}: {}", String::from_utf8_lossy(&output.stderr).trim());
            false
        }
        Err(e) => {
            println!("skipped: {program}: {e}");
            false
        }
    }
}

/// A file system mounted for one test; unmounted when dropped.
pub(crate) struct Mounted {
    dir: tempfile::TempDir,
}

impl Mounted {
    /// A tmpfs with these options.
    pub(crate) fn tmpfs(options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let args = ["-t", "tmpfs", "-o", options, "tmpfs"].map(OsStr::new);
        let mut args = args.to_vec();
        args.push(dir.path().as_os_str());
        system("mount", &args).then_some(Self { dir })
    }

    /// A file system in a file, made by `mkfs`.
    pub(crate) fn image(mkfs: &str, args: &[&str], size: u64) -> Option<Self> {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(size).unwrap();
        let mut make: Vec<_> = args.iter().map(OsStr::new).collect();
        make.push(image.path().as_os_str());
        let dir = tempfile::tempdir().unwrap();
        let mount =
            ["-o".as_ref(), "loop".as_ref(), image.path().as_os_str(), dir.path().as_os_str()];
        // The loop device keeps the image, removed here, until it is unmounted.
        (system(mkfs, &make) && system("mount", &mount)).then_some(Self { dir })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn remount(&self, options: &str) -> bool {
        let options = format!("remount,{options}");
        system("mount", &["-o".as_ref(), options.as_ref(), self.path().as_os_str()])
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l".as_ref(), self.path().as_os_str()]).status();
    }
}
