//! What the operations of a hit cost on this machine: `cargo run --release --example disk_bench [DIR]`.
//!
//! DIR (default: the system's temporary directory) should be on the file system where caches and
//! target directories are. Prints the median of many runs, in microseconds.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_core::{
    Content, Digest, Entry, Observation, Outcome, Output, Recipe, RecipeKey, Record, Role, Template,
};
use cache_storage::{BlobFiles, Budget, DiskOptions, DiskStore, Expected, Placement, Store};
use futures::executor::block_on;

type Outcomes<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcomes {
    let base = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = base.join(format!("larder-bench-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let result = run(&dir);
    fs::remove_dir_all(&dir)?;
    result
}

fn run(dir: &Path) -> Outcomes {
    let options = DiskOptions { budget: Budget::Unlimited, ..DiskOptions::default() };
    let root = dir.join("store");
    let store = DiskStore::open(&root, options.clone())?;
    let big = noise(2 << 20, 1);
    let digest = Digest::of(&big);
    let source = dir.join("source");
    fs::write(&source, &big)?;
    std::thread::sleep(Duration::from_millis(100));
    time("digest 2 MB, first time", 1, |_| Ok(store.digest_file(&source)?))?;
    store.adopt(&digest, big.len() as u64, &source, Placement::MayLink)?;
    time("open a store", 1000, |_| Ok(DiskStore::open(&root, options.clone())?))?;
    time("place 2 MB, private", 100, |n| {
        Ok(store.place(&digest, &dir.join(format!("p{n}")), 0o644, Placement::Private)?)
    })?;
    time("place 2 MB, link", 1000, |n| {
        Ok(store.place(&digest, &dir.join(format!("l{n}")), 0o644, Placement::MayLink)?)
    })?;
    adopts(dir, &store)?;
    memo(dir, &store)?;
    records(&store)?;
    eviction(dir, &options)
}

fn adopts(dir: &Path, store: &DiskStore) -> Outcomes {
    let files: Vec<_> =
        (0..200).map(|n| (dir.join(format!("a{n}")), noise(100_000, n + 10))).collect();
    for (path, bytes) in &files {
        fs::write(path, bytes)?;
    }
    let digests: Vec<_> = files.iter().map(|(_, bytes)| Digest::of(bytes)).collect();
    time("adopt 100 kB, link", 100, |n| {
        Ok(store.adopt(&digests[n], 100_000, &files[n].0, Placement::MayLink)?)
    })?;
    time("adopt 100 kB, copy", 100, |n| {
        Ok(store.adopt(&digests[100 + n], 100_000, &files[100 + n].0, Placement::Private)?)
    })?;
    time("adopt 100 kB, there already", 100, |n| {
        Ok(store.adopt(&digests[n], 100_000, &files[n].0, Placement::MayLink)?)
    })
}

fn memo(dir: &Path, store: &DiskStore) -> Outcomes {
    for size in [1_000, 4_000, 16_000, 64_000] {
        let files: Vec<_> = (0..20).map(|n| dir.join(format!("m{size}-{n}"))).collect();
        for (n, path) in files.iter().enumerate() {
            fs::write(path, noise(size, n as u64))?;
        }
        time(&format!("20 × read and hash {size} B"), 100, |_| {
            for path in &files {
                black_box(Digest::of(&fs::read(path)?));
            }
            Ok(())
        })?;
        std::thread::sleep(Duration::from_millis(50));
        for path in &files {
            store.digest_file(path)?;
        }
        time(&format!("20 × memo look-up {size} B"), 100, |_| {
            for path in &files {
                black_box(store.digest_file(path)?);
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn records(store: &DiskStore) -> Outcomes {
    let key = RecipeKey(Digest::of(b"record"));
    let bytes = Bytes::from(noise(20_000, 3));
    block_on(store.put_record(&key, bytes, Expected::Absent))?;
    time("get a record of 20 kB", 1000, |_| Ok(block_on(store.get_record(&key))?))?;
    time("get an absent record", 1000, |n| {
        let key = RecipeKey(Digest::of(&n.to_le_bytes()));
        Ok(block_on(store.get_record(&key))?)
    })?;
    time("pin a record and let go", 1000, |_| Ok(store.pin(&key)?))?;
    time("put a new record of 20 kB", 300, |n| {
        let key = RecipeKey(Digest::of(&n.to_le_bytes()));
        let bytes = Bytes::from(noise(20_000, n as u64));
        Ok(block_on(store.put_record(&key, bytes, Expected::Absent))?)
    })?;
    time("maybe_gc, nothing due", 300, |_| Ok(store.maybe_gc()?))
}

fn eviction(dir: &Path, options: &DiskOptions) -> Outcomes {
    let options = DiskOptions { grace: Duration::ZERO, ..options.clone() };
    let store = DiskStore::open(dir.join("many"), options)?;
    let count = 25_000_u64;
    for n in 0..count {
        let bytes = n.to_le_bytes();
        let digest = Digest::of(&bytes);
        let body = Bytes::copy_from_slice(&bytes);
        let stream = Box::pin(futures::stream::iter([Ok(body)]));
        block_on(store.write_blob(&digest, 8, stream))?;
        let record = record_of(n, digest);
        let key = record.recipe.key();
        block_on(store.put_record(&key, record.encode().into(), Expected::Absent))?;
    }
    println!("a store of {count} records and {count} blobs:");
    time("  walk for stats", 1, |_| Ok(store.usage()?))?;
    time("  gc, nothing to evict", 1, |_| Ok(store.gc(u64::MAX)?))?;
    time("  gc, evict a tenth", 1, |_| {
        let report = store.gc(count * 2 * 4096 / 10 * 9)?;
        println!("{:40} {} records", "", report.records_evicted);
        Ok(())
    })
}

fn record_of(n: u64, digest: Digest) -> Record {
    let mut recipe = Recipe::new();
    recipe.push("n", n.to_le_bytes());
    let mut record = Record { recipe, ..Record::default() };
    let output = Output {
        role: Role::Other,
        path: Template::Plain(b"out".to_vec()),
        content: Content::Blob { digest, size: 8 },
        mode: 0o644,
    };
    record.add(Entry {
        observation: Observation::default(),
        outcome: Outcome { outputs: vec![output], ..Outcome::default() },
        created: 0,
    });
    record
}

fn time<T>(what: &str, runs: usize, mut act: impl FnMut(usize) -> Outcomes<T>) -> Outcomes {
    let mut times = Vec::with_capacity(runs);
    for n in 0..runs {
        let start = Instant::now();
        black_box(act(n)?);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!("{what:40} {:>10.1} µs", times[runs / 2].as_secs_f64() * 1e6);
    Ok(())
}

/// Bytes that no two seeds share.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
