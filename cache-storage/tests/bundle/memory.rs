//! A long blob is never in memory as a whole, neither on its way up nor down.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use cache_core::{Digest, Hasher};
use cache_storage::bundle::Depot;
use cache_storage::{DiskOptions, DiskStore, Store};
use futures::StreamExt;
use futures::executor::block_on;

use crate::tools::{NOW, build, noise, parcel, publish};

const PIECE: usize = 1 << 20;
const PIECES: usize = 256;
/// The most that a process may ever have had in memory, its own code included, in kB.
const MOST: u64 = 64 << 10;
const VARIABLE: &str = "LARDER_TEST_BUNDLE_MEMORY";

/// In a process of its own, since others would count as well.
#[test]
fn a_member_of_256_mib_passes_in_pieces() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "memory::in_a_process_of_its_own", "--nocapture"]);
    let output = child.env(VARIABLE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let most = text.lines().find_map(|line| line.strip_prefix("at most ")?.strip_suffix(" kB"));
    let most: u64 = most.expect("the child says it").trim().parse().unwrap();
    println!("at most {most} kB");
    assert!(most <= MOST, "{most} kB were in memory");
}

fn piece(n: usize) -> Bytes {
    noise(&format!("piece {n}"), PIECE)
}

#[test]
fn in_a_process_of_its_own() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        Arc::new(DiskStore::open(dir.path().join(name), DiskOptions::default()).unwrap())
    };
    let (here, remote, there) = (open("here"), open("remote"), open("there"));
    let mut hasher = Hasher::blob();
    for n in 0..PIECES {
        hasher.update(&piece(n));
    }
    let (digest, size) = (hasher.finish(), (PIECE * PIECES) as u64);
    let pieces = futures::stream::iter((0..PIECES).map(|n| Ok(piece(n)))).boxed();
    block_on(here.write_blob(&digest, size, pieces)).unwrap();

    let depot = Depot::new(remote);
    let one = parcel("long", "long", (digest, size), NOW);
    let index = block_on(publish(&depot, &*here, &[one], &[build("b")], NOW)).unwrap();
    let packs = index.places.packs();
    assert!(packs[0].size > size, "it does not compress");
    let wanted: BTreeMap<Digest, u64> = [(digest, size)].into();
    let (fetched, result) = block_on(depot.fetch(&packs[0], &wanted, &*there));
    result.unwrap();
    assert_eq!(fetched.brought, [digest]);
    println!("\nat most {} kB", high_water());
}

/// `VmHWM` of this process: see `proc_pid_status(5)`.
fn high_water() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}
