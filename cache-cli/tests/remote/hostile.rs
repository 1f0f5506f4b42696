//! What lies in a bucket may come from anybody, or from the future. The build is right, nothing is written
//! outside the store and the target directory, and a person is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cache_core::{Content, Digest, RecipeKey, Record, RootName, Template};
use cache_storage::bundle::{Depot, Index, Located, Pack};
use cache_storage::{Expected, Store};
use futures::StreamExt;

use crate::bucket::Bucket;
use crate::harness::walk;
use crate::machine::Machine;
use crate::project::crates;

/// Keys that lead to the index of a build: its own, that of all its packages, and two of one package each.
const BUILD_KEYS: usize = 4;

/// A bucket with a build.
fn filled() -> Bucket {
    let bucket = Bucket::directory();
    let first = Machine::new(&bucket.vars);
    first.build("ws");
    first.push();
    bucket
}

/// Changes each record; `None` leaves it as it is.
fn change_records(bucket: &Bucket, change: impl Fn(&Bytes) -> Option<Bytes>) -> usize {
    let store = bucket.store();
    bucket.run(async {
        let keys: Vec<_> = store.list_records().await.expect("a list").collect().await;
        let mut changed = 0;
        for key in keys {
            let key = key.expect("a key");
            let found = store.get_record(&key).await.expect("read").expect("there");
            if let Some(bytes) = change(&found.bytes) {
                let expected = Expected::Revision(found.revision);
                store.put_record(&key, bytes, expected).await.expect("written");
                changed += 1;
            }
        }
        changed
    })
}

/// Changes what each build's index says.
fn change_indexes(bucket: &Bucket, change: impl Fn(&mut Index)) -> usize {
    let store = bucket.store();
    bucket.run(async {
        let depot = Depot::new(store.clone());
        let keys: Vec<_> = store.list_records().await.expect("a list").collect().await;
        let keys: Vec<RecipeKey> = keys.into_iter().map(|key| key.expect("a key")).collect();
        let mut changed = 0;
        for key in keys {
            if let Some(mut index) = depot.find_index(&key).await.expect("read") {
                change(&mut index);
                depot.publish_index(&[key], &index, 1 << 40).await.expect("written");
                changed += 1;
            }
        }
        changed
    })
}

fn change_located(bytes: &Bytes, change: impl Fn(&mut Located)) -> Option<Bytes> {
    let mut located = Located::decode(bytes).ok()?;
    change(&mut located);
    Some(located.encode())
}

/// Everything in the parent of a machine's places, but what builds write.
fn elsewhere(machine: &Machine) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(machine.root.parent().expect("its directory"), &mut files);
    let ours = ["store", "ws/target", "log-", "cargo-home/.", "starts"]
        .map(|ours| machine.root.join(ours));
    let is_ours = |path: &PathBuf| {
        ours.iter().any(|ours| {
            path.as_os_str().as_encoded_bytes().starts_with(ours.as_os_str().as_encoded_bytes())
        })
    };
    files.retain(|path| !is_ours(path));
    files.sort();
    files
}

/// A build with the bucket as it is, which must compile all of it by itself and leave nothing anywhere
/// else. The machine, for more questions.
#[track_caller]
fn compiles_all(bucket: &Bucket, fill: &str) -> Machine {
    compiles_all_on(Machine::new(&bucket.vars).with("LARDER_FILL", fill))
}

#[track_caller]
fn compiles_all_on(machine: Machine) -> Machine {
    machine.status();
    let checkout = machine.checkout("ws", &crate::project::project());
    let before = elsewhere(&machine);
    checkout.build_and_run();
    assert_eq!(checkout.program("target/debug/app"), crate::project::PRINTS);
    // One that was stopped for what came and turned out to be of no use is started again.
    let mut compiled = machine.compiled();
    compiled.dedup();
    assert_eq!(compiled, crates(), "{:#}", machine.status());
    assert_eq!(elsewhere(&machine), before);
    drop(checkout);
    machine
}

fn doctor(machine: &Machine) -> String {
    machine.larder(&["doctor"]).stdout
}

fn status(machine: &Machine) -> String {
    machine.larder(&["remote", "status"]).good().stdout
}

#[test]
fn records_of_a_newer_version_are_passed_over_and_named() {
    let bucket = filled();
    let newer = |bytes: &Bytes| {
        let mut bytes = bytes.to_vec();
        bytes[4] = 9;
        Some(Bytes::from(bytes))
    };
    assert!(change_records(&bucket, newer) > crates().len());
    let machine = compiles_all(&bucket, "on");
    assert!(doctor(&machine).contains("written by another version of larder"));
    assert!(status(&machine).contains("of another version of larder"));
    assert!(machine.figure("other_version") > 0);
}

#[test]
fn what_others_put_there_is_left_alone_and_named() {
    let bucket = filled();
    std::fs::write(bucket.path().join("holiday.jpg"), "JFIF").expect("written");
    std::fs::create_dir(bucket.path().join("backup")).expect("made");
    std::fs::write(bucket.path().join("backup/db.sql"), "select").expect("written");
    std::fs::write(bucket.path().join("v1/records/README"), "notes").expect("written");
    assert!(change_records(&bucket, |_| Some(Bytes::from_static(b"somebody's own"))) > 0);
    let machine = compiles_all(&bucket, "on");
    let said = doctor(&machine);
    assert!(said.contains("holiday.jpg") && said.contains("LARDER_REMOTE"), "{said}");
    assert!(said.contains("are not larder's"), "{said}");
    assert!(status(&machine).contains("that larder did not write"));
    machine.push();
    machine.larder(&["remote", "gc", "--days", "0"]).good();
    for (name, content) in
        [("holiday.jpg", "JFIF"), ("backup/db.sql", "select"), ("v1/records/README", "notes")]
    {
        assert_eq!(std::fs::read_to_string(bucket.path().join(name)).expect(name), content);
    }
}

/// Lets each output go somewhere else.
fn climb(record: &mut Record, to: &Path) {
    let root = RootName::new("workspace").expect("a name");
    for (at, output) in
        record.entries.iter_mut().flat_map(|entry| &mut entry.outcome.outputs).enumerate()
    {
        output.path = match at % 2 {
            0 => Template::Rooted { root: root.clone(), rest: b"/../../evil".to_vec() },
            _ => Template::Plain([to.as_os_str().as_encoded_bytes(), b"/evil"].concat()),
        };
    }
}

#[test]
fn names_that_climb_lead_nowhere() {
    let bucket = filled();
    let outside = tempfile::tempdir().expect("a directory");
    let changed = change_records(&bucket, |bytes| {
        change_located(bytes, |located| climb(&mut located.record, outside.path()))
    });
    assert!(changed >= crates().len());
    // Unit by unit, where the names are those of the located records; then as a whole build.
    compiles_all(&bucket, "off");
    let changed = change_indexes(&bucket, |index| {
        index.units.iter_mut().for_each(|unit| climb(&mut unit.record, outside.path()));
    });
    assert_eq!(changed, BUILD_KEYS);
    compiles_all(&bucket, "on");
    assert_eq!(std::fs::read_dir(outside.path()).expect("there").count(), 0);
}

#[test]
fn directories_of_a_build_that_climb_lead_nowhere() {
    let bucket = filled();
    let changed = change_indexes(&bucket, |index| {
        let mut blob = index.snapshot.blob.to_vec();
        let (from, to) = (b"debug/.fingerprint", b"../../.fingerprint");
        let mut found = 0;
        for at in 0..blob.len().saturating_sub(from.len()) {
            if blob[at..].starts_with(from) {
                blob[at..at + to.len()].copy_from_slice(to);
                found += 1;
            }
        }
        assert!(found > 0, "there are such names");
        let mut record = Record::decode(&index.snapshot.record).expect("a record");
        for output in record.entries.iter_mut().flat_map(|entry| &mut entry.outcome.outputs) {
            output.content = Content::Blob { digest: Digest::of(&blob), size: blob.len() as u64 };
        }
        index.snapshot.record = record.encode().into();
        index.snapshot.blob = blob.into();
    });
    assert_eq!(changed, BUILD_KEYS);
    let machine = Machine::new(&bucket.vars);
    machine.status();
    let checkout = machine.checkout("ws", &crate::project::project());
    let before = elsewhere(&machine);
    assert_eq!(checkout.build_and_run(), crate::project::PRINTS);
    assert_eq!(elsewhere(&machine), before);
    assert!(!checkout.path(".fingerprint").exists());
}

/// A pack of one group: what it says it has, how long it says its frame is, and the frame.
fn pack(members: &[(Digest, u64)], stored: u64, frame: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89ldp\x01\0\0\0".to_vec();
    bytes.extend(u32::try_from(members.len()).expect("few").to_le_bytes());
    for (digest, size) in members {
        bytes.extend_from_slice(digest.as_bytes());
        bytes.extend(size.to_le_bytes());
    }
    bytes.extend(stored.to_le_bytes());
    bytes.extend_from_slice(frame);
    bytes
}

/// A zstd frame (RFC 8878, section 3.1.1) of so many megabytes of zeros, in blocks of one byte repeated.
fn bomb(megabytes: usize) -> Vec<u8> {
    // No content size, no checksum; a window of 8 MiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3];
    let blocks = megabytes * 8;
    for block in 0..blocks {
        let last = u32::from(block + 1 == blocks);
        let head = last | 1 << 1 | (128 << 10) << 3;
        frame.extend_from_slice(&head.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// Leads each blob of each record to a pack that `make` makes of them.
fn lead_to(bucket: &Bucket, make: impl Fn(&[(Digest, u64)]) -> (Pack, Vec<u8>)) -> Vec<Pack> {
    let packs = std::cell::RefCell::new(Vec::new());
    let changed = change_records(bucket, |bytes| {
        let blobs = |located: &Located| -> Vec<_> {
            located.record.entries.iter().flat_map(|entry| entry.outcome.blobs()).collect()
        };
        // A script that left nothing has none.
        Located::decode(bytes).ok().filter(|located| !blobs(located).is_empty())?;
        change_located(bytes, |located| {
            let blobs = blobs(located);
            let (pack, bytes) = make(&blobs);
            for (blob, _) in &blobs {
                located.places.insert(*blob, pack);
            }
            packs.borrow_mut().push((pack, bytes));
        })
    });
    assert_eq!(changed, crates().len());
    let store: Arc<dyn Store> = bucket.store();
    let packs = packs.into_inner();
    bucket.run(async {
        for (pack, bytes) in &packs {
            let length = bytes.len() as u64;
            let pieces = futures::stream::iter([Ok(Bytes::from(bytes.clone()))]).boxed();
            store.write_blob(&pack.digest, length, pieces).await.expect("written");
        }
    });
    packs.into_iter().map(|(pack, _)| pack).collect()
}

fn named(bytes: Vec<u8>) -> (Pack, Vec<u8>) {
    (Pack { digest: Digest::of(&bytes), size: bytes.len() as u64 }, bytes)
}

/// Bytes that do not get shorter.
fn noise() -> Vec<u8> {
    (0..32_u8).flat_map(|n| *Digest::of(&[n]).as_bytes()).collect()
}

/// What the store takes on the disk, in bytes.
fn disk(machine: &Machine) -> u64 {
    let mut files = Vec::new();
    walk(&machine.store(), &mut files);
    files.iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum()
}

#[test]
fn a_pack_that_inflates_without_end_is_refused() {
    for says_so in [false, true] {
        let bucket = filled();
        let frame = bomb(1024);
        lead_to(&bucket, |blobs| {
            let mut members = blobs.to_vec();
            if says_so {
                members[0].1 = 1 << 30;
            }
            named(pack(&members, frame.len() as u64, &frame))
        });
        let machine = compiles_all(&bucket, "off");
        assert!(machine.figure("damaged") > 0, "{:#}", machine.status());
        assert!(status(&machine).contains("\nDamaged "));
        assert!(disk(&machine) < 64 << 20);
    }
}

#[test]
fn an_object_that_is_far_longer_than_it_should_be_is_left() {
    let bucket = filled();
    const LONG: u64 = 10 << 30;
    let packs = lead_to(&bucket, |blobs| named(pack(blobs, LONG, &noise())));
    // 10 GiB each, of which no disk has anything. An object is a head of 16 bytes, and what it holds.
    let mut objects = Vec::new();
    walk(&bucket.path(), &mut objects);
    for pack in packs {
        let name = pack.digest.to_hex();
        let path = objects.iter().find(|path| path.ends_with(&name)).expect("its object");
        let mut object = std::fs::read(path).expect("read");
        assert_eq!(object[5], 0, "it is not compressed");
        object[8..16].copy_from_slice(&LONG.to_le_bytes());
        std::fs::write(path, &object).expect("written");
        let file = std::fs::File::options().write(true).open(path).expect("opened");
        file.set_len(LONG + 16).expect("sparse");
    }
    let machine = compiles_all(&bucket, "off");
    assert!(machine.figure("damaged") > 0, "{:#}", machine.status());
    assert!(machine.figure("bytes_read") < 1 << 30, "{:#}", machine.status());
    assert!(disk(&machine) < 64 << 20);
}

#[test]
fn a_pack_that_is_announced_to_be_long_is_not_worth_it() {
    let bucket = filled();
    lead_to(&bucket, |blobs| {
        let (mut pack, bytes) = named(pack(blobs, 1000, &[0; 1000]));
        pack.size = 10 << 30;
        (pack, bytes)
    });
    let machine = Machine::new(&bucket.vars).with("LARDER_FILL", "off").fetching_when_faster();
    let machine = compiles_all_on(machine);
    assert!(machine.figure("not_worth") > 0, "{:#}", machine.status());
    assert_eq!(machine.figure("bytes_read"), 0);
}
