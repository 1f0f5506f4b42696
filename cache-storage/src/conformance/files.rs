//! Rules about blobs as local files.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use bytes::Bytes;
use cache_core::Digest;

use super::records::{delete, put};
use super::tools::{
    Promised, Scratch, must_be, must_be_absent, remove, rule, unique_bytes, unique_key, write,
};
use super::{Verdict, Violation};
use crate::{BlobFiles, Expected, Placed, Placement, Store, StoreError};

pub(super) async fn files_are_as_declared(store: &dyn Store) -> Verdict {
    let (declared, given) = (store.capabilities().files, store.files().is_some());
    rule(declared == given, || {
        format!("the files capability is {declared}, but files() gives access: {given}")
    })
}

pub(super) async fn private_file_has_an_inode_of_its_own(store: &dyn Store) -> Verdict {
    let (files, dir) = (files(store)?, Scratch::new()?);
    let bytes = unique_bytes(100_000);
    let digest = write(store, &bytes).await?;
    for mode in [0o644, 0o755, 0o600] {
        let dest = dir.join("out");
        let placed =
            files.place(&digest, &dest, mode, Placement::Private).promised("placing a blob")?;
        rule(placed != Placed::Linked, || "Private must never be a hard link".into())?;
        let meta = has_bytes(&dest, &bytes)?;
        rule(meta.nlink() == 1, || "a private file must be the only name of its inode".into())?;
        rule(meta.mode() & 0o777 == mode, || {
            format!("a private file must have mode {mode:o}, not {:o}", meta.mode())
        })?;
    }
    remove(store, &digest).await
}

pub(super) async fn private_file_is_stamped_now(store: &dyn Store) -> Verdict {
    let (files, dir) = (files(store)?, Scratch::new()?);
    let bytes = unique_bytes(10_000);
    let digest = write(store, &bytes).await?;
    let (before, dest, after) = (dir.join("before"), dir.join("out"), dir.join("after"));
    // The file system's own clock, which may be behind the precise one.
    fs::write(&before, "x").promised("(the check's own) writing a file")?;
    files.place(&digest, &dest, 0o644, Placement::Private).promised("placing a blob")?;
    fs::write(&after, "x").promised("(the check's own) writing a file")?;
    let mtime = |path: &Path| {
        fs::metadata(path).and_then(|meta| meta.modified()).promised("looking at a file")
    };
    let (before, placed, after) = (mtime(&before)?, mtime(&dest)?, mtime(&after)?);
    rule(before <= placed && placed <= after, || {
        format!(
            "a private file's mtime must be when it was placed: {before:?} <= {placed:?} <= {after:?}"
        )
    })?;
    remove(store, &digest).await
}

pub(super) async fn private_file_can_be_edited(store: &dyn Store) -> Verdict {
    let (files, dir) = (files(store)?, Scratch::new()?);
    let bytes = unique_bytes(10_000);
    let digest = write(store, &bytes).await?;
    let dest = dir.join("out");
    files.place(&digest, &dest, 0o644, Placement::Private).promised("placing a blob")?;
    let edit = || OpenOptions::new().write(true).open(&dest)?.write_all(b"edited in place");
    edit().promised("editing a private file of mode 644")?;
    must_be(store, &bytes, "a blob after a private file of it was edited").await?;
    let again = dir.join("again");
    files.place(&digest, &again, 0o644, Placement::Private).promised("placing it again")?;
    has_bytes(&again, &bytes)?;
    remove(store, &digest).await
}

pub(super) async fn linked_file_has_the_bytes(store: &dyn Store) -> Verdict {
    let (files, dir) = (files(store)?, Scratch::new()?);
    let bytes = unique_bytes(10_000);
    let digest = write(store, &bytes).await?;
    for name in ["one", "two"] {
        let dest = dir.join(name);
        let placed =
            files.place(&digest, &dest, 0o644, Placement::MayLink).promised("placing a blob")?;
        let meta = has_bytes(&dest, &bytes)?;
        rule(placed != Placed::Linked || meta.mode() & 0o222 == 0, || {
            format!("a hard link to a blob must not be writable; its mode is {:o}", meta.mode())
        })?;
    }
    must_be(store, &bytes, "a blob that was linked").await?;
    remove(store, &digest).await?;
    has_bytes(&dir.join("one"), &bytes).map(|_| ())
}

pub(super) async fn placing_replaces_what_is_there(store: &dyn Store) -> Verdict {
    let (files, dir) = (files(store)?, Scratch::new()?);
    let (first, second) = (unique_bytes(10_000), unique_bytes(20_000));
    let (one, two) = (write(store, &first).await?, write(store, &second).await?);
    let dest = dir.join("out");
    let both = [Placement::Private, Placement::MayLink];
    for placement in both.into_iter().chain(both.into_iter().rev()) {
        for (digest, bytes) in [(&one, &first), (&two, &second), (&two, &second)] {
            files.place(digest, &dest, 0o644, placement).promised("placing over a file")?;
            has_bytes(&dest, bytes)?;
        }
    }
    must_be(store, &first, "a blob after its placed file was replaced").await?;
    remove(store, &one).await?;
    remove(store, &two).await
}

pub(super) async fn placing_what_is_absent_changes_nothing(store: &dyn Store) -> Verdict {
    let (files, dir) = (files(store)?, Scratch::new()?);
    let dest = dir.join("out");
    fs::write(&dest, "mine").promised("(the check's own) writing a file")?;
    for placement in [Placement::Private, Placement::MayLink] {
        let result = files.place(&unique_key().0, &dest, 0o644, placement);
        rule(matches!(result, Err(StoreError::BlobAbsent(_))), || {
            format!("placing an absent blob must fail with BlobAbsent, not give {result:?}")
        })?;
        has_bytes(&dest, &Bytes::from_static(b"mine"))?;
    }
    Ok(())
}

pub(super) async fn placing_leaves_nothing_else(store: &dyn Store) -> Verdict {
    let (files, dir) = (files(store)?, Scratch::new()?);
    let bytes = unique_bytes(1000);
    let digest = write(store, &bytes).await?;
    for placement in [Placement::Private, Placement::MayLink, Placement::MayLink] {
        files.place(&digest, &dir.join("out"), 0o644, placement).promised("placing a blob")?;
        let _ = files.place(&unique_key().0, &dir.join("absent"), 0o644, placement);
    }
    let names: Vec<_> = fs::read_dir(dir.path())
        .promised("listing")?
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    rule(names == ["out"], || {
        format!("placing must leave nothing but the file itself: {names:?}")
    })?;
    remove(store, &digest).await
}

pub(super) async fn adopted_file_is_a_blob(store: &dyn Store) -> Verdict {
    let (files, dir) = (files(store)?, Scratch::new()?);
    for placement in [Placement::Private, Placement::MayLink] {
        for mode in [0o644, 0o755] {
            let bytes = unique_bytes(50_000);
            let digest = Digest::of(&bytes);
            let from = dir.join("from");
            fs::write(&from, &bytes).promised("(the check's own) writing a file")?;
            fs::set_permissions(&from, fs::Permissions::from_mode(mode))
                .promised("setting its mode")?;
            for _ in 0..2 {
                let placed =
                    files.adopt(&digest, 50_000, &from, placement).promised("adopting a file")?;
                rule(placement != Placement::Private || placed != Placed::Linked, || {
                    "adopting as Private must not link".into()
                })?;
            }
            must_be(store, &bytes, "an adopted file").await?;
            let meta = has_bytes(&from, &bytes)?;
            rule(placement != Placement::Private || meta.mode() & 0o777 == mode, || {
                "adopting as Private must not change the file's mode".into()
            })?;
            fs::remove_file(&from).promised("removing an adopted file")?;
            must_be(store, &bytes, "a blob whose adopted file was removed").await?;
            remove(store, &digest).await?;
        }
    }
    Ok(())
}

pub(super) async fn adopting_wrong_bytes_is_refused(store: &dyn Store) -> Verdict {
    let (files, dir) = (files(store)?, Scratch::new()?);
    let bytes = unique_bytes(5000);
    let from = dir.join("from");
    fs::write(&from, &bytes).promised("(the check's own) writing a file")?;
    for placement in [Placement::Private, Placement::MayLink] {
        for size in [4999, 5001] {
            let result = files.adopt(&Digest::of(&bytes), size, &from, placement);
            rule(matches!(result, Err(StoreError::Refused(_))), || {
                format!(
                    "adopting a file of 5000 bytes as {size} must fail with Refused, not give {result:?}"
                )
            })?;
        }
    }
    must_be_absent(store, &Digest::of(&bytes), "a blob whose adoption was refused").await?;
    let other = unique_key().0;
    let result = files.adopt(&other, 5000, &from, Placement::Private);
    // A clone is the caller's word.
    if matches!(result, Ok(Placed::Cloned)) {
        return remove(store, &other).await;
    }
    rule(matches!(result, Err(StoreError::Refused(_))), || {
        format!(
            "copying a file in under another digest must fail with Refused, not give {result:?}"
        )
    })?;
    must_be_absent(store, &other, "a blob whose bytes were wrong").await
}

pub(super) async fn pin_needs_a_record(store: &dyn Store) -> Verdict {
    let (files, key) = (files(store)?, unique_key());
    let pin = files.pin(&key).promised("pinning an absent record")?;
    rule(pin.is_none(), || "there must be no pin of an absent record".into())?;
    put(store, &key, &unique_bytes(10), Expected::Absent).await?;
    let pin = files.pin(&key).promised("pinning a record")?;
    let second = files.pin(&key).promised("pinning a record that is pinned")?;
    rule(pin.is_some() && second.is_some(), || "a record must be pinned, by any number".into())?;
    // A pin keeps evictions off, not its holder's own writes.
    let stored = store.get_record(&key).await.promised("getting a pinned record")?;
    let stored = stored.ok_or_else(|| Violation("a pinned record must be there".into()))?;
    put(store, &key, &unique_bytes(10), Expected::Revision(stored.revision)).await?;
    drop((pin, second));
    delete(store, &key).await?;
    let pin = files.pin(&key).promised("pinning a deleted record")?;
    rule(pin.is_none(), || "there must be no pin of a deleted record".into())
}

pub(super) async fn digest_of_a_file_follows_its_content(store: &dyn Store) -> Verdict {
    let (files, dir) = (files(store)?, Scratch::new()?);
    let path = dir.join("file");
    // As fast as possible, and all of one length: within one tick of the clock.
    for n in 0..200 {
        let bytes = unique_bytes(100);
        fs::write(&path, &bytes).promised("(the check's own) writing a file")?;
        for _ in 0..2 {
            let digest = files.digest_file(&path).promised("digest_file")?;
            rule(digest == Digest::of(&bytes), || {
                format!("digest_file must see the {n}th change of a file")
            })?;
        }
    }
    let bytes = unique_bytes(200);
    fs::write(&path, &bytes).promised("(the check's own) writing a file")?;
    files.remember(&path, &Digest::of(&bytes));
    let digest = files.digest_file(&path).promised("digest_file")?;
    rule(digest == Digest::of(&bytes), || "digest_file must be right after remember".into())?;
    let absent = files.digest_file(&dir.join("absent"));
    rule(absent.is_err(), || "digest_file of an absent file must fail".into())
}

fn files(store: &dyn Store) -> Result<&dyn BlobFiles, Violation> {
    store.files().ok_or_else(|| {
        Violation("a store with the files capability must give access to files".into())
    })
}

fn has_bytes(path: &Path, bytes: &Bytes) -> Result<fs::Metadata, Violation> {
    let found = fs::read(path).promised("reading a file")?;
    rule(found == *bytes, || format!("{} must have the bytes of its blob", path.display()))?;
    fs::metadata(path).promised("looking at a file")
}
